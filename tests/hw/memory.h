/* SPDX-License-Identifier: MIT */
/*
 * Sparse physical memory for walkers, and tables built in it by hand.
 *
 * Nothing here knows the code under test: a chain of tables is written entry by entry, as a test
 * gives it.
 */
#ifndef TESTS_HW_MEMORY_H
#define TESTS_HW_MEMORY_H

#include <vmmu/hw.h>

#define MEMORY_WORDS 8192

struct memory {
	struct {
		uint64_t hpa; /* 8-byte aligned, + 1: a free slot is 0 */
		uint64_t value;
	} word[MEMORY_WORDS];
	uint64_t end;        /* bytes: nothing answers from here on; 0: everywhere answers */
	uint64_t read_only;  /* bytes: the page that refuses updates; 0: none */
	unsigned races;      /* so many swaps find another value */
	unsigned swap_count; /* that were made */
	unsigned load_count;
};

/* Zeroed memory that answers everywhere; free with memory_free(). */
struct memory *memory_new(void);
void memory_free(struct memory *memory);
struct vmmu_hw_bus memory_bus(struct memory *memory);
/* Write the 4- or 8-byte word at HPA. */
void memory_write(struct memory *memory, uint64_t hpa, unsigned bytes, uint64_t value);
uint64_t memory_read(struct memory *memory, uint64_t hpa, unsigned bytes);

/* The shape of some tables, root first. */
struct chain {
	unsigned count; /* of tables down to the smallest page's */
	unsigned page_shift;
	unsigned index_bits; /* of all but the root */
	unsigned root_bits;
	unsigned bytes; /* of an entry */
};

/*
 * Put ENTRY where INPUT is looked up at table number AT (0: root), with tables above it from ROOT
 * on, which lie at ROOT + n * STRIDE bytes; entries above are table address | UPPER (PPN form:
 * (address >> 2) | UPPER if is_ppn). OFFSET is added to table addresses where they are written to
 * memory (guest tables that lie elsewhere in memory).
 */
struct chain_entry {
	const struct chain *chain;
	uint64_t root, stride;
	uint64_t input;
	unsigned at;
	uint64_t entry;
	uint64_t upper;
	uint64_t offset;
	bool is_ppn;
};
/* Returns where the entry stands (in the tables' own addresses). */
uint64_t memory_chain(struct memory *memory, const struct chain_entry *place);
/* Address of the entry for INPUT in table number AT of a chain at ROOT. */
uint64_t chain_address(const struct chain_entry *place, unsigned at);

#endif
