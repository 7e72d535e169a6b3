/* SPDX-License-Identifier: MIT */
/*
 * An embedder that lends table frames, as unhelpfully as its contract allows: each in a megabyte of
 * its own, some way into it, with garbage inside; nothing but what is lent can be read or written
 * at all, and what was given back faults. One at a time, of one thread.
 */
#ifndef TESTS_FAULTS_LENDER_H
#define TESTS_FAULTS_LENDER_H

#include <vmmu/vmmu.h>

#define LENDER_UNITS 2048

struct lender {
	void *map;
	unsigned char *memory; /* in the map: of bytes, which hardware sees at hpa */
	uint64_t hpa, bytes;
	uint64_t lent[LENDER_UNITS]; /* bytes lent in each megabyte; 0: none */
	unsigned next;               /* where to look for the next */
	unsigned out, peak;          /* lent now, and at most so far */
	uint64_t gets, puts;
	long left; /* so many more are lent, then none; < 0: no limit */
	bool has_refused;
	void *wrong;                           /* one-shot: lend this instead */
	void (*on_get)(void), (*on_put)(void); /* NULL: nothing */
};

extern struct lender lender;

/* PAGE bytes: the memory begins at an odd one of those. */
void lender_begin(uint64_t page);
/* The VM of OPTIONS, and of ENV, which they point to, borrows here. */
void lender_serve(struct vmmu_vm_options *options, struct vmmu_env *env);
/* All came back. */
void lender_end(void);

#endif
