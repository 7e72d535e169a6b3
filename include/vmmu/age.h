/* SPDX-License-Identifier: MIT */
/*
 * Aging: which host pages the guest used since somebody asked last. For a host that looks for pages
 * to reclaim (idle page tracking, generations of an LRU).
 */
#ifndef VMMU_AGE_H
#define VMMU_AGE_H

#include <vmmu/invalidate.h>
#include <vmmu/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Was any page at hvas in RANGE used through any slot (aliases and both address spaces included)
 * since the last vmmu_age()? 1: yes; 0: no. All of them count as unused from now on.
 *
 * How use is seen depends on the format. With VMMU_CAP_HW_DIRTY hardware sets the accessed bit
 * that this call clears. Without it (RISC-V without Svadu, Arm without hardware access flags, EPT
 * with accessed and dirty bits off), an entry whose bit is clear faults at the next access;
 * vmmu_fault() makes it anew (VMMU_FIXED), used, and without the lock where the fault's flags let
 * it. A large mapping, and a group (vmmu_geometry.group_lg2), is used when any page of it is, and
 * unused as a whole. What was mapped ahead of any access, by prefetch or vmmu_prefault(), reads as
 * unused until it is accessed, where hardware can tell.
 *
 * No TLB is flushed: one that still has the translation does not report its next uses, so a page
 * in steady use may now and then read as unused. Whoever cannot bear that flushes by itself.
 *
 * -EINVAL: start >= end; -ENOTSUP: VMMU_MODE_RANGES; -EIO. Locking: none; RCU: reader. May run
 * beside everything but vmmu_vm_destroy(), and may be called from every callback. Beside a fault
 * or an invalidation of the same page, the answer may be of just before or just after. Cost:
 * linear in the pages of the range that slots have, mapped or not.
 */
VMMU_API int vmmu_age(struct vmmu_vm *vm, const struct vmmu_hva_range *range);
/* The same question, and nothing changes. Stops at the first page that was used. */
VMMU_API int vmmu_test_age(struct vmmu_vm *vm, const struct vmmu_hva_range *range);

#ifdef __cplusplus
}
#endif
#endif
