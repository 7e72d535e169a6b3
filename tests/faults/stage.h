/* SPDX-License-Identifier: MIT */
/*
 * A small VM with one of everything, whose words can be made wrong and put right again.
 *
 * The stage, in pages (L: pages in one of level 2), host pages being large ones:
 *
 * 	as 0  slot 0  [0, 2L)         large leaf at 0
 * 	      slot 1  [4L+3, 4L+103)  logged; writable leaves at 4L+3 and 4L+70
 * 	      slot 2  [5L, 5L+10)     read-only leaf at 5L+9
 * 	      slot 4  [5L+10, 5L+15)  nothing mapped
 * 	      no slot at 6L: MMIO entry
 * 	as 1  slot 3  [0, 5)          a leaf at 0; no vCPU stands there any more
 */
#ifndef TESTS_FAULTS_STAGE_H
#define TESTS_FAULTS_STAGE_H

#include "faults/harness.h"
#include "faults/vm.h"
#include "format/contract.h"

#define NAMES_MAX 160
#define POKES_MAX 8

struct poke {
	void *at;
	size_t bytes;
	uint64_t old;
};

struct stage {
	struct machine *machine;
	struct vmmu_vm *vm;
	const struct vmmu_format_ops *ops;
	uint64_t large; /* L */
	struct poke pokes[POKES_MAX];
	unsigned poke_count;
	char names[NAMES_MAX]; /* what the audit found, each name once */
	struct vmmu_finding last;
};

struct stage *stage_make(unsigned format_index);
void stage_end(struct stage *stage);
/* Write VALUE at AT, to be undone; little-endian as the hosts we test on. */
void poke(struct stage *stage, const volatile void *at, size_t bytes, uint64_t value);
void undo(struct stage *stage);
/* The entry where a walk for gfn ends. */
_Atomic uint64_t *entry_at(struct stage *stage, unsigned as_id, uint64_t gfn);
struct table *table_of(struct stage *stage, _Atomic uint64_t *ptep);
/* The table at level 1 for gfn of address space 0, and the entry that points to it. */
struct table *table_at(struct stage *stage, uint64_t gfn, _Atomic uint64_t **parent);

/* One way to make a fact wrong. */
struct audit_break {
	const char *names; /* what the audit must say: each followed by a blank, in any order */
	void (*fn)(struct stage *stage);
};

/* audit_breaks.c; ends with names NULL. */
extern const struct audit_break audit_breaks[];

#define POKE(stage, member, value) poke((stage), &(member), sizeof(member), (uint64_t)(value))

static inline uint64_t logged_gfn(const struct stage *stage)
{
	return 4 * stage->large + 3;
}

#endif
