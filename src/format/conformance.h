/* SPDX-License-Identifier: MIT */
/*
 * Does a format keep its contract (contract.h)? The laws that hold for every format, run over one
 * through its ops: for our own formats in the tests, for a format from outside before anyone uses
 * it.
 *
 * All functions are pure but for CHECK, allocate nothing and take no lock. What they return is
 * NULL, or the law that is broken, a string of static life; CHECK then says by which values.
 */
#ifndef VMMU_FORMAT_CONFORMANCE_H
#define VMMU_FORMAT_CONFORMANCE_H

#include "format/contract.h"

struct conformance {
	const struct vmmu_format *format; /* in */
	uint64_t seed;                    /* in: where random values start */
	unsigned level;                   /* out: level of the values below, 0: none involved */
	uint64_t pte, other;              /* out: the entry; the changed or second one */
};

/* Everything is there, and the geometry adds up. All other checks need this one passed. */
const char *conformance_check_shape(struct conformance *check);
/* Any 64-bit value has exactly one kind, legal for its level, and reads within the geometry. */
const char *conformance_check_values(struct conformance *check);
/* Absent, frozen and table entries read back as such. */
const char *conformance_check_states(struct conformance *check);
/* MMIO entries give back generation, gfn and access. */
const char *conformance_check_mmio(struct conformance *check);
/* Leaves read back; software bits grant nothing; each change of a leaf changes just that. */
const char *conformance_check_leaves(struct conformance *check);
/* Whatever a TLB may wrongly go on granting is flushed; break-before-make where it is due. */
const char *conformance_check_changes(struct conformance *check);

/* All of them, for FORMAT (not NULL). Cost: some millions of calls, a fraction of a second. */
const char *conformance_check(const struct vmmu_format *format, uint64_t seed);

#endif
