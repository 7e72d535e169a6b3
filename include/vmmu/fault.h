/* SPDX-License-Identifier: MIT */
/*
 * The fault: what a guest access that the second stage refused asks for, and what came of it.
 */
#ifndef VMMU_FAULT_H
#define VMMU_FAULT_H

#include <vmmu/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * What hardware said of the fault; flags of vmmu_fault.flags. Hints: a wrong one costs time, never
 * safety.
 */
enum vmmu_fault_flag {
	VMMU_FAULT_PRESENT = 1 << 0, /* an entry was there and refused the access */
	/* reserved bit or misconfiguration: the MMIO marker on x86 */
	VMMU_FAULT_RSVD = 1 << 1,
	VMMU_FAULT_USER = 1 << 2,       /* the guest access was a user one */
	VMMU_FAULT_GUEST_WALK = 1 << 3, /* hardware was reading the guest's own page tables */
	/* set by the caller: the page lookup may answer "would block" */
	VMMU_FAULT_NO_WAIT = 1 << 4,
	/* set by vmmu_fault_ready(): nobody is waiting in the guest */
	VMMU_FAULT_READY = 1 << 5,
	/* the access is to memory as private, see vmmu/attributes.h. No hint: always to be set */
	VMMU_FAULT_PRIVATE = 1 << 6,
};

/* What became of a fault. */
enum vmmu_outcome {
	/* something changed meanwhile: re-enter the guest, it may fault again */
	VMMU_RETRY,
	VMMU_FIXED,         /* the access is mapped now */
	VMMU_SPURIOUS,      /* it already was: another vCPU was faster, or the TLB was stale */
	VMMU_EMULATE,       /* no memory there (MMIO), or a write that must not reach memory */
	VMMU_WRITE_TRACKED, /* a write to a page whose writes somebody tracks */
	VMMU_EXIT_TO_HOST,  /* only the host can go on: see vmmu_fault.exit */
	VMMU_GUEST_FAULT,   /* the guest's own tables refuse: inject (shadow and nested modes) */
	VMMU_OUTCOMES,
};

/* Why VMMU_EXIT_TO_HOST. */
enum vmmu_exit_reason {
	VMMU_EXIT_NONE,
	/* the host page has a hardware memory error; vmmu_fault.hva says where */
	VMMU_EXIT_POISONED,
	VMMU_EXIT_NO_PAGE, /* the host has no page there (-EFAULT in KVM's terms) */
	/* the page is on its way: call vmmu_fault_ready() when it is there */
	VMMU_EXIT_WOULD_BLOCK,
	/* the vCPU's dirty ring: harvest and reset the rings (vmmu/dirty.h), and enter again */
	VMMU_EXIT_RING_FULL,
	/*
	 * the memory is shared and the access private, or the other way round; or there is no
	 * memory, and the access private (KVM_EXIT_MEMORY_FAULT)
	 */
	VMMU_EXIT_MEMORY_FAULT,
};

/* What could not be accessed. */
struct vmmu_memory_fault {
	uint64_t gpa, bytes; /* one smallest page */
	unsigned access;     /* of the fault */
	bool is_private;     /* the fault had VMMU_FAULT_PRIVATE */
};

struct vmmu_fault {
	/* inputs */
	uint64_t gpa;       /* bytes */
	unsigned access;    /* exactly one of VMMU_READ, VMMU_WRITE, VMMU_EXEC */
	unsigned flags;     /* enum vmmu_fault_flag, or-ed */
	unsigned max_level; /* largest mapping allowed; 0: no limit */
	/* outputs, written by vmmu_fault() */
	uint64_t gfn;
	/* FIXED, SPURIOUS: host frame of gfn, when the page lookup was reached */
	uint64_t pfn;
	uint64_t hva;   /* bytes; POISONED, NO_PAGE, WOULD_BLOCK: host address of the page */
	unsigned level; /* FIXED, SPURIOUS: level of the mapping; of a group: of its entries */
	enum vmmu_exit_reason exit;
	struct vmmu_memory_fault memory; /* exits but RING_FULL; else unspecified */
	bool fast;                       /* fixed without the lock */
	bool mmio_cached; /* EMULATE: answered from the vCPU's cache or a current MMIO entry */
};

/*
 * Handle a fault of VCPU. Give the inputs; the outputs are written before it returns.
 *
 * Returns an enum vmmu_outcome, or
 *   -EINVAL  access is not exactly one right, flags has unknown bits, max_level is no leaf level of
 *            the format
 *   -ENOMEM  no memory for a table or for metadata; nothing changed
 *   -ENOSPC  the quota of tables is used up by roots that vCPUs hold: nothing can be reclaimed
 *   -EEXIST  VMMU_POLICY_LARGE_STAYS: a large leaf is where a smaller one is wanted
 *   -EBUSY, -EDEADLK  called from inside a callback or a reader (see vmmu/env.h)
 *   -EIO     the VM is poisoned: an invariant broke earlier (vmmu_env.on_bug said which)
 * A gpa beyond the format's input size is no error: it has no slot (VMMU_EMULATE).
 *
 * Locking: takes the VM's mmu lock, except on the lockless paths. Call without locks that the
 * environment's callbacks take. One call per vCPU at a time. The calling thread must be registered
 * (vmmu/vm.h). Cost: no heap allocation, no lock and no system call when the fast fix or an MMIO
 * cache answers.
 */
VMMU_API int vmmu_fault(struct vmmu_vcpu *vcpu, struct vmmu_fault *fault);

/*
 * The page that a fault with outcome EXIT_TO_HOST, VMMU_EXIT_WOULD_BLOCK waited for is there: map
 * it ahead of the guest's retry. Give the same inputs as then. Returns and errors as vmmu_fault().
 */
VMMU_API int vmmu_fault_ready(struct vmmu_vcpu *vcpu, struct vmmu_fault *fault);

/*
 * Map gpas [gpa, gpa + bytes) of VCPU's address space for reading (and for writing, where the host
 * page may be written) ahead of any access, as KVM_PRE_FAULT_MEMORY does: page after page, each as
 * large as a fault would map it, until all is mapped or one cannot be. What is mapped already stays
 * as it is, but for what a fault would map smaller now. Pages mapped so count as unused
 * (vmmu/age.h) where hardware can tell. In direct roots neighbours are mapped along, as by faults.
 * In tdp roots, where nobody listens to events, many pages are mapped at once, and
 * vmmu_env.resolve_ahead is asked for them.
 *
 * 0: at least one page was mapped, or was so already; *done (may be NULL) tells how many of BYTES
 * from gpa on are mapped, and a page that failed shows when the call is repeated from there. Else:
 *   -EINVAL     gpa or bytes not page aligned; bytes 0; gpa + bytes wraps
 *   -ENOENT     no slot there: an entry says so now, as after a fault; or beyond the format's
 *               input size
 *   -EAGAIN     its slot is just going away, or the host keeps taking the page away: try again
 *   -ENOBUFS    VCPU's dirty ring is full (VMMU_EXIT_RING_FULL)
 *   -EINTR      the page lookup was interrupted by a signal
 *   -EFAULT     the host has no page there
 *   -EHWPOISON  it has a hardware memory error
 *   -ENOTSUP    VMMU_MODE_RANGES
 *   -ENOMEM, -ENOSPC, -EBUSY, -EDEADLK, -EIO  as vmmu_fault()
 * Locking: as vmmu_fault(), which may not run on VCPU meanwhile.
 */
VMMU_API int vmmu_prefault(struct vmmu_vcpu *vcpu, uint64_t gpa, uint64_t bytes, uint64_t *done);

/* "fixed", "retry" ...; "?" for a number that is none. */
VMMU_API const char *vmmu_outcome_name(int outcome);

#ifdef __cplusplus
}
#endif
#endif
