/* SPDX-License-Identifier: MIT */
/*
 * The environment: what the embedder does for a VM. Callbacks may be NULL where the comment says
 * so.
 *
 * Locks. Each callback's comment says whether the VM's mmu lock is held ("locked") when it runs.
 * From a locked one, and from event() and on_bug() wherever they run, only calls that take no
 * lock may be made: vmmu_walk(), vmmu_walk_path(), vmmu_translate(), vmmu_age(), vmmu_test_age(),
 * vmmu_dirty_mark(), vmmu_dirty_log(), vmmu_slot_generation() and those of vmmu/format.h. All
 * others, on whatever VM, fail with -EDEADLK (those that return nothing do nothing): the thread
 * would wait for itself. From any callback, calls on the vCPU that a fault is being handled for
 * fail with -EBUSY. A callback may take locks of its own, which then come after the mmu lock: never
 * call the library with them held. Faults in tdp roots share that lock: their flush(), event() and
 * host_span() may run at the same time.
 */
#ifndef VMMU_ENV_H
#define VMMU_ENV_H

#include <vmmu/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct vmmu_event;

/* How a page lookup went. */
enum vmmu_resolve_status {
	VMMU_RESOLVE_OK, /* pfn is RAM */
	/*
	 * pfn is I/O memory: never prefetched, and never cached (WRITEBACK is taken for DEVICE).
	 * Large only where the level given with it says so, as RAM
	 */
	VMMU_RESOLVE_IO,
	VMMU_RESOLVE_READ_ONLY,   /* a write, and the host maps the page read-only: emulate it */
	VMMU_RESOLVE_UNMAPPED,    /* the host has no page there */
	VMMU_RESOLVE_POISONED,    /* hardware memory error */
	VMMU_RESOLVE_WOULD_BLOCK, /* only with VMMU_RESOLVE_NO_WAIT */
	VMMU_RESOLVE_INTERRUPTED, /* a signal: the fault ends with RETRY */
};

enum vmmu_resolve_flag {
	VMMU_RESOLVE_NO_WAIT = 1 << 0, /* answer WOULD_BLOCK rather than sleep */
	/* prefetch: only a page that is there and writable; else UNMAPPED */
	VMMU_RESOLVE_NO_FAULT = 1 << 1,
	/* the private page of gfn, wherever the host keeps those, not the one at hva */
	VMMU_RESOLVE_PRIVATE = 1 << 2,
};

struct vmmu_page_request {
	uint64_t gfn;
	uint64_t hva;    /* bytes: the page's address by its slot, page aligned */
	unsigned access; /* the faulting access: VMMU_READ, WRITE or EXEC */
	unsigned flags;  /* enum vmmu_resolve_flag, or-ed */
	unsigned slot_id;
	unsigned as_id;
};

struct vmmu_page {
	uint64_t pfn; /* host frame of gfn itself, in smallest pages */
	/* largest level at which the host maps around it; 0 counts as 1 */
	unsigned level;
	enum vmmu_memtype memtype;
	/* may be mapped for write (a read fault may answer false: zero page) */
	bool writable;
};

/* Pages that the host has in one piece. */
struct vmmu_page_run {
	struct vmmu_page page; /* the first one */
	/* those, smallest ones, that follow one another: frames; all else as the first */
	uint64_t pages;
};

/* What a flush covers. */
struct vmmu_flush {
	uint64_t gfn_start, gfn_end; /* half-open; 0 and UINT64_MAX: everything */
	unsigned as_id;
	unsigned vcpu_id; /* meaningful with local */
	/* only the faulting vCPU's TLB need forget (RISC-V fence after map) */
	bool local;
};

struct vmmu_env {
	size_t size; /* sizeof(struct vmmu_env) of the caller */
	/*
	 * Find the host page behind a guest page. Required. Not locked (NO_FAULT: locked); may
	 * sleep unless flags forbid it. May call everything but vmmu_slot_set(), in particular
	 * vmmu_invalidate_begin() and end(), unless NO_FAULT is set. A page given here may be
	 * mapped until an invalidation covers its gfn.
	 */
	enum vmmu_resolve_status (*resolve)(void *ctx, const struct vmmu_page_request *request,
					    struct vmmu_page *page);
	/*
	 * Largest level at which the host maps the page at HVA now (1 if only smallest pages).
	 * NULL: always 1, and nothing is ever collapsed when dirty logging ends. Locked.
	 */
	unsigned (*host_level)(void *ctx, uint64_t hva, uint64_t gfn);
	/*
	 * Make every TLB (or the one vCPU's) forget a range of an address space, whichever one each
	 * vCPU runs in now; must have taken effect on return.
	 * NULL: no hardware runs these tables. Locked, but for local flushes.
	 */
	void (*flush)(void *ctx, const struct vmmu_flush *flush);
	/*
	 * VCPU must leave the guest and call vmmu_vcpu_root() before it enters again; the root it
	 * runs on is obsolete. NULL: ignored. Locked: note it for VCPU's thread, do not wait for
	 * it.
	 */
	void (*kick)(void *ctx, unsigned vcpu_id);
	/*
	 * An invariant broke: WHAT says which. The VM is poisoned, every call fails with -EIO.
	 * NULL: silent.
	 */
	void (*on_bug)(void *ctx, const char *what);
	/* See vmmu/event.h. NULL: no events, at no cost. */
	void (*event)(void *ctx, const struct vmmu_event *event);
	/*
	 * Lend memory for one table: BYTES bytes, a power of two (4096, or what the format's
	 * geometry says of a root or a larger granule), whatever is in them. All lies where
	 * vmmu_vm_options.tables says that it may, aligned to BYTES as hardware sees it, and is the
	 * library's until table_put(). What is not so, or lent twice, is not touched, but breaks
	 * the VM: on_bug(), -EIO. NULL: there is none; the call fails with -ENOMEM, or gets by
	 * without.
	 * NULL for both: tables are taken from anywhere in vmmu_vm_options.tables. Locked: it must
	 * not wait for a thread that may be in a call on VM.
	 */
	void *(*table_get)(void *ctx, uint64_t bytes);
	/*
	 * Take back, in one piece, what table_get() gave: no table any more, and neither a reader
	 * nor a TLB knows of it. A VM keeps up to 16 free ones, or as many as it asked for ahead of
	 * a fault, until vmmu_vm_destroy() gives back the last. Locked.
	 */
	void (*table_put)(void *ctx, void *table, uint64_t bytes);
	/*
	 * How much around the page at HVA, between the levels, the host has in one piece now: lg2
	 * smallest pages of the largest aligned block of frames around the page's own that stand,
	 * in order, behind the addresses around HVA, all there, with the same rights and memory
	 * type; 0: the page alone. Faults of formats with groups (vmmu_geometry.group_lg2) then map
	 * a group at once, where slots and dirty logs let them; as with a large page, the host
	 * invalidates what it is about to change. NULL: always 0. Locked.
	 */
	unsigned (*host_span)(void *ctx, uint64_t hva, uint64_t gfn);
	/*
	 * resolve() for COUNT pages, 1 at least, from REQUEST's on, all of one slot: the
	 * host's part of vmmu_prefault() in tdp roots. Write to RUNS, which has room for MAX,
	 * what is behind the first of them, one run after another without gaps, COUNT pages at
	 * most, and return how many runs there are. Only pages that resolve() would answer
	 * with RESOLVE_OK. It is called again for those that are left; for the first page of a
	 * call that returned 0 resolve() is.
	 * NULL: resolve() is asked for each. Not locked; may sleep, and call what resolve() may.
	 */
	unsigned (*resolve_ahead)(void *ctx, const struct vmmu_page_request *request,
				  uint64_t count, struct vmmu_page_run *runs, unsigned max);
};

/* All that must be there of a caller's struct vmmu_env: up to resolve. See vmmu/vm.h. */
#define VMMU_ENV_MIN offsetof(struct vmmu_env, host_level)

#ifdef __cplusplus
}
#endif
#endif
