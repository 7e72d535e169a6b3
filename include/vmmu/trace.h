/* SPDX-License-Identifier: MIT */
/*
 * Reading recorded traces: the kernel's `trace` file, `trace-cmd report`, `perf script`, and
 * memslot layouts, plain or compressed with gzip or zstd; and `trace.dat` files. One stream of
 * events in file order, whatever the tool that wrote them.
 */
#ifndef VMMU_TRACE_H
#define VMMU_TRACE_H

#include <vmmu/format.h>
#include <vmmu/invalidate.h>
#include <vmmu/slot.h>
#include <vmmu/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What an event is to a replay. */
enum vmmu_trace_kind {
	/* inputs */
	VMMU_TRACE_FAULT, /* second-stage fault: fault, architecture */
	/*
	 * Fault of shadow paging: gpa holds the gva. Or of a nested guest with second-stage tables
	 * of its own: gpa holds that guest's gpa, which is no gpa of ours. fault as far as known.
	 */
	VMMU_TRACE_FAULT_GVA,
	/* host invalidation: hva; kvm_set_spte_hva, of a page that gets another frame: count 1 */
	VMMU_TRACE_INVALIDATE,
	VMMU_TRACE_INVALIDATE_END, /* kit probe: the last INVALIDATE of its thread is over */
	/*
	 * mm_collapse_huge_page: what its thread invalidated last is one huge page now if count is
	 * 1, and as before if 0
	 */
	VMMU_TRACE_COLLAPSE,
	VMMU_TRACE_AGE, /* kvm_age_hva: hva; kvm_test_age_hva, which only asks: count 1 */
	/*
	 * slot call: slot, whose hva is 0 when the trace does not say; count: enum
	 * vmmu_trace_backed
	 */
	VMMU_TRACE_SLOT,
	VMMU_TRACE_DIRTY_GET, /* dirty log read: slot.as_id, slot.id */
	/*
	 * part of a dirty log cleared: slot.as_id, slot.id, gfn = first page of the slot, count =
	 * pages; stride: which of each 64, a bit for each
	 */
	VMMU_TRACE_DIRTY_CLEAR,
	VMMU_TRACE_DIRTY_MANUAL,  /* for all of the trace: count = enum vmmu_dirty_flag */
	VMMU_TRACE_DIRTY_RING,    /* for all of the trace: bytes of each vCPU's ring */
	VMMU_TRACE_DIRTY_HARVEST, /* all rings are emptied, and reset */
	VMMU_TRACE_PREFAULT,      /* KVM_PRE_FAULT_MEMORY: gpa, bytes */
	VMMU_TRACE_RECLAIM,       /* the host looks for bytes that it can take back */
	VMMU_TRACE_HOST_PAGE,     /* what the host has behind a page: host */
	VMMU_TRACE_DROP,          /* script "dontneed": slot.as_id, slot.id, gpa = offset, bytes */
	VMMU_TRACE_PROTECT,       /* script "protect": as DROP, and writable */
	/* script r, w, x, range: access, gpa (after a "mode" line a gva), count, stride */
	VMMU_TRACE_ACCESS,
	/* any other script line (mode, poke, ...); count 1: one that runs the guest */
	VMMU_TRACE_SCRIPT,
	VMMU_TRACE_SMM, /* vCPU enters (writable = true) or leaves SMM */
	/* what the guest or the kernel did next: used to tell MMIO from RAM, and as judge */
	VMMU_TRACE_ENTRY, /* kvm_entry */
	/*
	 * kvm_exit that is no second-stage fault by itself; count 1: the guest stopped (hlt, brk,
	 * ebreak)
	 */
	VMMU_TRACE_EXIT,
	/*
	 * kvm_mmio, vcpu_match_mmio, kvm_fast_mmio, kvm_mmio_emulate, handle_mmio_page_fault: gpa;
	 * access and bytes where the text says them, else 0. An exit by EPT_MISCONFIG is an EXIT:
	 * it carries no gpa, the MMIO event after it does.
	 */
	VMMU_TRACE_MMIO,
	VMMU_TRACE_MAP_REQUESTED, /* kvm_mmu_spte_requested: gfn, pfn, level */
	/* kvm_mmu_set_spte: gfn, level, new_pte, access (as printed), pte_hpa */
	VMMU_TRACE_MAP_SET,
	VMMU_TRACE_MMIO_SET, /* mark_mmio_spte: gfn, access (KVM's bits as printed), generation */
	/* check_mmio_spte: new_pte, generation, count = current generation, writable = valid */
	VMMU_TRACE_MMIO_CHECK,
	/* fast_page_fault: gpa, old_pte, new_pte, level 0, count = fixed, stride = spurious */
	VMMU_TRACE_FAST_FIX,
	VMMU_TRACE_TABLE_GET, /* kvm_mmu_get_page: gfn, level, writable = new */
	/* kvm_mmu_prepare_zap_page: gfn (~0: not in the text), level, count 1: invalid before */
	VMMU_TRACE_TABLE_ZAP,
	/* kvm_mmu_split_huge_page: gfn, level, old_pte, count = errno */
	VMMU_TRACE_SPLIT,
	VMMU_TRACE_ZAP_ALL, /* kvm_mmu_zap_all_fast */
	/*
	 * kvm_tdp_mmu_spte_changed: slot.as_id; kit "entry" lines: pte_hpa, level as the
	 * architecture counts (arm64: page 3, riscv64: page 0). Both: gfn, gpa, old_pte, new_pte
	 */
	VMMU_TRACE_ENTRY_CHANGED,
	/*
	 * kit probes on arm64's page-table functions: count = enum vmmu_trace_stage2, gpa; all but
	 * RELAX: bytes; MAP and RELAX: access; MAP: pfn, level = the manual's of the root, stride =
	 * bits of input
	 */
	VMMU_TRACE_STAGE2,
	VMMU_TRACE_DIRTY_PAGE, /* found in a ring: slot.as_id, slot.id, gfn = page of the slot */
	VMMU_TRACE_OTHER,      /* understood as an event, of no use here; counted by name */
	VMMU_TRACE_KINDS,
};

enum vmmu_trace_stage2 {
	VMMU_TRACE_STAGE2_MAP,
	VMMU_TRACE_STAGE2_UNMAP,
	VMMU_TRACE_STAGE2_PROTECT, /* WRITE goes */
	VMMU_TRACE_STAGE2_RELAX,   /* a leaf gets rights */
};

/* How a script has the host back a new slot, or-ed. */
enum vmmu_trace_backed {
	VMMU_TRACE_BACKED_HUGE = 0x100,    /* by transparent huge pages, where it can */
	VMMU_TRACE_BACKED_PRESENT = 0x200, /* by pages that it has touched before */
	VMMU_TRACE_BACKED_POOL = 0x400,    /* by pages of its pool of huge pages */
	VMMU_TRACE_BACKED = 0x700,
};

/* A host page as a kvm-live `host` line gives it. */
struct vmmu_trace_host {
	uint64_t gpa, hva; /* bytes */
	uint64_t pfn;      /* 4 KiB frames, as printed */
	bool present, huge, zero;
};

/* A neutral second-stage fault as the trace reports it. */
struct vmmu_trace_fault {
	uint64_t gpa;    /* bytes */
	unsigned access; /* one of VMMU_READ, WRITE, EXEC */
	unsigned flags;  /* enum vmmu_fault_flag */
};

struct vmmu_trace_event {
	enum vmmu_trace_kind kind;
	uint64_t line;    /* line of the input, from 1; of a trace.dat file: event number */
	uint64_t time_ns; /* the trace's clock; 0: not given */
	uint32_t pid;     /* thread; 0: not given */
	uint32_t vcpu;    /* ~0: not known */
	/* event name as in the trace, e.g. "kvm_page_fault"; valid until the next read */
	const char *name;
	const char *text; /* the text after the name; valid until the next read */
	union {
		struct vmmu_trace_fault fault;
		struct vmmu_trace_host host;
		struct vmmu_slot slot; /* with SLOT, DIRTY_GET, DROP, PROTECT */
		struct vmmu_hva_range hva;
	};
	uint64_t gpa, bytes;
	uint64_t gfn, pfn; /* 4 KiB pages, as the kernel prints them */
	uint64_t old_pte, new_pte, pte_hpa;
	uint64_t generation;
	uint64_t count, stride;
	unsigned level, access;
	bool writable;
	/*
	 * a line of a kit's script for which the layout file has a reply: pages of a dirty log or
	 * of all rings, or -1; of another call -1 if it failed; of an access 0, an exit's reason,
	 * -1 (the guest could not go on) or -2 (it took an exception of its own)
	 */
	bool has_reply;
	int64_t reply;
};

enum vmmu_trace_syntax {
	VMMU_SYNTAX_UNKNOWN,
	VMMU_SYNTAX_TRACEFS,   /* the kernel's trace file */
	VMMU_SYNTAX_TRACE_CMD, /* trace-cmd report */
	VMMU_SYNTAX_PERF,      /* perf script */
	VMMU_SYNTAX_TRACE_DAT, /* trace-cmd record's own file */
};

/* How x86 fault reports are to be read; the default looks at the thread's preceding exit. */
enum vmmu_trace_semantics {
	VMMU_SEMANTICS_AUTO,
	VMMU_SEMANTICS_EPT,    /* error_code is an exit qualification */
	VMMU_SEMANTICS_NPT,    /* error_code is a nested-paging error code */
	VMMU_SEMANTICS_SHADOW, /* address is a gva */
};

struct vmmu_trace_options {
	size_t size; /* sizeof(struct vmmu_trace_options) */
	/*
	 * Path of a layout file, or NULL. Its slot calls become SLOT events: at the trace's own
	 * "slot" and "del" lines where it has them; by time where the calls have times of the
	 * trace's clock; after the marks that the program wrote, where strace shows both; after
	 * the exits for the MMIO writes that the file logs; else all before the first event. Calls
	 * that KVM refused are left out. line is then a line of the layout.
	 */
	const char *layout;
	enum vmmu_trace_semantics semantics;
};

/* Counted per name: events that a replay has no use for, and lines that nothing understood. */
struct vmmu_trace_count {
	/* event name, or a kind of line: "(unparsed line)", "(comment)", "(lost events)" ... */
	const char *name;
	uint64_t count;
	bool understood; /* false: skipped, and reported as such */
};

struct vmmu_trace;

/*
 * Open PATH ("-": standard input). NULL options: defaults. *TRACE is the caller's, for
 * vmmu_trace_close().
 * -ENOENT, -EACCES, -EISDIR ... from the system; -ENOMEM; -EINVAL: options; -ENOEXEC: the file (or
 * the layout) is no trace: nothing in its first lines looks like one; -EBADMSG: damaged; -ENOPKG: a
 * trace.dat file, and the program that reads them is not installed, or data compressed with zstd,
 * and the library was built without libzstd. With an error, ERROR (may be
 * NULL, ERROR_BYTES long) gets "file:line: what".
 *
 * A trace.dat file is read by a child process, vmmu-trace-dat (docs/traces.md), which is reaped
 * here: a caller's SIGCHLD handler may see it, and no harm is done if that waits for it.
 */
VMMU_API int vmmu_trace_open(const char *path, const struct vmmu_trace_options *options,
			     struct vmmu_trace **trace, char *error, size_t error_bytes);
/*
 * Next event: 1 and *EVENT filled; 0 at the end; -EIO and what read() says, -EBADMSG (corrupt
 * compressed data or trace.dat), -ENOMEM: see vmmu_trace_error(); the error stays until a rewind;
 * -EINVAL: NULL. Memory does not grow with the trace, but zstd's window is the packer's choice: up
 * to 128 MiB.
 */
VMMU_API int vmmu_trace_next(struct vmmu_trace *trace, struct vmmu_trace_event *event);
/*
 * Start again from the first event; standard input is spooled to a temporary file for it. Errors as
 * vmmu_trace_next().
 */
VMMU_API int vmmu_trace_rewind(struct vmmu_trace *trace);
VMMU_API void vmmu_trace_close(struct vmmu_trace *trace);
/* "file:line: what went wrong", or "". */
VMMU_API const char *vmmu_trace_error(const struct vmmu_trace *trace);
VMMU_API enum vmmu_trace_syntax vmmu_trace_syntax(const struct vmmu_trace *trace);
VMMU_API const char *vmmu_syntax_name(enum vmmu_trace_syntax syntax);
/*
 * Architecture whose faults the trace holds (a vmmu_format_info.architecture), as far as read;
 * NULL: not known yet.
 */
VMMU_API const char *vmmu_trace_architecture(const struct vmmu_trace *trace);
/* Counts so far, entry INDEX in order of first appearance; false past the last. */
VMMU_API bool vmmu_trace_count_at(const struct vmmu_trace *trace, unsigned index,
				  struct vmmu_trace_count *count);
/* Progress: bytes of the input read so far and in all (0: not known, as for a pipe). */
VMMU_API void vmmu_trace_progress(const struct vmmu_trace *trace, uint64_t *done, uint64_t *total);

#ifdef __cplusplus
}
#endif
#endif
