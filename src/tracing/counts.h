/* SPDX-License-Identifier: MIT */
/*
 * How often each event name and each kind of line was met, in order of first appearance. Bounded.
 */
#ifndef VMMU_TRACING_COUNTS_H
#define VMMU_TRACING_COUNTS_H

#include <vmmu/trace.h>

#define COUNTS_MAX 4096u

struct counts_entry {
	char *name; /* owned */
	size_t name_bytes;
	uint64_t count;
	bool is_understood;
	const struct parse_event *event; /* who reads events of this name; NULL: nobody */
	struct counts_entry *failed;     /* counts the texts that its reader did not understand */
};

struct counts {
	struct counts_entry **entries; /* COUNTS_MAX */
	unsigned count;
	uint16_t *slots; /* 2 * COUNTS_MAX, open addressing: index + 1 into entries; 0: free */
};

/* 0 or -ENOMEM. */
int counts_init(struct counts *counts);
/*
 * The entry of the name of NAME_BYTES characters; a new one is understood, and *IS_NEW (may be
 * NULL) says so. When the table is full all new names share one entry. NULL: no memory. The entry
 * stays valid until counts_clear().
 */
struct counts_entry *counts_find(struct counts *counts, const char *name, size_t name_bytes,
				 bool *is_new);
/* Add COUNT to the entry of NAME, which is_understood or not. 0 or -ENOMEM. */
int counts_add(struct counts *counts, const char *name, uint64_t count, bool is_understood);
/* Forget all entries. */
void counts_clear(struct counts *counts);
void counts_destroy(struct counts *counts);

#endif
