/* SPDX-License-Identifier: MIT */
/*
 * Lines that a program wrote into the trace itself: the kvm-live kit's scripts (each line stands
 * before its effects; all numbers hexadecimal), its "host" and "entry" lines, and QEMU's slot calls
 * when its ftrace backend is on.
 */
#include "tracing/form.h"
#include "tracing/layout.h"
#include "tracing/parse.h"
#include "tracing/scan.h"

typedef bool script_read(struct parser *parser, const char *text, struct vmmu_trace_event *event);

/* KVM's word for a slot: the address space is in the upper 16 bits. */
static void script_id(uint64_t word, struct vmmu_trace_event *event)
{
	event->slot.as_id = (unsigned)(word >> 16);
	event->slot.id = (unsigned)(word & 0xffff);
}

/*
 * "slot ID GPA SIZE FLAGS"; FLAGS says also how the kit is to back the slot: those bits are not the
 * slot's.
 */
static bool script_slot(struct parser *parser, const char *text, struct vmmu_trace_event *event)
{
	uint64_t v[4];

	if (!form_match(text, "%w %x %x %x %x", v))
		return false;
	event->kind = VMMU_TRACE_SLOT;
	script_id(v[0], event);
	event->slot.gpa = v[1];
	event->slot.bytes = v[2];
	event->slot.flags = (unsigned)v[3] & (VMMU_SLOT_LOG_DIRTY | VMMU_SLOT_READ_ONLY);
	event->count = v[3] & VMMU_TRACE_BACKED;
	parser->has_slot_marks = true;
	return true;
}

/* "alias ID GPA SIZE FLAGS SLOT OFFSET": the memory is another slot's. */
static bool script_alias(struct parser *parser, const char *text, struct vmmu_trace_event *event)
{
	bool is_slot = script_slot(parser, text, event);

	event->count = 0;
	return is_slot;
}

static bool script_del(struct parser *parser, const char *text, struct vmmu_trace_event *event)
{
	uint64_t v[1];

	if (!form_match(text, "del %x", v))
		return false;
	event->kind = VMMU_TRACE_SLOT;
	script_id(v[0], event);
	parser->has_slot_marks = true;
	return true;
}

/* "r ADDRESS": after "mode" the address is the guest's virtual one. */
static bool script_access(struct parser *parser, const char *text, struct vmmu_trace_event *event)
{
	(void)parser;
	event->kind = VMMU_TRACE_ACCESS;
	event->access = *text == 'r' ? VMMU_READ : *text == 'w' ? VMMU_WRITE : VMMU_EXEC;
	event->count = 1;
	return form_match(text, "%w %x", &event->gpa);
}

/* "range KIND ADDRESS COUNT STRIDE": 0 reads, 1 byte writes, 2 writes of 8 bytes. */
static bool script_range(struct parser *parser, const char *text, struct vmmu_trace_event *event)
{
	uint64_t v[4];

	(void)parser;
	if (!form_match(text, "range %x %x %x %x", v) || v[0] > 2)
		return false;
	event->kind = VMMU_TRACE_ACCESS;
	event->access = v[0] ? VMMU_WRITE : VMMU_READ;
	event->gpa = v[1];
	event->count = v[2];
	event->stride = v[3];
	return true;
}

static bool script_dirty(struct parser *parser, const char *text, struct vmmu_trace_event *event)
{
	uint64_t v[1];

	(void)parser;
	if (!form_match(text, "dirty %x", v))
		return false;
	event->kind = VMMU_TRACE_DIRTY_GET;
	script_id(v[0], event);
	return true;
}

/* "clear SLOT FIRST PAGES WORD" */
static bool script_clear(struct parser *parser, const char *text, struct vmmu_trace_event *event)
{
	uint64_t v[4];

	(void)parser;
	if (!form_match(text, "clear %x %x %x %x", v))
		return false;
	event->kind = VMMU_TRACE_DIRTY_CLEAR;
	script_id(v[0], event);
	event->gfn = v[1];
	event->count = v[2];
	event->stride = v[3];
	return true;
}

/* "manual FLAGS" */
static bool script_manual(struct parser *parser, const char *text, struct vmmu_trace_event *event)
{
	(void)parser;
	event->kind = VMMU_TRACE_DIRTY_MANUAL;
	return form_match(text, "manual %x", &event->count);
}

/* "ring BYTES", "reclaim BYTES" */
static bool script_bytes(struct parser *parser, const char *text, struct vmmu_trace_event *event)
{
	(void)parser;
	event->kind = text[1] == 'i' ? VMMU_TRACE_DIRTY_RING : VMMU_TRACE_RECLAIM;
	return form_match(text, "%w %x", &event->bytes);
}

static bool script_harvest(struct parser *parser, const char *text, struct vmmu_trace_event *event)
{
	(void)parser;
	(void)text;
	event->kind = VMMU_TRACE_DIRTY_HARVEST;
	return true;
}

/* "page slot SLOT offset PAGE": an entry of a dirty ring */
static bool script_page(struct parser *parser, const char *text, struct vmmu_trace_event *event)
{
	uint64_t v[2];

	(void)parser;
	if (!form_match(text, "page slot %x offset %x", v))
		return false;
	event->kind = VMMU_TRACE_DIRTY_PAGE;
	script_id(v[0], event);
	event->gfn = v[1];
	return true;
}

/* "prefault GPA BYTES" */
static bool script_prefault(struct parser *parser, const char *text, struct vmmu_trace_event *event)
{
	uint64_t v[2];

	(void)parser;
	if (!form_match(text, "prefault %x %x", v))
		return false;
	event->kind = VMMU_TRACE_PREFAULT;
	event->gpa = v[0];
	event->bytes = v[1];
	return true;
}

/* "dontneed SLOT OFFSET BYTES", "protect SLOT OFFSET BYTES WRITABLE" */
static bool script_host_call(struct parser *parser, const char *text,
			     struct vmmu_trace_event *event)
{
	bool is_protect = *text == 'p';
	uint64_t v[4] = {0};

	(void)parser;
	if (!form_match(text, is_protect ? "%w %x %x %x %x" : "%w %x %x %x", v))
		return false;
	event->kind = is_protect ? VMMU_TRACE_PROTECT : VMMU_TRACE_DROP;
	script_id(v[0], event);
	event->gpa = v[1];
	event->bytes = v[2];
	event->writable = v[3];
	return true;
}

static bool script_host_page(struct parser *parser, const char *text,
			     struct vmmu_trace_event *event)
{
	uint64_t v[6];

	(void)parser;
	if (!form_match(text, "host gpa %x hva %x present %u pfn %x huge %u zero %u", v))
		return false;
	event->kind = VMMU_TRACE_HOST_PAGE;
	event->host.gpa = v[0];
	event->host.hva = v[1];
	event->host.present = v[2];
	event->host.pfn = v[3];
	event->host.huge = v[4];
	event->host.zero = v[5];
	event->gpa = v[0];
	event->pfn = v[3];
	return true;
}

/* The level is the architecture's own number here: arm64 has pages at 3, riscv64 at 0. */
static bool script_entry(struct parser *parser, const char *text, struct vmmu_trace_event *event)
{
	uint64_t v[5];

	(void)parser;
	if (!form_match(text, "entry level %u gpa %x at %x old %x new %x", v))
		return false;
	event->kind = VMMU_TRACE_ENTRY_CHANGED;
	event->level = (unsigned)v[0];
	event->gpa = v[1];
	event->gfn = v[1] >> 12;
	event->pte_hpa = v[2];
	event->old_pte = v[3];
	event->new_pte = v[4];
	/* Whole pages, at places of whole entries. */
	return !(v[1] & 0xfff) && !(v[2] & 7);
}

static bool script_other(struct parser *parser, const char *text, struct vmmu_trace_event *event)
{
	(void)parser;
	(void)text;
	event->kind = VMMU_TRACE_SCRIPT;
	return true;
}

/* "vcpu NUMBER": what comes from this thread is its doing. */
static bool script_vcpu(struct parser *parser, const char *text, struct vmmu_trace_event *event)
{
	uint64_t number;

	event->kind = VMMU_TRACE_SCRIPT;
	return form_match(text, "vcpu %x", &number) && number < THREADS_NO_VCPU &&
	       parse_vcpu(parser, event, number);
}

/* A line that runs the guest. */
static bool script_run(struct parser *parser, const char *text, struct vmmu_trace_event *event)
{
	event->count = 1;
	return script_other(parser, text, event);
}

static bool script_qemu(struct parser *parser, const char *text, struct vmmu_trace_event *event)
{
	struct layout_call call;

	(void)parser;
	if (!layout_parse(text, &call))
		return false;
	event->kind = call.is_refused ? VMMU_TRACE_SCRIPT : VMMU_TRACE_SLOT;
	event->slot = call.slot;
	return true;
}

static const struct {
	const char *word;
	script_read *read;
} script_lines[] = {
	{"r", script_access},
	{"w", script_access},
	{"x", script_access},
	{"host", script_host_page},
	{"entry", script_entry},
	{"range", script_range},
	{"slot", script_slot},
	{"del", script_del},
	{"alias", script_alias},
	{"dirty", script_dirty},
	{"clear", script_clear},
	{"manual", script_manual},
	{"ring", script_bytes},
	{"harvest", script_harvest},
	{"page", script_page},
	{"prefault", script_prefault},
	{"reclaim", script_bytes},
	{"vcpu", script_vcpu},
	{"smm", script_other},
	{"dontneed", script_host_call},
	{"protect", script_host_call},
	{"mode", script_other},
	{"poke", script_other},
	{"fill", script_other},
	{"wq", script_run},
	{"wl", script_run},
	{"invlpg", script_run},
	{"flush", script_run},
	{"cr3", script_run},
	{"root", script_run},
	{"kvm_set_user_memory", script_qemu},
};

/* A mark that is no line of a script is somebody's note: an event of no use here. */
bool parse_script(struct parser *parser, const char *text, struct vmmu_trace_event *event)
{
	const char *inner = scan_after(text, "tracing_mark_write: ");
	struct thread *thread = threads_find(&parser->threads, event->pid);

	if (inner)
		text = inner;
	if (thread)
		event->vcpu = thread->vcpu;
	for (size_t i = 0; i < sizeof(script_lines) / sizeof(*script_lines); i++)
		if (scan_is_word(text, script_lines[i].word))
			return script_lines[i].read(parser, text, event);
	event->kind = VMMU_TRACE_OTHER;
	return true;
}

bool parse_is_script_line(const struct vmmu_trace_event *event)
{
	switch (event->kind) {
	case VMMU_TRACE_ACCESS:
	case VMMU_TRACE_SCRIPT:
	case VMMU_TRACE_SLOT:
	case VMMU_TRACE_DIRTY_GET:
	case VMMU_TRACE_DIRTY_CLEAR:
	case VMMU_TRACE_DIRTY_MANUAL:
	case VMMU_TRACE_DIRTY_RING:
	case VMMU_TRACE_DIRTY_HARVEST:
	case VMMU_TRACE_PREFAULT:
	case VMMU_TRACE_RECLAIM:
	case VMMU_TRACE_DROP:
	case VMMU_TRACE_PROTECT:
		return true;
	default:
		return false;
	}
}
