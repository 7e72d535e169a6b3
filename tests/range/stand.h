/* SPDX-License-Identifier: MIT */
/*
 * A VM of VMMU_MODE_RANGES beside a flat model of it: one word a page for the gfns of a window. The
 * model says what each call must return, how far it must get, and what a translation finds after.
 *
 * Every call is made inside an update that the test opens and closes; when it closes, each page
 * that lost rights in it must have been flushed.
 */
#ifndef TESTS_RANGE_STAND_H
#define TESTS_RANGE_STAND_H

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <vmmu/vmmu.h>

#include "format/outside.h"

struct stand_options {
	uint64_t tables_bytes;
	unsigned max_level;
	bool has_events;      /* an event sink is there */
	bool is_short;        /* frames run out: -ENOMEM may come */
	uint64_t window_gfns; /* 0: a few pages of the largest level up to 3 */
};

struct stand {
	struct vmmu_vm *vm;
	const struct vmmu_geometry *geometry;
	struct stand_options options;
	struct vmmu_update update;
	unsigned page_shift;
	unsigned max_level;     /* of pages that fit into the window, 3 at most */
	uint64_t gfns;          /* the window is [0, gfns) of address space 0 */
	uint64_t *pages;        /* pfn, memory type, rights; 0: not mapped */
	uint8_t *stale;         /* lost rights in this update, not flushed yet */
	uint32_t *broken;       /* the last call in which it was flushed while nothing was there */
	uint32_t calls;         /* made so far */
	uint64_t flushes;       /* calls since the VM was made */
	uint64_t short_count;   /* calls that ended with -ENOMEM */
	struct vmmu_flush last; /* the last flush */
	void (*on_flush)(struct stand *stand);
	struct vmmu_vcpu *vcpu; /* of a test that has one */
	bool is_shared;         /* the update that is open */
	int outcome;            /* what on_flush saw */
	uint64_t events;
	unsigned bugs;
};

/* Parameters for a test that runs once for each format: the index of outside_at(). */
struct criterion_test_params stand_formats(void);

#define RANGE_TEST(suite, name)                  \
	ParameterizedTestParameters(suite, name) \
	{                                        \
		return stand_formats();          \
	}                                        \
	ParameterizedTest(unsigned *index, suite, name)

/* NULL options: all defaults. */
struct stand *stand_create(unsigned format_index, const struct stand_options *options);
/* A window that needs more tables of level 1 than there are frames: 1 MiB of them. */
struct stand *stand_create_short(unsigned format_index);
/* Check everything, then destroy. */
void stand_destroy(struct stand *stand);
void stand_begin(struct stand *stand);
/* The same, shared; STAND has a vCPU. Of what follows, maps and write_allow are for it. */
void stand_begin_shared(struct stand *stand);
void stand_end(struct stand *stand);

/* In smallest pages. Each checks the call's result against the model, and returns it. */
int stand_map(struct stand *stand, uint64_t gfn, uint64_t pages, uint64_t pfn, unsigned access,
	      enum vmmu_memtype memtype);
int stand_unmap(struct stand *stand, uint64_t gfn, uint64_t pages);
int stand_protect(struct stand *stand, uint64_t gfn, uint64_t pages, unsigned access);
int stand_write_protect(struct stand *stand, uint64_t gfn, uint64_t pages);
int stand_write_allow(struct stand *stand, uint64_t gfn, uint64_t pages);

/* Translate and walk GFN: as the model says. */
void stand_check_gfn(struct stand *stand, uint64_t gfn);
/* Every page of the window, by batch and by visit; nothing is mapped outside; the audit. */
void stand_check(struct stand *stand);

/* Smallest pages in one page of LEVEL. */
static inline uint64_t stand_pages(const struct stand *stand, unsigned level)
{
	return UINT64_C(1) << (stand->geometry->shift[level] - stand->page_shift);
}

static inline struct vmmu_stats stand_stats(struct stand *stand)
{
	struct vmmu_stats stats;

	vmmu_vm_stats(stand->vm, &stats);
	return stats;
}

#endif
