/* SPDX-License-Identifier: MIT */
/*
 * What the engine tells while it works, through vmmu_env.event: the same facts as KVM's
 * tracepoints. Faults in tdp roots tell theirs at the same time, each on its own thread.
 */
#ifndef VMMU_EVENT_H
#define VMMU_EVENT_H

#include <vmmu/types.h>

#ifdef __cplusplus
extern "C" {
#endif

enum vmmu_event_kind {
	VMMU_EVENT_FAULT, /* a fault came in: gpa, access */
	/*
	 * goal decided: gfn and pfn of the faulting page, or VMMU_PFN_NONE; level
	 * (kvm_mmu_spte_requested)
	 */
	VMMU_EVENT_MAP_REQUESTED,
	/*
	 * leaf written by a fault or prefetch: gfn, level, old_pte, new_pte (kvm_mmu_set_spte);
	 * access: what the fault asked for, where a policy limits it, or 0
	 */
	VMMU_EVENT_MAP_SET,
	/* MMIO entry written: gfn, access, generation (mark_mmio_spte) */
	VMMU_EVENT_MMIO_SET,
	/* MMIO entry met: new_pte, generation, value 1 if current (check_mmio_spte) */
	VMMU_EVENT_MMIO_CHECK,
	/*
	 * lockless attempt: gfn, level, old_pte, new_pte, value = enum vmmu_outcome
	 * (fast_page_fault)
	 */
	VMMU_EVENT_FAST_FIX,
	/* table found or made: gfn, level, value 1 if new (kvm_mmu_get_page) */
	VMMU_EVENT_TABLE_GET,
	VMMU_EVENT_TABLE_ZAP, /* table unlinked: gfn, level (kvm_mmu_prepare_zap_page) */
	VMMU_EVENT_ZAP_ALL,   /* all roots obsolete (kvm_mmu_zap_all_fast) */
	/* the funnel wrote an entry: gfn, level, old_pte, new_pte (kvm_tdp_mmu_spte_changed) */
	VMMU_EVENT_ENTRY_CHANGED,
	VMMU_EVENT_FLUSH,   /* gfn, value = gfns */
	VMMU_EVENT_OUTCOME, /* a fault ended: gpa, value = enum vmmu_outcome or -errno */
	/*
	 * a large leaf was split in place, by a fault or eager_split: gfn, level, old_pte, value 0;
	 * or eager_split met one that it could not split: -errno (kvm_mmu_split_huge_page)
	 */
	VMMU_EVENT_SPLIT,
	/* mappings of a range are taken away, or lose WRITE: gfn, value = gfns */
	VMMU_EVENT_RANGE_UNMAP,
	VMMU_EVENT_RANGE_PROTECT,
	/* vmmu_remap(): as_id, gfn, pfn, value = 1 */
	VMMU_EVENT_RANGE_REMAP,
	VMMU_EVENTS,
};

/* No memory there. */
#define VMMU_PFN_NONE (UINT64_C(1) << 63)

struct vmmu_event {
	enum vmmu_event_kind kind;
	unsigned vcpu_id; /* ~0u where no vCPU did it */
	unsigned as_id;
	unsigned level;
	unsigned access;
	uint64_t gpa; /* bytes */
	uint64_t gfn;
	uint64_t pfn;
	uint64_t old_pte, new_pte;
	uint64_t generation;
	int64_t value;
	uint64_t hpa; /* bytes: TABLE_GET: of the table */
};

#ifdef __cplusplus
}
#endif
#endif
