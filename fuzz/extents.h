/* SPDX-License-Identifier: MIT */
/*
 * The flat model of the range API: what is mapped, as a sorted list of disjoint extents. Knows
 * nothing of tables, levels or formats.
 */
#ifndef FUZZ_EXTENTS_H
#define FUZZ_EXTENTS_H

#include <stdbool.h>
#include <stdint.h>
#include <vmmu/types.h>

#define EXTENTS_MAX 1024

struct extent {
	uint64_t start, end; /* gpas, bytes, half-open */
	uint64_t hpa;        /* of start */
	unsigned access;     /* granted now */
	enum vmmu_memtype memtype;
	bool is_writable; /* was mapped with WRITE */
	bool is_touched;  /* its rights were changed: another map may or may not find it the same */
};

struct extents {
	struct extent extent[EXTENTS_MAX];
	unsigned count;
};

/* The extent that holds GPA, or NULL. */
struct extent *extents_at(struct extents *extents, uint64_t gpa);
/* Where the next extent at or above GPA begins; LIMIT if there is none below LIMIT. */
uint64_t extents_next(const struct extents *extents, uint64_t gpa, uint64_t limit);
/* Cut so that no extent crosses GPA. */
void extents_cut(struct extents *extents, uint64_t gpa);
/* Add NEW, which meets no other. */
void extents_add(struct extents *extents, const struct extent *new_extent);
/* Drop what lies in [start, end). */
void extents_drop(struct extents *extents, uint64_t start, uint64_t end);
/*
 * Give what lies in [start, end) the rights ACCESS, WRITE where it was mapped with it; or, with
 * ACCESS 0, take WRITE.
 */
void extents_protect(struct extents *extents, uint64_t start, uint64_t end, unsigned access);

#endif
