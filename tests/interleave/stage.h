/* SPDX-License-Identifier: MIT */
/*
 * The world of a run: a VM with one slot, a host behind it, and a modelled CPU with a TLB for each
 * thread that is a guest's. Beside it a flat model: which frame each page has, what guests wrote.
 *
 * What must hold in every schedule:
 *
 * 	an access that goes through reaches the frame that its page has at that moment
 * 	between begin and end of an invalidation, and without a slot, none goes through
 * 	what was written is in the copy once the dirty log was read for the last time
 * 	when all is over: audit clean, no TLB stale, each leaf is one that the model has, and
 * 	whoever accesses again gets through
 */
#ifndef TESTS_INTERLEAVE_STAGE_H
#define TESTS_INTERLEAVE_STAGE_H

#include <vmmu/vmmu.h>

#include "interleave/schedule.h"

#define STAGE_PAGES 512u /* of slot 0; a large page's */
#define STAGE_GROUP 16u  /* a group's */
#define STAGE_CPUS  THREADS_MAX

/* What differs between runs of a scenario by more than the schedule. */
struct stage_kind {
	const struct vmmu_format *format;
	enum vmmu_root_mode root;
	enum vmmu_slot_zap slot_zap;
	/* how dirty logs are kept: see vmmu_vm_options */
	unsigned dirty_flags;
	enum vmmu_dirty_source dirty_source;
	bool has_rings;
};

struct stage {
	struct stage_kind kind;
	struct vmmu_vm *vm;
	struct vmmu_machine *machine;
	struct vmmu_vcpu *vcpu[STAGE_CPUS];
	struct vmmu_cpu *cpu[STAGE_CPUS];
	unsigned shift;                /* page_shift */
	bool is_large;                 /* the host maps all of it as one large page */
	bool is_group;                 /* or its first pages in one piece, as long as they are */
	bool has_slot, slot_goes;      /* slot_goes: somebody deletes it */
	bool is_logging;               /* since before the first write that counts */
	uint64_t moves;                /* of pages, by the host */
	uint64_t edition[STAGE_PAGES]; /* which frame a page has: changes when the host moves it */
	bool is_away[STAGE_PAGES];     /* between begin and end */
	bool is_read_only[STAGE_PAGES];
	uint64_t merging; /* the page that is being remapped: its old frame is good too */
	uint64_t memory[STAGE_PAGES], copy[STAGE_PAGES]; /* writes of guests, and what was copied */
	uint64_t touched[STAGE_CPUS]; /* page that the CPU accessed last; STAGE_PAGES: none */
	unsigned access[STAGE_CPUS];
	unsigned max_level; /* of mappings; 0: any */
};

/*
 * Make the world anew: a slot without logging, nothing mapped, a root for each CPU. Everything may
 * be changed by calls on vm before threads run.
 */
void stage_begin(struct stage *stage, const struct stage_kind *kind, bool is_large,
		 unsigned max_level);
/* Judge what the run came to, by schedule_blame(), and unmake it. */
void stage_end(struct stage *stage);
/* Only give its memory back: threads stand in the middle of it. */
void stage_drop(struct stage *stage);

/* The page's frame. */
uint64_t stage_pfn(const struct stage *stage, uint64_t gfn);
/*
 * CPU accesses gfn, ACCESS one of VMMU_READ, WRITE, EXEC, until it goes through or cannot. False:
 * it did not.
 */
bool stage_touch(struct stage *stage, unsigned cpu, uint64_t gfn, unsigned access);
/* A fault of CPU that no access raised; MAX_LEVEL as in struct vmmu_fault. Its outcome. */
int stage_fault(struct stage *stage, unsigned cpu, uint64_t gfn, unsigned access,
		unsigned max_level);
/* Slot 0 with FLAGS; with stage_slot_delete() it is gone. */
void stage_slot(struct stage *stage, unsigned flags);
void stage_slot_delete(struct stage *stage);
/* The host moves pages [gfn, gfn + count) elsewhere, large or small; an invalidation around it. */
void stage_move(struct stage *stage, uint64_t gfn, uint64_t count, bool is_large);
/* The host puts a read-only frame behind gfn, or a writable one, and says so by vmmu_remap(). */
void stage_merge(struct stage *stage, uint64_t gfn);
void stage_unmerge(struct stage *stage, uint64_t gfn);
/* vmmu_prefault() of COUNT pages from gfn on by CPU. */
void stage_prefault(struct stage *stage, unsigned cpu, uint64_t gfn, uint64_t count);
/* Nobody can have taken gfn away. */
void stage_expect_mapped(struct stage *stage, uint64_t gfn);
/* CPU runs on tables of the other kind from here on. */
void stage_other_root(struct stage *stage, unsigned cpu);
/* Read the dirty log, and copy what it says. */
void stage_harvest(struct stage *stage);
/* Copy everything: where a log begins. */
void stage_copy_all(struct stage *stage);
/* vmmu_age() over everything. */
void stage_age(struct stage *stage);
/* The same over one page. */
void stage_age_page(struct stage *stage, uint64_t gfn);
void stage_zap_all(struct stage *stage);

#endif
