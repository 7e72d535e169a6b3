/* SPDX-License-Identifier: MIT */
/*
 * What was asked of the engine, as a list, newest last: no tables, no levels. Where a page is
 * mapped to is found by going through all of it.
 */
#ifndef TESTS_ORACLE_FLAT_H
#define TESTS_ORACLE_FLAT_H

#include <vmmu/types.h>

#define FLAT_CALLS_MAX 512

enum flat_op {
	FLAT_MAP,
	FLAT_UNMAP,
	FLAT_PROTECT,       /* rights: access, WRITE only where mapped with it */
	FLAT_WRITE_PROTECT, /* takes WRITE */
	FLAT_WRITE_ALLOW,   /* gives WRITE where mapped with it */
};

struct flat_call {
	enum flat_op op;
	uint64_t gpa, bytes, hpa;
	unsigned access;
};

struct flat {
	struct flat_call call[FLAT_CALLS_MAX];
	unsigned count;
};

struct flat_page {
	bool is_mapped;
	uint64_t hpa; /* of the byte asked for */
	unsigned access;
};

/* *CALL took effect; false: no room for more. */
bool flat_add(struct flat *flat, const struct flat_call *call);
struct flat_page flat_find(const struct flat *flat, uint64_t gpa);

#endif
