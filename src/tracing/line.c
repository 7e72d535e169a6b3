/* SPDX-License-Identifier: MIT */
#include "tracing/line.h"

#include "tracing/scan.h"

/* A bracket that belongs to a line's columns stands near its start. */
#define LINE_BRACKET_MAX 96
#define LINE_NAME_MAX    63

bool line_time(const char **text, char end, uint64_t *time_ns)
{
	const char *at = *text;
	uint64_t seconds, fraction = 0, unit = 1000000000;

	if (!scan_decimal(&at, &seconds))
		return false;
	if (*at == '.') {
		if (seconds > UINT64_MAX / 2000000000)
			return false;
		for (at++; scan_is_digit(*at) && unit > 1; at++) {
			unit /= 10;
			fraction += unit * (unsigned)(*at - '0');
		}
		seconds = seconds * 1000000000 + fraction;
	}
	if (*at != end)
		return false;
	*text = at + 1;
	*time_ns = seconds;
	return true;
}

static bool line_is_name_character(char c)
{
	return scan_is_digit(c) || (unsigned char)((c | 0x20) - 'a') < 26 || c == '_' || c == '-';
}

/* The name at TEXT, with or without its system, and the text behind it. */
static bool line_name(const char *text, struct line *line)
{
	const char *at = text;
	const char *first = text;

	for (; line_is_name_character(*at) || *at == ':'; at++) {
		if (*at != ':')
			continue;
		if (!line_is_name_character(at[1]))
			break;
		if (line->marks & LINE_HAS_SYSTEM)
			return false;
		line->marks |= LINE_HAS_SYSTEM;
		first = at + 1;
	}
	if (*at != ':' || at == first || at - first > LINE_NAME_MAX)
		return false;
	line->name = first;
	line->name_bytes = (size_t)(at - first);
	line->text = scan_spaces(at + 1);
	if (line->text - at > 2)
		line->marks |= LINE_HAS_COLUMN;
	return true;
}

/* The columns after [cpu]: flags or not, time, name. */
static enum line_kind line_after_cpu(const char *at, struct line *line)
{
	at = scan_spaces(at);
	if (!line_time(&at, ':', &line->time_ns)) {
		while (*at && *at != ' ')
			at++;
		at = scan_spaces(at);
		if (!line_time(&at, ':', &line->time_ns))
			return LINE_UNKNOWN;
		line->marks |= LINE_HAS_FLAGS;
	}
	at = scan_spaces(at);
	if (scan_after(at, "<stack"))
		return LINE_STACK;
	return line_name(at, line) ? LINE_EVENT : LINE_UNKNOWN;
}

/*
 * The digits that end before AT: a thread, after '-' (tracefs, trace-cmd), a blank or '/' (perf).
 */
static void line_thread(const char *text, const char *at, struct line *line)
{
	const char *digits;
	uint64_t pid;

	while (at > text && at[-1] == ' ')
		at--;
	if (at > text && at[-1] == ')') { /* the thread group's column */
		while (at > text && *at != '(')
			at--;
		while (at > text && at[-1] == ' ')
			at--;
	}
	for (digits = at; digits > text && scan_is_digit(digits[-1]); digits--)
		;
	if (digits == at || !scan_decimal(&digits, &pid) || pid > UINT32_MAX)
		return;
	line->pid = (uint32_t)pid;
	while (at > text && scan_is_digit(at[-1]))
		at--;
	if (at > text && at[-1] == '-')
		line->marks |= LINE_HAS_DASH;
}

/*
 * Lines with a [cpu] column. A comm may hold brackets too: the first one that the rest fits to
 * counts.
 */
static enum line_kind line_with_cpu(const char *text, struct line *line)
{
	const char *open = text;

	while ((open = strchr(open, '[')) && open - text < LINE_BRACKET_MAX) {
		const char *at = ++open;
		enum line_kind kind;

		while (scan_is_digit(*at))
			at++;
		if (at == open || *at != ']')
			continue;
		line->marks = 0;
		kind = line_after_cpu(at + 1, line);
		if (kind != LINE_UNKNOWN) {
			line_thread(text, open - 1, line);
			return kind;
		}
	}
	return LINE_UNKNOWN;
}

/* "name: text" from the start on. A name that is all digits is a time or part of a text. */
static bool line_is_bare(const char *text, struct line *line)
{
	line->marks = 0;
	line->time_ns = 0;
	return !scan_is_digit(*text) && line_name(text, line) &&
	       (!*line->text || line->text > line->name + line->name_bytes + 1);
}

/* perf's "comm pid time: system:name: ..." without [cpu], or "time: name: ..." */
static bool line_is_timed(const char *text, struct line *line)
{
	const char *at = text;

	while (*at && at - text < LINE_BRACKET_MAX) {
		const char *column = at;

		line->marks = 0;
		if (line_time(&at, ':', &line->time_ns) &&
		    memchr(column, '.', (size_t)(at - column))) {
			if (!line_name(scan_spaces(at), line))
				return false;
			line_thread(text, column, line);
			return true;
		}
		while (*at && *at != ' ')
			at++;
		at = scan_spaces(at);
	}
	return false;
}

static enum line_kind line_without_cpu(const char *text, struct line *line)
{
	if (line_is_bare(text, line))
		return LINE_NAME;
	return line_is_timed(text, line) ? LINE_EVENT : LINE_UNKNOWN;
}

static bool line_is_lost(const char *text)
{
	return (scan_after(text, "CPU:") && strchr(text, '[')) || strstr(text, "EVENTS DROPPED]") ||
	       (scan_after(text, "[LOST ") != NULL);
}

static bool line_is_header(const char *text)
{
	if (scan_after(text, "cpus=") || scan_after(text, "version = "))
		return true;
	return scan_after(text, "CPU") &&
	       (strstr(text, " is empty") || strstr(text, "recorded at"));
}

/* perf prints a call chain as "address symbol+offset (file)". */
static bool line_is_frame(const char *text)
{
	const char *at = text;
	uint64_t address;

	return scan_after(text, "=>") ||
	       (scan_hex(&at, &address) && at - text >= 8 && *at == ' ' && strchr(at, '('));
}

/* What a line is that holds no event. */
static enum line_kind line_other(const char *text)
{
	if (line_is_lost(text))
		return LINE_LOST;
	if (line_is_header(text))
		return LINE_HEADER;
	return line_is_frame(text) ? LINE_STACK : LINE_UNKNOWN;
}

enum line_kind line_split(const char *text, struct line *line)
{
	enum line_kind kind;

	*line = (struct line){0};
	if (scan_after(text, "\xef\xbb\xbf")) /* byte order mark of UTF-8 */
		text += 3;
	text = scan_spaces(text);
	while (*text == '>') /* quoted mail */
		text = scan_spaces(text + 1);
	if (!*text)
		return LINE_EMPTY;
	if (*text == '#')
		return scan_after(text, "# tracer:") ? LINE_TRACER : LINE_COMMENT;
	if (*text == '=' && text[1] == '>')
		return LINE_STACK;
	kind = line_with_cpu(text, line);
	if (kind == LINE_UNKNOWN)
		kind = line_without_cpu(text, line);
	return kind == LINE_UNKNOWN ? line_other(text) : kind;
}
