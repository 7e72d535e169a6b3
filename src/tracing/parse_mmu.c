/* SPDX-License-Identifier: MIT */
/* System kvmmmu: what x86 KVM's MMU did. Levels count up from 1 there as they do here. */
#include "tracing/form.h"
#include "tracing/parse.h"
#include "tracing/scan.h"

/* gfn of an event whose text does not say it (trace-cmd's plugin leaves it out). */
#define MMU_NO_GFN UINT64_MAX
/* The level is in the lowest bits of a shadow page's role in all kernels. */
#define MMU_ROLE_LEVEL 15u

/* Events of a vCPU thread keep its number; the host's own threads have none. */
static void mmu_vcpu(struct parser *parser, struct vmmu_trace_event *event)
{
	struct thread *thread = threads_find(&parser->threads, event->pid);

	if (thread)
		event->vcpu = thread->vcpu;
}

static bool mmu_level(uint64_t level, struct vmmu_trace_event *event)
{
	event->level = (unsigned)level;
	return level <= VMMU_LEVELS_MAX;
}

bool parse_requested(struct parser *parser, const char *text, struct vmmu_trace_event *event)
{
	uint64_t v[4] = {0};

	if (!form_match(text, "gfn %x pfn %x level %u", v) &&
	    !form_fields(text, "gfn pfn level", v))
		return false;
	form_match(text, "gfn %x pfn %x level %u access %x", v);
	event->kind = VMMU_TRACE_MAP_REQUESTED;
	event->gfn = v[0];
	event->pfn = v[1];
	event->access = (unsigned)v[3];
	mmu_vcpu(parser, event);
	return mmu_level(v[2], event);
}

/* "(rwxu)": a letter or '-' each; kernels without a user bit print three. */
static unsigned mmu_letters(const char *text)
{
	const char *letter = strchr(text, '(');
	unsigned access = 0;

	for (letter = letter ? letter + 1 : ""; *letter && *letter != ')'; letter++)
		access |= *letter == 'r'   ? VMMU_READ
			  : *letter == 'w' ? VMMU_WRITE
			  : *letter == 'x' ? VMMU_EXEC
					   : 0;
	return access;
}

bool parse_set_spte(struct parser *parser, const char *text, struct vmmu_trace_event *event)
{
	uint64_t v[7];

	event->kind = VMMU_TRACE_MAP_SET;
	if (form_match(text, "gfn %x spte %x %w level %u at %x", v)) {
		event->access = mmu_letters(text);
	} else if (form_fields(text, "gfn spte level sptep r x", v)) {
		event->access = (v[4] ? VMMU_READ : 0) | (v[1] & 2 ? VMMU_WRITE : 0) |
				(v[5] ? VMMU_EXEC : 0);
	} else {
		return false;
	}
	event->gfn = v[0];
	event->new_pte = v[1];
	event->pte_hpa = v[3];
	mmu_vcpu(parser, event);
	return mmu_level(v[2], event);
}

bool parse_spte_changed(struct parser *parser, const char *text, struct vmmu_trace_event *event)
{
	uint64_t v[5];

	if (!form_match(text, "as id %u gfn %x level %u old_spte %x new_spte %x", v) &&
	    !form_fields(text, "as_id gfn level old_spte new_spte", v))
		return false;
	event->kind = VMMU_TRACE_ENTRY_CHANGED;
	event->slot.as_id = (unsigned)v[0];
	event->gfn = v[1];
	event->gpa = v[1] << 12;
	event->old_pte = v[3];
	event->new_pte = v[4];
	mmu_vcpu(parser, event);
	return mmu_level(v[2], event);
}

/* The entry's address is hashed or a kernel address: of no use. */
bool parse_mark_mmio(struct parser *parser, const char *text, struct vmmu_trace_event *event)
{
	const char *gfn = strstr(text, " gfn ");
	uint64_t v[3];

	if (!(gfn && form_match(gfn, " gfn %x access %x gen %x", v)) &&
	    !form_fields(text, "gfn access gen", v))
		return false;
	event->kind = VMMU_TRACE_MMIO_SET;
	event->gfn = v[0];
	event->access = (unsigned)v[1];
	event->generation = v[2];
	mmu_vcpu(parser, event);
	return true;
}

bool parse_check_mmio(struct parser *parser, const char *text, struct vmmu_trace_event *event)
{
	uint64_t v[4];

	if (form_fields(text, "spte kvm_gen spte_gen", v))
		v[3] = v[1] == v[2];
	else if (!form_match(text, "spte %x kvm_gen %x spte-gen %x valid %u", v))
		return false;
	event->kind = VMMU_TRACE_MMIO_CHECK;
	event->new_pte = v[0];
	event->count = v[1];
	event->generation = v[2];
	event->writable = v[3];
	mmu_vcpu(parser, event);
	return true;
}

/*
 * "P|W|U|0x100000000" up to the next blank: the kernel prints names, and the bits it has no name
 * for.
 */
static unsigned mmu_error_access(const char *names)
{
	unsigned access = VMMU_READ;

	for (; *names && *names != ' '; names++) {
		bool is_alone = names[1] == '|' || names[1] == ' ' || !names[1];

		if (is_alone && *names == 'F')
			return VMMU_EXEC;
		if (is_alone && *names == 'W')
			access = VMMU_WRITE;
	}
	return access;
}

/* Values that KVM's handlers return differ between kernels: an entry that changed was fixed. */
static bool mmu_fast_fault_fields(struct parser *parser, const char *text,
				  struct vmmu_trace_event *event)
{
	uint64_t v[6];

	if (!form_fields(text, "vcpu_id cr2_or_gpa error_code old_spte new_spte ret", v))
		return false;
	event->gpa = v[1];
	event->access = v[2] & 0x10 ? VMMU_EXEC : v[2] & 2 ? VMMU_WRITE : VMMU_READ;
	event->old_pte = v[3];
	event->new_pte = v[4];
	event->count = v[5] >= 4 && v[3] != v[4];
	event->stride = v[5] >= 4 && v[3] == v[4];
	return parse_vcpu(parser, event, v[0]);
}

bool parse_fast_fault(struct parser *parser, const char *text, struct vmmu_trace_event *event)
{
	const char *code = strstr(text, " error_code ");
	const char *old = strstr(text, " old ");
	uint64_t v[6];

	event->kind = VMMU_TRACE_FAST_FIX;
	if (!code || !old || !form_match(text, "vcpu %u gva %x", v) ||
	    !form_match(old, " old %x new %x spurious %u fixed %u", v + 2))
		return mmu_fast_fault_fields(parser, text, event);
	event->gpa = v[1];
	event->access = mmu_error_access(code + strlen(" error_code "));
	event->old_pte = v[2];
	event->new_pte = v[3];
	event->stride = v[4];
	event->count = v[5];
	return parse_vcpu(parser, event, v[0]);
}

/*
 * A shadow page as the kernel prints it ("sp gen 0 gfn 0 l5 8-byte q0 ..."; older ones "... gfn 0 4
 * pae q0"), as trace-cmd's plugin does ("new sp gfn 0 5 q0 ...", or "5 q0 ..." without gfn), or as
 * fields.
 */
static bool mmu_shadow_page(const char *text, struct vmmu_trace_event *event)
{
	const char *gfn = strstr(text, "gfn ");
	uint64_t v[2];

	if (form_fields(text, "gfn role", v))
		v[1] &= MMU_ROLE_LEVEL;
	else if (!gfn && form_match(text, "%u q", v + 1))
		v[0] = MMU_NO_GFN;
	else if (!gfn || (!form_match(gfn, "gfn %x l%u", v) && !form_match(gfn, "gfn %x %u", v)))
		return false;
	event->gfn = v[0];
	return mmu_level(v[1], event);
}

static bool mmu_is_new(const char *text)
{
	const char *last = strrchr(text, ' ');
	uint64_t created;

	if (form_fields(text, "created", &created))
		return created;
	return scan_is_word(text, "new") || (last && scan_is_word(last + 1, "new"));
}

bool parse_get_page(struct parser *parser, const char *text, struct vmmu_trace_event *event)
{
	event->kind = VMMU_TRACE_TABLE_GET;
	event->writable = mmu_is_new(text);
	mmu_vcpu(parser, event);
	return mmu_shadow_page(text, event);
}

bool parse_zap_page(struct parser *parser, const char *text, struct vmmu_trace_event *event)
{
	event->kind = VMMU_TRACE_TABLE_ZAP;
	event->count = strstr(text, " invalid ") != NULL;
	mmu_vcpu(parser, event);
	return mmu_shadow_page(text, event);
}

bool parse_zap_all(struct parser *parser, const char *text, struct vmmu_trace_event *event)
{
	(void)text;
	event->kind = VMMU_TRACE_ZAP_ALL;
	mmu_vcpu(parser, event);
	return true;
}

bool parse_split(struct parser *parser, const char *text, struct vmmu_trace_event *event)
{
	uint64_t v[4] = {0};

	if (!form_match(text, "gfn %x spte %x level %u errno %u", v) &&
	    !form_match(text, "gfn %x spte %x level %u errno -%u", v) &&
	    !form_fields(text, "gfn spte level errno", v))
		return false;
	event->kind = VMMU_TRACE_SPLIT;
	event->gfn = v[0];
	event->old_pte = v[1];
	event->count = v[3];
	mmu_vcpu(parser, event);
	return mmu_level(v[2], event);
}
