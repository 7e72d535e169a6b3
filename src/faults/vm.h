/* SPDX-License-Identifier: MIT */
/*
 * A VM and its vCPUs.
 *
 * Locks, outermost first: slots.lock; invalidate.lock; rings.lock; mmu_lock; RCU read section.
 * Whoever is in an RCU section takes no lock, and nobody waits for readers with mmu_lock held.
 * vCPUs of tdp roots hold the mmu lock shared: see tdp.h. "Locked" without more is exclusive.
 */
#ifndef VMMU_FAULTS_VM_H
#define VMMU_FAULTS_VM_H

#include <pthread.h>
#include <vmmu/vm.h>

#include "base/lock.h"
#include "base/objcache.h"
#include "faults/engine.h"
#include "faults/tdp.h"
#include "memory/dirty_log.h"
#include "memory/ring.h"
#include "memory/slots.h"
#include "walker/tree.h"

/*
 * Host invalidations whose ends can be checked against their begins; further nested ones are only
 * counted.
 */
#define INVALIDATE_TRACKED 32

/* Retired tables that make an unlock wait for readers and free them (tests/interleave: fewer). */
#ifndef RETIRED_MAX
#define RETIRED_MAX 64
#endif

/* Chunks that a fault may need: one per leaf (its own and 7 prefetched) and one per new table. */
#define FAULT_CHUNKS (8 + VMMU_LEVELS_MAX)

struct vm_invalidate {
	pthread_mutex_t lock; /* active, ranges */
	pthread_cond_t idle;  /* active fell to 0 */
	uint64_t active;      /* begins without an end */
	uint64_t tracked_count;
	struct {
		uint64_t start, end; /* hvas, bytes */
		const void *thread;  /* who began: its sync_self() */
	} tracked[INVALIDATE_TRACKED];
	/* Below: written with mmu_lock held. */
	_Atomic uint64_t seq;                /* ends that met a slot, so far */
	_Atomic uint64_t in_progress;        /* begins that met a slot, without their end */
	_Atomic uint64_t gfn_start, gfn_end; /* hull of what is in progress, all address spaces */
	uint64_t total;
};

/* The dirty rings of all vCPUs, and of those that are gone and left something in theirs. */
struct vm_rings {
	pthread_mutex_t lock; /* the list, and the consumer's side of each ring */
	struct list list;
	uint32_t entries; /* of each; 0: there are none */
};

struct vmmu_vm {
	const struct vmmu_engine *engine;
	const struct vmmu_format *format; /* pinned */
	const struct vmmu_geometry *geometry;
	struct vmmu_env env;
	void *env_ctx;
	struct slots slots;
	struct vm_invalidate invalidate;
	struct vm_rings rings;
	unsigned max_level; /* largest mapping */
	unsigned as_count;
	bool nx_huge;
	bool eager_split;
	enum vmmu_mode mode;
	_Atomic bool is_poisoned;
	_Atomic uint64_t flushes; /* of several vCPUs */
	_Atomic uint64_t aged;
	enum vmmu_root_mode root_mode; /* of vCPUs that do not ask for another */
	enum vmmu_slot_zap slot_zap;
	unsigned dirty_flags; /* enum vmmu_dirty_flag, or-ed */
	enum vmmu_dirty_source dirty_source;
	enum vmmu_resize resize;
	unsigned policies; /* enum vmmu_policy, or-ed */
	/* current roots of root_mode, and of the other mode; NULL: none yet */
	_Atomic(struct table *) roots[VMMU_ADDRESS_SPACES_MAX];
	_Atomic(struct table *) other_roots[VMMU_ADDRESS_SPACES_MAX];
	struct brlock shared; /* the mmu lock shared, on top of it */
	struct lock mmu_lock;
	/* Below: mmu_lock. */
	struct tree tree;
	bool is_taking_dirt; /* dirty bits that go just now were reported, or need not be */
	struct list vcpus;
	/* invalid tdp roots that still map something, by hash_next; those that came last first */
	struct table *dying;
	unsigned tdp_newest;    /* address space of the tdp root that came last */
	uint64_t tables_max;    /* quota in force; UINT64_MAX: none */
	bool is_tables_max_set; /* asked for; else it follows slot_gfns */
	uint64_t slot_gfns;     /* smallest pages in all slots */
	struct vmmu_stats past; /* counters of vCPUs that are gone, and of no vCPU */
};

/* Can a slot of VM have these ids? */
static inline bool vm_has_slot_ids(const struct vmmu_vm *vm, unsigned as_id, unsigned id)
{
	return as_id < vm->as_count && id < VMMU_SLOT_IDS;
}

/* What kind of root is TABLE part of? */
static inline enum vmmu_root_mode table_mode(const struct table *table)
{
	return atomic_load_explicit(&table->flags, memory_order_relaxed) & TABLE_TDP
		       ? VMMU_ROOT_TDP
		       : VMMU_ROOT_DIRECT;
}

/* A vCPU's answer to "is this gfn MMIO" without a walk. */
struct mmio_cache {
	uint64_t gfn;
	uint64_t generation;
	bool is_set;
};

/* Roots that a vCPU keeps for its return, besides the one it stands on. */
#define PREVIOUS_ROOTS 3

/* Policies by which a leaf depends on what its fault asked for. */
#define VM_POLICIES_ASKED (VMMU_POLICY_EXEC_BY_FETCH | VMMU_POLICY_LOGGED_READ_ONLY)

struct vmmu_vcpu {
	struct vmmu_vm *vm;
	struct list link;
	unsigned id;
	unsigned as_id;
	enum vmmu_root_mode root_mode;
	_Atomic(struct table *) *current; /* vm_root() of root_mode and as_id */
	struct table *root;               /* loaded; counted in its root_count; NULL: none yet */
	_Atomic uint64_t *entries;        /* of root */
	/* left last first, NULLs behind; counted like it. May turn obsolete any time */
	struct table *previous[PREVIOUS_ROOTS];
	_Atomic bool must_reload; /* kicked: the root is obsolete */
	/* a call is under way; catches calls on it from inside the page lookup */
	_Atomic bool is_busy;
	bool may_share;  /* registered with the lock, of a VM of VMMU_MODE_RANGES */
	unsigned asked;  /* by the fault under way, where a policy limits it; else 0 */
	bool must_flush; /* a new root was loaded and the hardware does not know */
	struct mmio_cache mmio;
	struct slot_cache slot_cache;
	struct dirty_ring *ring; /* NULL: what it writes goes to the slots' bitmaps */
	struct objcache chunks;
	struct vmmu_stats stats; /* its own events only; added up on demand */
	struct tdp_vcpu tdp;
};

/* Must VCPU wait until somebody has harvested and reset its dirty ring? Its own thread. */
static inline bool vcpu_has_full_ring(const struct vmmu_vcpu *vcpu)
{
	return unlikely(vcpu->ring != NULL) && ring_is_full(vcpu->ring);
}

/* VCPU, which has a ring with room, lists gfn of SLOT there. */
void vcpu_push_dirty(struct vmmu_vcpu *vcpu, struct memslot *slot, uint64_t gfn);
/*
 * VCPU has written gfn of SLOT, or can from now on. Its own thread, which saw that its ring was not
 * full.
 */
static inline void vcpu_mark_dirty(struct vmmu_vcpu *vcpu, struct memslot *slot, uint64_t gfn)
{
	if (likely(!(slot->flags & VMMU_SLOT_LOG_DIRTY)))
		return;
	if (unlikely(vcpu->ring != NULL))
		vcpu_push_dirty(vcpu, slot, gfn);
	else
		memslot_log_dirty(slot, gfn);
}
/* A ring for VCPU, if VM has any. -ENOMEM. */
int vcpu_ring_open(struct vmmu_vcpu *vcpu);
/* VCPU goes; what its ring still holds stays to be harvested and reset. */
void vcpu_ring_close(struct vmmu_vcpu *vcpu);
/* VM is destroyed: its vCPUs are gone. */
void vm_rings_destroy(struct vmmu_vm *vm);

static inline bool vcpu_is_direct(const struct vmmu_vcpu *vcpu)
{
	return vcpu->root_mode == VMMU_ROOT_DIRECT;
}

/* The current root of an address space by mode. */
static inline _Atomic(struct table *) *vm_root(struct vmmu_vm *vm, enum vmmu_root_mode mode,
					       unsigned as_id)
{
	return mode == vm->root_mode ? &vm->roots[as_id] : &vm->other_roots[as_id];
}

static inline bool vcpu_is_busy(const struct vmmu_vcpu *vcpu)
{
	return atomic_load_explicit(&vcpu->is_busy, memory_order_relaxed);
}

static inline void vcpu_set_busy(struct vmmu_vcpu *vcpu)
{
	atomic_store_explicit(&vcpu->is_busy, true, memory_order_relaxed);
}

static inline void vcpu_set_idle(struct vmmu_vcpu *vcpu)
{
	atomic_store_explicit(&vcpu->is_busy, false, memory_order_relaxed);
}

/*
 * Enter and leave the exclusive section. vm_unlock() flushes what is owed, and now and then waits
 * for readers to free retired tables: call it outside RCU sections of one's own. Inline for the
 * fault: see vm_lock.h.
 */
void vm_lock(struct vmmu_vm *vm);
void vm_unlock(struct vmmu_vm *vm);
/*
 * The mutex of the mmu lock alone: keeps others from the frame pool and from the exclusive section,
 * but not vCPUs of tdp roots from their faults. No RCU section comes with it.
 */
void vm_frames_lock(struct vmmu_vm *vm);
void vm_frames_unlock(struct vmmu_vm *vm);
/* Wait for readers and free all retired tables. Not locked, no RCU section. */
void vm_reap(struct vmmu_vm *vm);
/*
 * Locked: the same without letting go of the lock, for whoever cannot: readers take no lock, so
 * they leave all the same. Ends and begins the RCU section that comes with the lock.
 */
void vm_reap_locked(struct vmmu_vm *vm);
/* An invariant broke: the VM answers -EIO from now on. */
void vm_bug(struct vmmu_vm *vm, const char *what);
static inline bool vm_is_poisoned(const struct vmmu_vm *vm)
{
	return atomic_load_explicit(&vm->is_poisoned, memory_order_relaxed);
}

/* Before the VM is used: the quota that the options ask for, COUNT tables or 0. */
void quota_init(struct vmmu_vm *vm, uint64_t count);
/* Locked: slots of GFNS smallest pages came (or, negative, went). */
void quota_slots_changed(struct vmmu_vm *vm, int64_t gfns);
/*
 * Locked: may as many tables be made as one fault or one root may need? Makes room first, if need
 * be: tables go, those above a gfn just being faulted in too, but never one that a vCPU holds as a
 * root. Whoever looked something up in the tables before looks again.
 */
bool quota_make_room_slow(struct vmmu_vm *vm);
static inline bool quota_make_room(struct vmmu_vm *vm)
{
	return likely(vm->tree.live + vm->geometry->levels <= vm->tables_max) ||
	       quota_make_room_slow(vm);
}

/*
 * May this thread take the locks of VM? 0; -EIO: poisoned; -EDEADLK: it is inside a reader, which
 * everybody who has the mmu lock of any VM is: in a callback, that is, or between
 * vmmu_reader_begin() and end. It would wait for itself, for the lock or for readers.
 */
int vm_may_lock(const struct vmmu_vm *vm);
/* The same for calls that VMs of VMMU_MODE_FAULTS alone have; -ENOTSUP: VM is another. */
int vm_may_change_faults(const struct vmmu_vm *vm);
/*
 * The same for calls that change slots, or what is kept for each of them. -EDEADLK also between
 * begin and end of an invalidation of this thread's, whose end they would wait for.
 */
int vm_may_update_slots(struct vmmu_vm *vm);

/*
 * Locked, and the slots lock held: with eager_split, make large leaves of RANGE, whose slot logs
 * writes, small. Gives the lock away in between. What was split is flushed or owed. -ENOMEM: no
 * room for more tables, those that are left stay large: whoever writes there splits them.
 */
int vm_split_range(struct vmmu_vm *vm, const struct slot_range *range);
/* Locked: make all tables obsolete and kick all vCPUs. Gives the lock away in between. */
void vm_zap_all(struct vmmu_vm *vm);
/* Locked: VCPU no longer stands on any root, and keeps none. */
void vcpu_drop_roots(struct vmmu_vcpu *vcpu);
/*
 * Locked: load the current root of VCPU's address space if it does not stand on it. -ENOMEM,
 * -ENOSPC.
 */
int vcpu_load_root(struct vmmu_vcpu *vcpu);
/* Not locked: the same, with what can be done about a lack of room. */
int vcpu_reload(struct vmmu_vcpu *vcpu);
/*
 * Does VCPU stand on the current root of its kind and address space? Its own thread, or locked. A
 * root that somebody holds is current until it is obsolete, and is no other one meanwhile.
 */
static inline bool vcpu_has_current_root(const struct vmmu_vcpu *vcpu)
{
	const struct table *root = vcpu->root;

	return root && atomic_load_explicit(vcpu->current, memory_order_acquire) == root;
}

/* Is an invalidation that covers gfn under way? Exact with the lock held. */
static inline bool vm_is_being_invalidated(const struct vmmu_vm *vm, uint64_t gfn)
{
	const struct vm_invalidate *inv = &vm->invalidate;

	return unlikely(atomic_load_explicit(&inv->in_progress, memory_order_acquire)) &&
	       gfn >= atomic_load_explicit(&inv->gfn_start, memory_order_relaxed) &&
	       gfn < atomic_load_explicit(&inv->gfn_end, memory_order_relaxed);
}

/* The same, or has one ended since SEQ was read? */
static inline bool vm_must_retry(const struct vmmu_vm *vm, uint64_t gfn, uint64_t seq)
{
	const struct vm_invalidate *inv = &vm->invalidate;

	if (vm_is_being_invalidated(vm, gfn))
		return true;
	/*
	 * Pairs with the release in invalidate_finish(): an end seen as over is also seen as
	 * counted.
	 */
	return atomic_load_explicit(&inv->seq, memory_order_acquire) != seq;
}
/*
 * Locked: is an invalidation of any of gfns [start, end) under way? May be true for gfns beside it.
 */
bool vm_is_invalidating(const struct vmmu_vm *vm, uint64_t start, uint64_t end);

/*
 * Locked, and the slots lock held: gfns [start, end) of all address spaces are being invalidated,
 * or no longer. The caller takes away what is mapped there in between.
 */
void vm_invalidate_gfns_begin(struct vmmu_vm *vm, uint64_t start, uint64_t end);
void vm_invalidate_gfns_end(struct vmmu_vm *vm);
/* Not locked: drop what is mapped in RANGE, with the flush done, by several holds of the lock. */
void vm_zap_by_parts(struct vmmu_vm *vm, const struct slot_range *range);
/* Is gfn private? RCU: reader. */
bool vm_is_private(struct vmmu_vm *vm, uint64_t gfn);

/*
 * Internal flag of a fault that nobody raised: vmmu_prefault(). It maps for READ what is not
 * mapped, and nothing else. Outcomes are a fault's, but -EAGAIN where a slot is going away, and
 * -EINTR.
 */
#define FAULT_AHEAD (1u << 31)

/* Has this thread begun an invalidation that has not ended? Slot updates would wait for it. */
bool vm_has_begun_invalidation(struct vmmu_vm *vm);

/* Hooks of the memslots (memory/slots.h), with the VM as ctx. */
void vm_publish_begin(void *ctx);
void vm_publish_end(void *ctx);
void vm_slot_drop(void *ctx, const struct memslot *old);
void vm_slots_updated(void *ctx, unsigned as_id, uint64_t generation);
void vm_slot_commit(void *ctx, enum slot_change change, const struct memslot *old,
		    const struct memslot *new_slot);

/* Tell the event sink, if there is one; FIELDS are designated initialisers of struct vmmu_event. */
#define vm_event(vm, ...)                                                                  \
	do {                                                                               \
		if (unlikely((vm)->env.event != NULL))                                     \
			(vm)->env.event((vm)->env_ctx, &(struct vmmu_event){__VA_ARGS__}); \
	} while (0)

#endif
