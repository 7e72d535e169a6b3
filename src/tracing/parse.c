/* SPDX-License-Identifier: MIT */
#include "tracing/parse.h"

#include <errno.h>
#include <string.h>

#include <vmmu/fault.h>

static const struct parse_event parse_events[] = {
	{"kvm_page_fault", parse_x86_page_fault},
	{"kvm_exit", parse_exit},
	{"kvm_entry", parse_entry},
	{"kvm_enter", parse_entry},
	{"kvm_reenter", parse_entry},
	{"kvm_nested_vmexit", parse_x86_nested_exit},
	{"kvm_nested_vmenter", parse_x86_nested_enter},
	{"kvm_nested_vmrun", parse_x86_nested_enter},
	{"kvm_smm_transition", parse_x86_smm},
	{"kvm_guest_fault", parse_guest_fault},
	{"kvm_mmio", parse_mmio},
	{"kvm_userspace_exit", parse_userspace_exit},
	{"vcpu_match_mmio", parse_match_mmio},
	{"kvm_fast_mmio", parse_fast_mmio},
	{"kvm_mmio_emulate", parse_arm_mmio},
	{"handle_mmio_page_fault", parse_mmio_fault},
	{"kvm_unmap_hva_range", parse_unmap},
	{"kvm_unmap_hva", parse_set_hva},
	{"kvm_set_spte_hva", parse_set_hva},
	{"invalidate_end", parse_invalidate_end},
	{"mm_collapse_huge_page", parse_collapse},
	{"kvm_age_hva", parse_age},
	{"kvm_test_age_hva", parse_test_age},
	{"kvm_mmu_spte_requested", parse_requested},
	{"kvm_mmu_set_spte", parse_set_spte},
	{"kvm_tdp_mmu_spte_changed", parse_spte_changed},
	{"mark_mmio_spte", parse_mark_mmio},
	{"check_mmio_spte", parse_check_mmio},
	{"fast_page_fault", parse_fast_fault},
	{"kvm_mmu_get_page", parse_get_page},
	{"kvm_mmu_prepare_zap_page", parse_zap_page},
	{"kvm_mmu_zap_all_fast", parse_zap_all},
	{"kvm_mmu_split_huge_page", parse_split},
	{"map", parse_stage2},
	{"unmap", parse_stage2},
	{"wrprotect", parse_stage2},
	{"relax", parse_stage2},
	{"tracing_mark_write", parse_script},
	{"print", parse_script},
};

const struct parse_event *parse_find(const char *name, size_t name_bytes)
{
	for (size_t i = 0; i < sizeof(parse_events) / sizeof(*parse_events); i++) {
		const struct parse_event *event = &parse_events[i];

		if (strlen(event->name) == name_bytes && !memcmp(event->name, name, name_bytes))
			return event;
	}
	return NULL;
}

bool parse_is_kvm_name(const char *name, size_t name_bytes)
{
	return (name_bytes > 4 && !memcmp(name, "kvm_", 4)) || parse_find(name, name_bytes);
}

struct thread *parse_thread(struct parser *parser, struct vmmu_trace_event *event)
{
	struct thread *thread = threads_get(&parser->threads, event->pid);

	if (!thread) {
		parser->error = -ENOMEM;
		return NULL;
	}
	if (thread->vcpu == THREADS_NO_VCPU)
		thread->vcpu = parser->next_vcpu++;
	event->vcpu = thread->vcpu;
	return thread;
}

struct thread *parse_vcpu(struct parser *parser, struct vmmu_trace_event *event, uint64_t vcpu)
{
	struct thread *thread = threads_get(&parser->threads, event->pid);

	if (!thread) {
		parser->error = -ENOMEM;
		return NULL;
	}
	thread->vcpu = (uint32_t)vcpu;
	event->vcpu = thread->vcpu;
	/*
	 * Numbers that a trace gives away and numbers made up for silent threads stay apart, as far
	 * as read.
	 */
	if (vcpu < UINT32_MAX - 1 && vcpu >= parser->next_vcpu)
		parser->next_vcpu = (uint32_t)vcpu + 1;
	return thread;
}

bool parse_fault(struct parser *parser, const char *architecture,
		 const struct vmmu_syndrome *syndrome, struct vmmu_trace_event *event)
{
	struct thread *thread = parse_thread(parser, event);
	struct vmmu_fault fault;

	if (!thread || vmmu_fault_decode(architecture, syndrome, &fault))
		return false;
	thread->fault_gpa = fault.gpa;
	thread->fault_access = fault.access;
	if (!parser->architecture)
		parser->architecture = architecture;
	event->kind = VMMU_TRACE_FAULT;
	event->fault.gpa = fault.gpa;
	event->fault.access = fault.access;
	event->fault.flags = fault.flags;
	event->gpa = fault.gpa;
	event->access = fault.access;
	return true;
}
