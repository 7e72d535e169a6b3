/* SPDX-License-Identifier: MIT */
/*
 * A machine that lives: operations of every kind, drawn from a seed or from a fuzzer's input, each
 * held against the flat model of harness.h. The random test and the engine's fuzz target run the
 * same ones.
 */
#ifndef TESTS_FAULTS_WORLD_H
#define TESTS_FAULTS_WORLD_H

#include "base/draw.h"
#include "faults/harness.h"

/* One VM and where its action is: gfns [base, base + window), host pages [0, window). */
struct world {
	struct machine *machine;
	struct draw draw;
	uint64_t base, window;
	uint64_t block;      /* pages of a level 2 page */
	unsigned huge_level; /* the host's largest pages: 2 or 3 */
	uint64_t giant;      /* pages of one of those */
	uint64_t next_pfn;
};

/* A VM of a format with a host behind it; host pages up to LEVEL_MAX: 3, or 2 for a small one. */
struct world world_create(unsigned format_index, struct draw draw, unsigned level_max);
/* One operation, and the checks that are due after each. */
void world_op(struct world *world);
/* A gfn that operations often meet. */
uint64_t world_random_gfn(struct world *world);
/* world_huge.c: options of a VM */
void world_draw_huge(struct draw *draw, struct machine_options *options);
/* world_huge.c: a few pages, or whole large ones, become private or shared; NX recovery. */
void world_op_attributes(struct world *world);
void world_op_nx_recover(struct world *world);
/* Everything: all pages (of a large window a sample), all leaves, counters, audit. */
void world_check_all(struct world *world);

/* world_dirty.c: how the writes of a world to be made are logged, in OPTIONS. */
void world_draw_dirty(struct draw *draw, const struct vmmu_format *format,
		      struct machine_options *options);
/* What was written to SLOT, which logs, is asked for, and some or all of it forgotten. */
void world_read_log(struct world *world, const struct model_slot *slot);

#endif
