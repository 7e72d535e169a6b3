/* SPDX-License-Identifier: MIT */
#include "tracing/strace.h"

#include "tracing/line.h"
#include "tracing/scan.h"

/* Times since 1970 are larger; smaller ones are differences (-r). */
#define STRACE_EPOCH_NS (UINT64_C(1000000000) * UINT64_C(1000000000))
/* _IOW(0xae, 0x49, 160 bytes) where strace does not know its name. */
#define STRACE_REGION2 "_IOC(_IOC_WRITE, 0xae, 0x49, 0xa0)"

/* Columns before the call: "[pid N]" or "N", then a time. Returns where the call starts. */
static const char *strace_columns(const char *text, struct strace_line *line)
{
	const char *at = scan_spaces(text), *after;
	uint64_t number;

	after = scan_after(at, "[pid ");
	if (after) {
		at = scan_spaces(after);
		if (!scan_decimal(&at, &line->pid) || *at++ != ']')
			return "";
	} else if (after = at, scan_decimal(&after, &number) && *after == ' ') {
		line->pid = number; /* -o; of two numbers without a dot there is none */
		at = after;
	}
	at = scan_spaces(at);
	if (line_time(&at, ' ', &number)) {
		line->time_ns = number >= STRACE_EPOCH_NS ? number : 0;
	} else if (scan_is_digit(*at)) { /* hh:mm:ss: of which day? */
		while (*at && *at != ' ')
			at++;
	}
	return scan_spaces(at);
}

/* The number behind NAME in TEXT. */
static bool strace_number(const char *text, const char *name, uint64_t *value)
{
	const char *at = strstr(text, name);

	if (!at)
		return false;
	at += strlen(name);
	return scan_number(&at, value);
}

/* "KVM_MEM_LOG_DIRTY_PAGES|KVM_MEM_READONLY|0x8", or a number. Private memory is not a replay's. */
static bool strace_flags(const char *text, unsigned *flags)
{
	static const struct {
		const char *name;
		unsigned flag;
	} names[] = {{"KVM_MEM_LOG_DIRTY_PAGES", VMMU_SLOT_LOG_DIRTY},
		     {"KVM_MEM_READONLY", VMMU_SLOT_READ_ONLY},
		     {"KVM_MEM_GUEST_MEMFD", 0}};
	const char *at = strstr(text, "flags=");
	uint64_t number;

	if (!at)
		return false;
	*flags = 0;
	for (at += strlen("flags="); *at && *at != ',' && *at != ' '; at += *at == '|') {
		const char *after = at;

		if (scan_number(&after, &number))
			*flags |= (unsigned)number & (VMMU_SLOT_LOG_DIRTY | VMMU_SLOT_READ_ONLY);
		for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
			if (scan_after(at, names[i].name))
				*flags |= names[i].flag;
		while (*at && *at != ',' && *at != ' ' && *at != '|')
			at++;
	}
	return true;
}

static bool strace_slot(const char *arguments, struct vmmu_slot *slot)
{
	uint64_t word;

	if (!strace_number(arguments, "{slot=", &word) || word > UINT32_MAX ||
	    !strace_flags(arguments, &slot->flags) ||
	    !strace_number(arguments, " guest_phys_addr=", &slot->gpa) ||
	    !strace_number(arguments, " memory_size=", &slot->bytes) ||
	    !strace_number(arguments, " userspace_addr=", &slot->hva))
		return false;
	slot->as_id = (unsigned)(word >> 16);
	slot->id = (unsigned)(word & 0xffff);
	return true;
}

/* ") = 0", ") = -1 EINVAL (...)", ") = ?": whatever is no success was refused. */
static bool strace_is_refused(const char *text)
{
	const char *result = strstr(text, ") = ");

	while (result && strstr(result + 1, ") = "))
		result = strstr(result + 1, ") = ");
	return !result || !scan_is_digit(result[4]);
}

static enum strace_kind strace_ioctl(const char *at, struct strace_line *line)
{
	const char *name;

	if (!scan_decimal(&at, &line->file))
		return STRACE_OTHER;
	name = strstr(at, "KVM_SET_USER_MEMORY_REGION");
	if (!name)
		return strstr(at, STRACE_REGION2) ? STRACE_BLIND : STRACE_OTHER;
	line->is_unfinished = strstr(name, "<unfinished ...>");
	line->is_refused = !line->is_unfinished && strace_is_refused(name);
	return strace_slot(name, &line->slot) ? STRACE_CALL : STRACE_BLIND;
}

/* The quoted string at TEXT up to its end or line feed; escapes of other bytes end it too. */
static void strace_string(const char *text, char mark[STRACE_MARK_BYTES])
{
	size_t count = 0;

	while (*text && *text != '"' && count < STRACE_MARK_BYTES - 1) {
		if (*text == '\\') {
			if (text[1] != '"' && text[1] != '\\')
				break;
			text++;
		}
		mark[count++] = *text++;
	}
	mark[count] = '\0';
}

/* "write(5</sys/kernel/tracing/trace_marker>, "text"..., 44) = 44" */
static enum strace_kind strace_write(const char *at, struct strace_line *line)
{
	const char *quote = strchr(at, '"'), *path = strchr(at, '<');

	if (!quote)
		return STRACE_OTHER;
	if (path && path < quote) {
		const char *marker = strstr(path, "trace_marker");

		if (!marker || marker > quote)
			return STRACE_OTHER;
	}
	strace_string(quote + 1, line->mark);
	return *line->mark ? STRACE_MARK : STRACE_OTHER;
}

enum strace_kind strace_split(const char *text, struct strace_line *line)
{
	const char *at, *inner;

	*line = (struct strace_line){0};
	at = strace_columns(text, line);
	inner = scan_after(at, "ioctl(");
	if (inner)
		return strace_ioctl(inner, line);
	inner = scan_after(at, "write(");
	if (inner)
		return strace_write(inner, line);
	if (!scan_after(at, "<... ioctl resumed>"))
		return STRACE_OTHER;
	line->is_refused = strace_is_refused(at);
	return STRACE_RESUMED;
}
