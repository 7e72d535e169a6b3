/* SPDX-License-Identifier: MIT */
/*
 * VMs, vCPUs and roots.
 *
 * Threads: the library reads memslots and tables under RCU, and RCU must know its readers. A thread
 * is registered at its first call that reads, and unregistered when it ends; one that cannot have
 * that happen in the middle of its work calls vmmu_thread_register() before. A vCPU may move
 * between threads as long as no two calls on it overlap.
 *
 * fork(): the child may use and destroy every VM on which no other thread of the parent had a call
 * under way at that moment (lockless readers do not count), and create others; its one thread stays
 * registered if it was. Not from inside a callback, nor between the begin and end of a reader or an
 * update.
 */
#ifndef VMMU_VM_H
#define VMMU_VM_H

#include <vmmu/env.h>
#include <vmmu/format.h>
#include <vmmu/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Who decides what is mapped. */
enum vmmu_mode {
	VMMU_MODE_FAULTS, /* memslots and vmmu_fault(): KVM's direct MMU or its TDP MMU */
	VMMU_MODE_RANGES, /* the embedder, up front: vmmu/range.h. There are no memslots */
};

/* How the tables that a vCPU runs on are kept, in a VM of VMMU_MODE_FAULTS. */
enum vmmu_root_mode {
	/* one fault at a time; mappings are found again by what they map: KVM's shadow pages */
	VMMU_ROOT_DIRECT,
	/* faults of all vCPUs at once, without locks between them: KVM's TDP MMU */
	VMMU_ROOT_TDP,
};

/* What a slot that is deleted or moved takes with it. */
enum vmmu_slot_zap {
	VMMU_SLOT_ZAP_ALL,   /* every mapping of every address space: KVM's default */
	VMMU_SLOT_ZAP_RANGE, /* its own mappings (KVM without KVM_X86_QUIRK_SLOT_ZAP_ALL) */
};

/* How it is found out that a page was written, where writes are logged. See vmmu/dirty.h. */
enum vmmu_dirty_source {
	VMMU_DIRTY_BY_FAULTS, /* it is write-protected: the first write is a fault */
	/*
	 * the rest for formats with VMMU_CAP_HW_DIRTY: hardware sets a bit in the entry, which
	 * vmmu_dirty_get() looks for. Not with rings
	 */
	VMMU_DIRTY_BY_BITS,
	/*
	 * and lists the page in a log of its own (Intel's page-modification log), which is brought
	 * in by vmmu_dirty_log()
	 */
	VMMU_DIRTY_BY_LOG,
};

/* How dirty logs are kept; flags of vmmu_vm_options.dirty_flags. See vmmu/dirty.h. */
enum vmmu_dirty_flag {
	/* vmmu_dirty_get() only copies, vmmu_dirty_clear() does the rest: KVM's manual protect */
	VMMU_DIRTY_MANUAL = 1 << 0,
	/*
	 * with MANUAL: pages of a slot that begins to log count as written, and nothing is
	 * protected before they are cleared. Switching logging on then costs next to nothing
	 */
	VMMU_DIRTY_INITIALLY_SET = 1 << 1,
	/* with rings, but not with INITIALLY_SET: bitmaps too, for what no vCPU writes */
	VMMU_DIRTY_RING_BITMAP = 1 << 2,
};

/* Habits of particular kernels that make no other mapping; flags of vmmu_vm_options.policies. */
enum vmmu_policy {
	/*
	 * A table of a tdp root that goes is emptied as if vCPUs were in it: absent entries are
	 * frozen, and told, too (KVM)
	 */
	VMMU_POLICY_FREEZE_ABSENT = 1 << 0,
	/* a table that a large page will replace is frozen before it is absent (KVM 6.1) */
	VMMU_POLICY_FREEZE_COLLAPSED = 1 << 1,
	/*
	 * a writable leaf in the place of an MMIO entry, or of a writable leaf, is not dirty by
	 * itself: hardware marks it (KVM 6.1)
	 */
	VMMU_POLICY_CLEAN_OVER_OTHERS = 1 << 2,
	/*
	 * Invalid tdp roots are emptied level by level, from level 1 on (KVM from 6.9); by itself,
	 * of what is at levels up to 3 first
	 */
	VMMU_POLICY_ZAP_BY_LEVEL = 1 << 3,
	/*
	 * Under the NX rule for huge pages a fault never puts a large page in the place of a table,
	 * whyever that stands there; by itself, not where the rule put it (KVM 6.1)
	 */
	VMMU_POLICY_NX_ANY_TABLE = 1 << 4,
	/* the rest: KVM on Arm and RISC-V, where there are no rmaps. For tdp roots */
	/* leaves get EXEC by fetches only; what a leaf grants already stays (Arm) */
	VMMU_POLICY_EXEC_BY_FETCH = 1 << 5,
	/* where writes are logged, a fault gives WRITE only for a write */
	VMMU_POLICY_LOGGED_READ_ONLY = 1 << 6,
	/* where there is no memory, no entry says so: each access is a fault */
	VMMU_POLICY_NO_MMIO_ENTRIES = 1 << 7,
	/* nothing is fixed without the lock, so that each fault may make a page larger, too */
	VMMU_POLICY_LOCKED_FIX = 1 << 8,
	/* unmapping a range takes tables along that are empty then (Arm) */
	VMMU_POLICY_FREE_EMPTY = 1 << 9,
	/*
	 * a fault for less than the large leaf that is there fails with -EEXIST; a write is logged
	 * all the same (RISC-V 6.12)
	 */
	VMMU_POLICY_LARGE_STAYS = 1 << 10,
	/* a new slot that logs writes is write-protected like one that begins to */
	VMMU_POLICY_PROTECT_NEW = 1 << 11,
	/*
	 * with VMMU_RESIZE_ZAP: still, a fault that wants less than the large leaf that is there
	 * splits it in place (KVM 6.12)
	 */
	VMMU_POLICY_SPLIT_AT_FAULTS = 1 << 12,
	/*
	 * a read-only page for vmmu_remap() is mapped for reads also where nothing is, if there is
	 * a table to put it into (Arm, KVM up to 6.9)
	 */
	VMMU_POLICY_REMAP_ABSENT = 1 << 13,
	/*
	 * NOT SAFE, for comparisons: unmapping and write protection step over a range by what they
	 * meet, so that an absent table behind a start within it takes them over part of what comes
	 * next, which stays as it is; so do large leaves that are not in the range as a whole
	 * (RISC-V 6.12). Slots that went may stay mapped.
	 */
	VMMU_POLICY_STEP_WHOLE = 1 << 14,
	/* a fault for what a leaf of the wanted size grants already changes nothing (KVM 7.2) */
	VMMU_POLICY_LEAF_STAYS = 1 << 15,
	/*
	 * what vmmu_dirty_clear() splits ends before the last page that is cleared of each 64: a
	 * large page of which that is the first stays whole, protected (KVM 6.1)
	 */
	VMMU_POLICY_SPLIT_BUT_LAST = 1 << 16,
	/*
	 * vmmu_prefault() writes what is mapped already once more, as unused: what hardware marked
	 * is gone (KVM 6.12). With VMMU_DIRTY_BY_FAULTS
	 */
	VMMU_POLICY_PREFAULT_ANEW = 1 << 17,
	VMMU_POLICIES = (1 << 18) - 1,
};

/*
 * How mappings change their size: when a fault wants a smaller one, and when a slot's writes are no
 * longer logged.
 */
enum vmmu_resize {
	/*
	 * in place: what is mapped stays so (KVM's TDP MMU, larger ones from 6.13 on). Faults in
	 * DIRECT roots do as below
	 */
	VMMU_RESIZE_IN_PLACE,
	/* they are taken away, and come back by faults (KVM's TDP MMU of 6.1; its direct MMU) */
	VMMU_RESIZE_ZAP,
	/* nothing is done for it; a fault that wants another size makes way (KVM on Arm, RISC-V) */
	VMMU_RESIZE_BY_FAULTS,
};

/*
 * Structs that begin with their size may grow at their end. A caller that knows less of one gives a
 * smaller size, VMMU_*_MIN at least, and gets 0 for the rest; one that knows more must have left
 * that at 0. Anything else is -EINVAL.
 */
struct vmmu_vm_options {
	size_t size;                      /* sizeof(struct vmmu_vm_options) of the caller */
	const struct vmmu_format *format; /* required */
	const struct vmmu_env *env;       /* required; copied */
	void *env_ctx;                    /* handed to every callback */
	/* hpa of the first table frame, table-frame aligned; 0: 4 GiB */
	uint64_t tables_hpa;
	uint64_t tables_bytes;   /* most bytes of tables, reserved not used; 0: 1 GiB */
	unsigned address_spaces; /* 1 or 2; 0: 1 */
	unsigned max_level;      /* largest mapping; 0: the format's largest */
	/* no executable mapping above level 1 (the iTLB multihit rule) */
	bool nx_huge;
	enum vmmu_mode mode;
	/* most tables at a time, see vmmu_tables_quota_set(); 0: by the size of the slots */
	uint64_t tables_max;
	/*
	 * memory for tables: tables_bytes bytes that hardware sees at tables_hpa, all three
	 * multiples of the smallest table (4 KiB; 64 KiB for Arm's 64K granule). The caller's, who
	 * writes nothing there before vmmu_vm_destroy(); what is in it does not matter. NULL: the
	 * library reserves memory of its own, and tables_hpa is what it is to take for its address.
	 *
	 * With vmmu_env.table_get: the range in which those lie, which may have holes and be as
	 * large as the address space: only what is lent is touched. That pointers lie as their hpas
	 * do is what it means to be one range: whoever has memory in several places maps each at
	 * `tables + (hpa - tables_hpa)`. The library reserves, but does not use, 1/63 of its size
	 */
	void *tables;
	/* roots of vCPUs that do not ask for others (vmmu_vcpu_set_root()). RANGES: DIRECT only */
	enum vmmu_root_mode root;
	enum vmmu_slot_zap slot_zap;
	unsigned dirty_flags; /* enum vmmu_dirty_flag, or-ed. RANGES: 0 */
	/*
	 * entries of each vCPU's dirty ring, a power of two from VMMU_DIRTY_RING_MIN to _MAX; 0: no
	 * rings. RANGES: 0. Without VMMU_DIRTY_RING_BITMAP neither MANUAL nor INITIALLY_SET
	 */
	uint32_t dirty_ring_entries;
	enum vmmu_dirty_source dirty_source; /* RANGES: 0 */
	/*
	 * large mappings of a slot become small ones when its writes begin to be logged, rather
	 * than one by one as they are written (KVM's eager_page_split)
	 */
	bool eager_split;
	enum vmmu_resize resize;
	unsigned policies; /* enum vmmu_policy, or-ed; 0: the engine's own ways */
};

/* All that must be there: up to env_ctx. */
#define VMMU_VM_OPTIONS_MIN offsetof(struct vmmu_vm_options, tables_hpa)

struct vmmu_root {
	uint64_t hpa;   /* bytes: what the hardware's root register takes */
	unsigned level; /* level of the root table */
	unsigned as_id;
};

/* Counters of a VM since its creation; see the events for when each counts. */
struct vmmu_stats {
	uint64_t faults[7]; /* by enum vmmu_outcome */
	uint64_t fast_fixes;
	uint64_t mmio_installed, mmio_hits, mmio_stale;
	uint64_t flushes, local_flushes;
	uint64_t invalidations;
	uint64_t zap_all;
	uint64_t prefetched;
	uint64_t mapped[VMMU_LEVELS_MAX + 1]; /* leaves mapped now, by level */
	uint64_t tables, table_bytes;         /* live now */
	/* since creation; awaiting a grace period now */
	uint64_t tables_allocated, tables_freed, tables_awaiting;
	uint64_t mmio_entries;     /* installed now */
	uint64_t rmap_lengths[8];  /* gfns with 1, 2-3, 4-7, ... 128+ entries, now */
	uint64_t tables_max;       /* the quota in force; UINT64_MAX: none */
	uint64_t tables_reclaimed; /* taken from their places to keep within it, since creation */
	uint64_t remapped;         /* mappings whose page vmmu_remap() replaced in place */
	uint64_t prefaulted;       /* mappings that vmmu_prefault() made */
	uint64_t aged;             /* mappings that vmmu_age() made unused, since creation */
	uint64_t split;            /* mappings made smaller by eager_split, since creation */
	uint64_t collapsed; /* large mappings made of smaller ones in place, since creation */
	/* tables that stand where the NX rule alone forbids a large page, now */
	uint64_t nx_tables;
	uint64_t nx_recovered; /* of those taken away by vmmu_nx_recover(), since creation */
	/*
	 * groups of entries (see vmmu_geometry.group_lg2), since creation: made by faults, or put
	 * together again when logging ended; taken apart, whoever made them, because a part of
	 * them was to change
	 */
	uint64_t grouped, ungrouped;
};

/* Smallest quota of tables that may be asked for. */
#define VMMU_TABLES_MIN 16u

/* Register the calling thread as a reader. Idempotent. */
VMMU_API void vmmu_thread_register(void);
/* Undo vmmu_thread_register(); harmless on a thread that is not registered. */
VMMU_API void vmmu_thread_unregister(void);

/*
 * Create a VM. -EINVAL: an option is missing, unknown, misaligned or out of range; -ENOMEM.
 * On success *VM is the caller's, to be given to vmmu_vm_destroy().
 */
VMMU_API int vmmu_vm_create(const struct vmmu_vm_options *options, struct vmmu_vm **vm);
/*
 * Destroy VM and everything in it, vCPUs included. No call on it may be under way. NULL is ignored.
 */
VMMU_API void vmmu_vm_destroy(struct vmmu_vm *vm);
VMMU_API const struct vmmu_format *vmmu_vm_format(const struct vmmu_vm *vm);
/* RCU: reader. Takes the mmu lock. */
VMMU_API void vmmu_vm_stats(struct vmmu_vm *vm, struct vmmu_stats *stats);

/*
 * Let VM have at most COUNT tables, roots included; 0: one for every 50 smallest pages of all
 * slots, but at least 64, followed as slots come and go (KVM's rule). What is over goes at once.
 *
 * A fault or a load of a root that finds less than the format's levels left first makes room:
 * tables go oldest first, mappings and all, down to 25 free ones (or half of the quota); they
 * come back by faults. Roots that vCPUs stand on or keep for their return stay, and count.
 *
 * -EINVAL: COUNT is below VMMU_TABLES_MIN and not 0; -ENOTSUP: VMMU_MODE_RANGES, whose mappings
 * nobody would bring back; -EIO. Locking: takes the mmu lock, may wait for readers.
 */
VMMU_API int vmmu_tables_quota_set(struct vmmu_vm *vm, uint64_t count);

/*
 * Take away some of the tables that stand only because the guest fetched code where a large page
 * could be (vmmu_vm_options.nx_huge): one of RATIO of them, rounded up, oldest first, with what
 * they map. Where code is not run any more large pages come back by faults. Tables of slots that
 * log writes count as gone and stay. *recovered (may be NULL): how many went. KVM does so with 60
 * once a minute.
 *
 * -EINVAL: RATIO 0; -ENOTSUP: VMMU_MODE_RANGES; -EDEADLK: called from a callback or inside a
 * reader; -EIO. Locking: takes the mmu lock, and gives it away now and then. Cost: looks at each
 * table that is older.
 */
VMMU_API int vmmu_nx_recover(struct vmmu_vm *vm, unsigned ratio, uint64_t *recovered);

/* Create a vCPU with the caller's ID (unique in the VM: else -EEXIST). -ENOMEM, -EIO. */
VMMU_API int vmmu_vcpu_create(struct vmmu_vm *vm, unsigned id, struct vmmu_vcpu **vcpu);
VMMU_API void vmmu_vcpu_destroy(struct vmmu_vcpu *vcpu);
/*
 * Switch the address space that VCPU runs in (x86 SMM), from the next vmmu_vcpu_root() on. -EINVAL:
 * the VM has no such address space.
 *
 * A vCPU keeps the roots it left (the last 3) and goes back to one that is still good without
 * building anything and without a flush of its own: the environment's flush() of an address space
 * is due to all vCPUs, also to those that run in another one just then.
 */
VMMU_API int vmmu_vcpu_set_as(struct vmmu_vcpu *vcpu, unsigned as_id);
/*
 * Switch the kind of tables that VCPU runs on, from the next vmmu_vcpu_root() on (until then faults
 * are answered with VMMU_RETRY). Both kinds may be in use in one VM: what the host takes away,
 * write-protects or asks about goes for both. vmmu_walk() and its like look at those of the VM's
 * own kind (vmmu_vm_options.root).
 *
 * The first DIRECT one in a VM of VMMU_ROOT_TDP gives all slots what finds mappings again, 8 bytes
 * a page. -EINVAL: no such mode; -ENOTSUP: VMMU_MODE_RANGES; -ENOMEM: nothing changed; -EBUSY,
 * -EDEADLK: called from a callback, a reader or between invalidate begin and end; -EIO.
 * Locking: takes the slots lock and the mmu lock.
 */
VMMU_API int vmmu_vcpu_set_root(struct vmmu_vcpu *vcpu, enum vmmu_root_mode mode);
/*
 * The root that VCPU must run on. Call before each guest entry: it replaces an obsolete root (which
 * obliges the vCPU to flush its own TLB, *root changed or not, whenever *flush_local is set), and
 * lets go of all obsolete ones.
 * -ENOMEM; -ENOSPC: the quota of tables is used up by roots alone; -EIO.
 */
VMMU_API int vmmu_vcpu_root(struct vmmu_vcpu *vcpu, struct vmmu_root *root, bool *flush_local);

#ifdef __cplusplus
}
#endif
#endif
