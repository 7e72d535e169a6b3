/* SPDX-License-Identifier: MIT */
/*
 * Events of all architectures: MMIO, and what the host's memory management does and tells KVM; and
 * the kit's probes.
 */
#include <string.h>

#include "tracing/form.h"
#include "tracing/parse.h"
#include "tracing/scan.h"

/* What a host page is when an event names one address only. */
#define KVM_PAGE_BYTES UINT64_C(4096)
/* KVM_EXIT_MMIO of the kernel's interface. */
#define KVM_REASON_MMIO 6
/* SCAN_SUCCEED of the kernel's huge_memory events. */
#define KVM_COLLAPSED 1

bool parse_mmio(struct parser *parser, const char *text, struct vmmu_trace_event *event)
{
	uint64_t v[4];

	event->kind = VMMU_TRACE_MMIO;
	if (form_match(text, "mmio %w len %u gpa %x", v + 1))
		event->access = scan_after(text, "mmio write") ? VMMU_WRITE : VMMU_READ;
	else if (form_fields(text, "type len gpa val", v))
		event->access = v[0] == 2 ? VMMU_WRITE : VMMU_READ;
	else
		return false;
	event->bytes = v[1];
	event->gpa = v[2];
	return parse_thread(parser, event);
}

bool parse_match_mmio(struct parser *parser, const char *text, struct vmmu_trace_event *event)
{
	uint64_t v[3];

	event->kind = VMMU_TRACE_MMIO;
	event->access = VMMU_READ;
	if (form_match(text, "gva %x gpa %x", v))
		v[2] = strstr(text, " Write") != NULL;
	else if (!form_fields(text, "gva gpa write", v))
		return false;
	if (v[2])
		event->access = VMMU_WRITE;
	event->gpa = v[1];
	return parse_thread(parser, event);
}

bool parse_fast_mmio(struct parser *parser, const char *text, struct vmmu_trace_event *event)
{
	event->kind = VMMU_TRACE_MMIO;
	event->access = VMMU_WRITE;
	return (form_match(text, "fast mmio at gpa %x", &event->gpa) ||
		form_fields(text, "gpa", &event->gpa)) &&
	       parse_thread(parser, event);
}

/* arm64 prints the guest's PC here: the address is the one the thread just faulted on. */
bool parse_arm_mmio(struct parser *parser, const char *text, struct vmmu_trace_event *event)
{
	struct thread *thread = parse_thread(parser, event);
	uint64_t pc;

	if (!thread ||
	    (!form_match(text, "Emulate MMIO at: %x", &pc) && !form_fields(text, "vcpu_pc", &pc)))
		return false;
	event->kind = thread->fault_access ? VMMU_TRACE_MMIO : VMMU_TRACE_OTHER;
	event->gpa = thread->fault_gpa;
	return true;
}

bool parse_mmio_fault(struct parser *parser, const char *text, struct vmmu_trace_event *event)
{
	uint64_t v[3];

	if (!form_match(text, "addr:%x gfn %x access %x", v) &&
	    !form_fields(text, "addr gfn access", v))
		return false;
	event->kind = VMMU_TRACE_MMIO;
	event->gfn = v[1];
	event->gpa = v[1] << 12;
	return parse_thread(parser, event);
}

/*
 * A write that ends in the VMM is a place in time that a program's own log may tell too (see
 * layout.h).
 */
bool parse_userspace_exit(struct parser *parser, const char *text, struct vmmu_trace_event *event)
{
	struct thread *thread = threads_find(&parser->threads, event->pid);
	bool is_mmio = scan_after(text, "reason KVM_EXIT_MMIO");
	uint64_t reason;

	event->kind = VMMU_TRACE_OTHER;
	if (!thread)
		return true;
	event->vcpu = thread->vcpu;
	if (form_fields(text, "reason", &reason))
		is_mmio = reason == KVM_REASON_MMIO && !strstr(text, "errno=-");
	if (thread->fault_access == VMMU_WRITE && is_mmio)
		parser->write_exits++;
	return true;
}

static bool kvm_hva_range(enum vmmu_trace_kind kind, uint64_t start, uint64_t end,
			  struct vmmu_trace_event *event)
{
	event->kind = kind;
	event->hva.start = start;
	event->hva.end = end;
	return start < end;
}

bool parse_unmap(struct parser *parser, const char *text, struct vmmu_trace_event *event)
{
	uint64_t v[2];

	(void)parser;
	return (form_match(text, "mmu notifier unmap range: %x -- %x", v) ||
		form_fields(text, "start end", v)) &&
	       kvm_hva_range(VMMU_TRACE_INVALIDATE, v[0], v[1], event);
}

/* One page gets another frame (kernels up to 6.9) or goes away (up to 4.20). */
bool parse_set_hva(struct parser *parser, const char *text, struct vmmu_trace_event *event)
{
	uint64_t hva;

	(void)parser;
	if (!form_match(text, "mmu notifier set pte hva: %x", &hva) &&
	    !form_match(text, "mmu notifier unmap hva: %x", &hva) &&
	    !form_fields(text, "hva", &hva))
		return false;
	hva &= ~(KVM_PAGE_BYTES - 1);
	event->count = !strcmp(event->name, "kvm_set_spte_hva");
	return kvm_hva_range(VMMU_TRACE_INVALIDATE, hva, hva + KVM_PAGE_BYTES, event);
}

/* Others have events of this name, too. */
bool parse_invalidate_end(struct parser *parser, const char *text, struct vmmu_trace_event *event)
{
	(void)parser;
	event->kind = scan_after(text, "(kvm_mmu_notifier_invalidate_range_end+")
			      ? VMMU_TRACE_INVALIDATE_END
			      : VMMU_TRACE_OTHER;
	return true;
}

/* The host's daemon, or a program's own call, made one huge page of small ones. */
bool parse_collapse(struct parser *parser, const char *text, struct vmmu_trace_event *event)
{
	uint64_t status = 0;

	(void)parser;
	event->kind = VMMU_TRACE_COLLAPSE;
	event->count = form_fields(text, "status", &status)
			       ? status == KVM_COLLAPSED
			       : strstr(text, "status=succeeded") != NULL;
	return true;
}

bool parse_age(struct parser *parser, const char *text, struct vmmu_trace_event *event)
{
	uint64_t v[2];

	(void)parser;
	return (form_match(text, "mmu notifier age hva: %x -- %x", v) ||
		form_fields(text, "start end", v)) &&
	       kvm_hva_range(VMMU_TRACE_AGE, v[0], v[1], event);
}

bool parse_test_age(struct parser *parser, const char *text, struct vmmu_trace_event *event)
{
	uint64_t hva;

	(void)parser;
	if (!form_match(text, "mmu notifier test age hva: %x", &hva) &&
	    !form_fields(text, "hva", &hva))
		return false;
	hva &= ~(KVM_PAGE_BYTES - 1);
	event->count = 1;
	return kvm_hva_range(VMMU_TRACE_AGE, hva, hva + KVM_PAGE_BYTES, event);
}

/* A word of prot: 1 execute, 2 write, 4 read. */
static unsigned stage2_access(uint64_t prot)
{
	return (prot & 1 ? VMMU_EXEC : 0) | (prot & 2 ? VMMU_WRITE : 0) |
	       (prot & 4 ? VMMU_READ : 0);
}

static bool stage2_map(const char *text, struct vmmu_trace_event *event)
{
	uint64_t v[6];

	if (!form_fields(text, "addr size phys prot ia_bits start_level", v))
		return false;
	event->gpa = v[0];
	event->bytes = v[1];
	event->pfn = v[2] / KVM_PAGE_BYTES;
	event->access = stage2_access(v[3]);
	event->stride = v[4];
	event->level = (unsigned)v[5];
	return !((v[0] | v[1] | v[2]) % KVM_PAGE_BYTES);
}

static bool stage2_relax(const char *text, struct vmmu_trace_event *event)
{
	uint64_t v[2];

	if (!form_fields(text, "addr prot", v))
		return false;
	event->gpa = v[0];
	event->access = stage2_access(v[1]);
	return true;
}

static bool stage2_range(const char *text, struct vmmu_trace_event *event)
{
	uint64_t v[2];

	if (!form_fields(text, "addr size", v))
		return false;
	event->gpa = v[0];
	event->bytes = v[1];
	return !((v[0] | v[1]) % KVM_PAGE_BYTES);
}

/* Others have events of these names, too. */
bool parse_stage2(struct parser *parser, const char *text, struct vmmu_trace_event *event)
{
	static const struct {
		const char *function;
		bool (*read)(const char *text, struct vmmu_trace_event *event);
	} probes[] = {
		[VMMU_TRACE_STAGE2_MAP] = {"(kvm_pgtable_stage2_map+", stage2_map},
		[VMMU_TRACE_STAGE2_UNMAP] = {"(kvm_pgtable_stage2_unmap+", stage2_range},
		[VMMU_TRACE_STAGE2_PROTECT] = {"(kvm_pgtable_stage2_wrprotect+", stage2_range},
		[VMMU_TRACE_STAGE2_RELAX] = {"(kvm_pgtable_stage2_relax_perms+", stage2_relax},
	};
	struct thread *thread = threads_find(&parser->threads, event->pid);

	event->kind = VMMU_TRACE_OTHER;
	if (thread)
		event->vcpu = thread->vcpu;
	for (size_t i = 0; i < sizeof(probes) / sizeof(*probes); i++) {
		if (!scan_after(text, probes[i].function))
			continue;
		event->kind = VMMU_TRACE_STAGE2;
		event->count = i;
		return probes[i].read(text, event);
	}
	return true;
}
