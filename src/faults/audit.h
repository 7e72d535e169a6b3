/* SPDX-License-Identifier: MIT */
/* An audit under way: shared by the checks that know the format and those that do not. */
#ifndef VMMU_FAULTS_AUDIT_H
#define VMMU_FAULTS_AUDIT_H

#include <vmmu/audit.h>

#include "faults/vm.h"

struct audit_run {
	struct vmmu_vm *vm;
	struct vmmu_audit *result;
	void (*fn)(void *ctx, const struct vmmu_finding *finding);
	void *ctx;
	/* Counted on the way, to be compared with the books. */
	uint64_t leaves[VMMU_LEVELS_MAX + 1];
	uint64_t links;
	uint64_t mmio_entries;
	uint64_t tables;
	uint64_t nx_tables;
	uint64_t parents;
	uint64_t rmap_entries;
	uint64_t rmap_leaves; /* leaves that belong in an rmap */
};

/* Where a fact was found to be wrong. */
struct audit_place {
	unsigned as_id;
	unsigned level;
	uint64_t gfn;
	uint64_t pte;
};

/*
 * Count one fact as checked; if it does not hold, report it. Returns HOLDS. TEXT says what was
 * expected.
 */
bool audit_check(struct audit_run *run, bool holds, const char *invariant,
		 const struct audit_place *place, const char *text);
/* Check that a count in the books equals what was counted. */
void audit_count(struct audit_run *run, const char *invariant, uint64_t books, uint64_t counted);

#endif
