/* SPDX-License-Identifier: MIT */
/*
 * Dirty logging: which pages of a slot with VMMU_SLOT_LOG_DIRTY were written, as live migration
 * asks. Semantics as KVM's.
 *
 * A slot's bitmap has a bit for each page. A page whose bit is clear cannot be written unseen: it
 * is write-protected, and the first write to it, a fault, sets the bit and gives WRITE back. To
 * report a page is to clear its bit and to protect it again, TLBs included, before the call
 * returns: what is copied after that holds every write that was reported, and later writes are
 * reported later. Nothing that was written is ever lost, whatever else happens to the page.
 *
 * Where hardware marks entries as dirty, small pages need not be protected
 * (vmmu_vm_options.dirty_source); "protect" is then to clear that mark. Large pages are protected
 * all the same. BY_BITS: vmmu_dirty_get() looks for marks in all entries of the slot first. BY_LOG:
 * hardware's own log, which holds 512 pages, is brought in by vmmu_dirty_log() before a vCPU goes
 * on and whenever it leaves the guest; what is still in it is reported later, as is what is written
 * later. Before a slot moves it must be brought in, with no vCPU in the guest: the log has gpas,
 * and the old ones are nobody's then.
 *
 * How reporting and protecting go together is the VM's choice (vmmu_vm_options.dirty_flags):
 *
 * 	by default        vmmu_dirty_get() does both, for all pages of the slot
 * 	VMMU_DIRTY_MANUAL vmmu_dirty_get() copies and changes nothing; vmmu_dirty_clear() clears and
 * 	                  protects pages one asks for, just before they are copied
 *
 * Rings (vmmu_vm_options.dirty_ring_entries) take the bitmaps' place: each vCPU lists the pages
 * that it wrote. They are harvested, then reset, which protects them again, and then copied. A vCPU
 * whose ring is nearly full does not go on (VMMU_EXIT_RING_FULL) before that was done. Writes of no
 * vCPU have no ring to go to; with VMMU_DIRTY_RING_BITMAP there are bitmaps for them, beside the
 * rings.
 */
#ifndef VMMU_DIRTY_H
#define VMMU_DIRTY_H

#include <vmmu/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Copy a slot's dirty bitmap (bit n: page n of the slot) and clear it: pages reported become
 * write-protected, and the flush is done on return. With VMMU_DIRTY_MANUAL it is copied alone.
 * BITMAP has room for BITS bits, at least the slot's pages, rounded up to 64. *count (may be NULL):
 * bits set.
 *
 *   -EINVAL  bad ids, or BITS too small
 *   -ENXIO   there are rings and no bitmaps
 *   -ENOENT  no such slot, or it does not log
 *   -EDEADLK from a callback or inside a reader; -EIO
 * Locking: takes the slots lock and the mmu lock; a slot update holds the former while it waits for
 * invalidations, so not between invalidate begin and end where another thread may update slots.
 * Cost: one walk for each page reported; BY_BITS: a look at every entry of the slot.
 */
VMMU_API int vmmu_dirty_get(struct vmmu_vm *vm, unsigned as_id, unsigned id, uint64_t *bitmap,
			    uint64_t bits, uint64_t *count);

/* Pages of a slot that vmmu_dirty_clear() is to clear. */
struct vmmu_dirty_range {
	unsigned as_id, id;     /* the slot */
	uint64_t first;         /* page of the slot, a multiple of 64 */
	uint64_t pages;         /* a multiple of 64, unless they reach the slot's end */
	const uint64_t *bitmap; /* bit n: page FIRST + n; (PAGES + 63) / 64 words */
};

/*
 * Clear, of the pages that RANGE names and whose bits in its bitmap are set, those that are dirty,
 * and write-protect just these; the flush is done on return. A large page over one of them is
 * protected as a whole, and split by the next write to it; with vmmu_vm_options.eager_split it is
 * split first. Bits of pages that are not dirty, and beyond the slot's end, do not matter. *count
 * (may be NULL): how many were cleared. With or without VMMU_DIRTY_MANUAL.
 *
 *   -EINVAL  bad ids; FIRST no multiple of 64
 *   -ENXIO   there are rings and no bitmaps
 *   -ENOENT  no such slot, or it does not log
 *   -EINVAL  RANGE reaches beyond the slot; PAGES no multiple of 64 and does not reach its end
 *   -EDEADLK from a callback or inside a reader; -EIO
 * Locking: as vmmu_dirty_get(). Cost: one walk for each page cleared.
 */
VMMU_API int vmmu_dirty_clear(struct vmmu_vm *vm, const struct vmmu_dirty_range *range,
			      uint64_t *count);

/* A page that a vCPU wrote. */
struct vmmu_dirty_page {
	uint32_t slot; /* as_id << 16 | id */
	uint64_t page; /* page of the slot */
};

/* Entries of a ring that are kept in reserve: it counts as full when no more are left. */
#define VMMU_DIRTY_RING_RESERVED 64
/* More of them with VMMU_DIRTY_BY_LOG, for what one hardware log holds. */
#define VMMU_DIRTY_LOG_ENTRIES 512
/* Least and most entries of a ring; there are always more than its reserve. */
#define VMMU_DIRTY_RING_MIN (2 * VMMU_DIRTY_RING_RESERVED)
#define VMMU_DIRTY_RING_MAX 65536

/*
 * Take up to MAX pages out of the rings of all vCPUs, those that are gone included, into PAGES;
 * *count: how many. What one call leaves the next one takes. A page may come more than once. Before
 * it is copied, vmmu_dirty_ring_reset() must have returned: until then it may be written unseen. A
 * page of a slot that has changed meanwhile is one of the slot as it was.
 *
 * -EINVAL: NULL; -ENXIO: no rings; -EDEADLK, -EIO. Any thread, also while vCPUs run, which go on.
 */
VMMU_API int vmmu_dirty_ring_harvest(struct vmmu_vm *vm, struct vmmu_dirty_page *pages,
				     uint64_t max, uint64_t *count);
/*
 * Protect again all pages that were harvested, and give their places in the rings back; the flush
 * is done on return. *count (may be NULL): how many entries.
 *
 * -EINVAL: NULL; -ENXIO: no rings; -EDEADLK, -EIO. Locking: as vmmu_dirty_get(), the mmu lock part
 * by part. Cost: one walk for each page.
 */
VMMU_API int vmmu_dirty_ring_reset(struct vmmu_vm *vm, uint64_t *count);

/*
 * VCPU wrote the pages of gpas[0..count-1] (bytes) of its address space in a way that no table saw:
 * emulated, or listed by hardware in a log of its own. Call after the write; gpas where nothing
 * logs are left out. *done (may be NULL): how many gpas were dealt with.
 *
 * -EINVAL: NULL; -ENOTSUP: VMMU_MODE_RANGES; -EBUSY: a call on VCPU is under way; -ENOSPC: its ring
 * is full, harvest and reset, and go on with what is left; -EIO. As vmmu_fault(), one call per vCPU
 * at a time. Takes no lock.
 */
VMMU_API int vmmu_dirty_log(struct vmmu_vcpu *vcpu, const uint64_t *gpas, uint64_t count,
			    uint64_t *done);
/*
 * Gpas [gpa, gpa + bytes) of an address space were written by no vCPU: a device. Call after the
 * write. Pages where nothing logs are left out.
 *
 * -EINVAL: NULL, no such as_id, or gpa + bytes wraps; -ENOTSUP: VMMU_MODE_RANGES; -ENXIO: there are
 * rings and no bitmaps; -EIO. Any thread. Takes no lock. Cost: one atomic for each page.
 */
VMMU_API int vmmu_dirty_mark(struct vmmu_vm *vm, unsigned as_id, uint64_t gpa, uint64_t bytes);

#ifdef __cplusplus
}
#endif
#endif
