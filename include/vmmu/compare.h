/* SPDX-License-Identifier: MIT */
/*
 * Holding a replay against its recording: what the kernel's tracepoints say that its MMU did, event
 * by event, against what the engine does given the same inputs. Inputs are faults, accesses of a
 * script, slot calls, dirty-log reads, invalidations, and what the host has behind each page. Of
 * what is judged the engine is told nothing, but table frames' addresses are taken as printed, and
 * the frame of a gfn that no `host` line describes.
 *
 * The two sides are compared in order, for each thread of the recording and each step: a line of
 * the script, or a fault where there is no script. Entries are compared bit for bit in the layout
 * of the kernel's profile.
 *
 * A difference is explained only by a reason that the library knows: a condition on event, profile
 * and both sides. docs/compare.md lists them.
 */
#ifndef VMMU_COMPARE_H
#define VMMU_COMPARE_H

#include <vmmu/profile.h>
#include <vmmu/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What is compared. */
enum vmmu_compare_event {
	VMMU_COMPARE_ENTRY_CHANGED, /* kvm_tdp_mmu_spte_changed */
	VMMU_COMPARE_MAP_SET,       /* kvm_mmu_set_spte */
	VMMU_COMPARE_MAP_REQUESTED, /* kvm_mmu_spte_requested */
	VMMU_COMPARE_FAST_FIX,      /* fast_page_fault */
	VMMU_COMPARE_TABLE_GET,     /* kvm_mmu_get_page */
	VMMU_COMPARE_TABLE_ZAP,     /* kvm_mmu_prepare_zap_page */
	VMMU_COMPARE_SPLIT,         /* kvm_mmu_split_huge_page */
	VMMU_COMPARE_MMIO_SET,      /* mark_mmio_spte */
	VMMU_COMPARE_MMIO_CHECK,    /* check_mmio_spte */
	VMMU_COMPARE_ZAP_ALL,       /* kvm_mmu_zap_all_fast */
	/*
	 * arm64, riscv64: an entry that is not as it was when the kit last read the tables, which
	 * is after each access and each line of a script
	 */
	VMMU_COMPARE_ENTRY,
	/* arm64: the kit's probes on the functions that change the tables */
	VMMU_COMPARE_STAGE2_MAP,
	VMMU_COMPARE_STAGE2_UNMAP,
	VMMU_COMPARE_STAGE2_PROTECT,
	VMMU_COMPARE_STAGE2_RELAX,
	/* of a script: that hardware refused an access, and why: the engine's tables must, too */
	VMMU_COMPARE_FAULT,
	/* how a fault ended, as what followed it tells: fixed, again, emulated, error */
	VMMU_COMPARE_OUTCOME,
	/* an access of a script that the guest got through: the tables must grant it */
	VMMU_COMPARE_ACCESS,
	/* what the kit's VMM printed: could the guest make a line's access, did a call succeed? */
	VMMU_COMPARE_RESULT,
	VMMU_COMPARE_DIRTY, /* and how many pages had a dirty log, or all dirty rings? */
	VMMU_COMPARE_PAGE,  /* a page that was in a dirty ring */
	VMMU_COMPARE_EVENTS,
};

/* What an entry is to a class. */
enum vmmu_compare_entry {
	VMMU_COMPARE_NO_ENTRY, /* the event has none */
	VMMU_COMPARE_ABSENT,
	VMMU_COMPARE_FROZEN,
	VMMU_COMPARE_MMIO,
	VMMU_COMPARE_TABLE,
	VMMU_COMPARE_READ_LEAF,  /* without WRITE */
	VMMU_COMPARE_WRITE_LEAF, /* with it */
	VMMU_COMPARE_ENTRIES,
};

/* total - agree - explained is what nobody can explain. */
struct vmmu_compare_tally {
	uint64_t total, agree, explained;
};

/* An event, a level (0: it has none), and what became of what. */
struct vmmu_compare_class {
	enum vmmu_compare_event event;
	unsigned level;
	enum vmmu_compare_entry old_entry, new_entry;
	struct vmmu_compare_tally tally;
};

struct vmmu_compare_difference {
	enum vmmu_compare_event event;
	/* line of the trace: of the kernel's side, or of what the kernel did last before */
	uint64_t line;
	uint64_t step_line; /* of the script's line or the fault */
	/* both sides in words, valid during the call; NULL: it did nothing of the kind */
	const char *kernel, *engine;
	const char *reason; /* why it may be; NULL: unexplained */
};

/* A step that is over. */
struct vmmu_compare_step {
	uint64_t line; /* of the trace; 0: before the first */
	struct vmmu_compare_tally tally;
};

struct vmmu_compare_options {
	size_t size; /* sizeof(struct vmmu_compare_options) */
	/* of the kernel that wrote it, as vmmu_profile_find() takes it; NULL: as it tells itself */
	const char *version;
	/*
	 * Called for each difference, and when a step that had anything to compare is over. NULL:
	 * not.
	 */
	void (*difference)(void *ctx, const struct vmmu_compare_difference *difference);
	void (*step)(void *ctx, const struct vmmu_compare_step *step);
	void *ctx;
};

/* One comparison: for one vmmu_replay(), as vmmu_replay_options.compare. Not thread-safe. */
struct vmmu_compare;

/*
 * -EINVAL: options; -ENOMEM. *COMPARE is the caller's, for vmmu_compare_destroy() after the replay.
 */
VMMU_API int vmmu_compare_create(const struct vmmu_compare_options *options,
				 struct vmmu_compare **compare);
VMMU_API void vmmu_compare_destroy(struct vmmu_compare *compare);
/* The kernel whose layout entries were compared in; NULL before the replay. */
VMMU_API const struct vmmu_profile *vmmu_compare_profile(const struct vmmu_compare *compare);
/* Counts of EVENT, or of all events: VMMU_COMPARE_EVENTS. */
VMMU_API void vmmu_compare_tally(const struct vmmu_compare *compare, enum vmmu_compare_event event,
				 struct vmmu_compare_tally *tally);
/* Class number INDEX (0, 1, ...) of those that occurred; false past the last. */
VMMU_API bool vmmu_compare_class_at(const struct vmmu_compare *compare, unsigned index,
				    struct vmmu_compare_class *class_);
/* Explained differences by reason, INDEX 0, 1, ...: its name and how often; NULL past the last. */
VMMU_API const char *vmmu_compare_reason_at(const struct vmmu_compare *compare, unsigned index,
					    uint64_t *count);
/* What the recording tells of the VM's end, which is not compared. */
VMMU_API uint64_t vmmu_compare_teardown(const struct vmmu_compare *compare);
/* The tracepoint's name, or "outcome", "access"; "absent", "leaf w" ... NULL: none such. */
VMMU_API const char *vmmu_compare_event_name(enum vmmu_compare_event event);
VMMU_API const char *vmmu_compare_entry_name(enum vmmu_compare_entry entry);

#ifdef __cplusplus
}
#endif
#endif
