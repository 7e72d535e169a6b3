/* SPDX-License-Identifier: MIT */
/*
 * A table page's record. It lives in the frame pool's metadata, so a table is found from any entry
 * inside it by arithmetic and needs no allocation of its own.
 */
#ifndef VMMU_WALKER_TABLE_H
#define VMMU_WALKER_TABLE_H

#include <stdatomic.h>

#include "base/frame.h"
#include "base/list.h"

enum table_flag {
	TABLE_INVALID = 1 << 0,  /* unlinked for good; lives until its last root reference goes */
	TABLE_NX_SPLIT = 1 << 1, /* made by a fetch, under the NX rule for huge pages */
	TABLE_AGED = 1 << 2,     /* an entry lost its accessed bit: volatile ones may be in it */
	/*
	 * Of a tdp root: in no rmap and no hash, has one parent at most; used, has_volatile are not
	 * kept
	 */
	TABLE_TDP = 1 << 3,
	TABLE_DYING = 1 << 4, /* an invalid tdp root that still maps something */
	/* a huge page could stand in its place but for the NX rule; counted in tree.nx_tables */
	TABLE_NX_POSSIBLE = 1 << 5,
	TABLE_GROUPED = 1 << 6, /* an entry may belong to a group; never clear when one does */
	/* entries came while several threads mapped: used, has_volatile wait for table_recount() */
	TABLE_BEHIND = 1 << 7,
};

struct table {
	struct list link;         /* all tables, newest first; retired ones: next only */
	uint64_t gfn;             /* first gfn that the table maps */
	_Atomic uint64_t parents; /* rmap head: entries that point here */
	struct table *hash_next;
	uint32_t root_count; /* vCPUs that have it as their root */
	uint8_t level;
	uint8_t as_id;
	uint8_t generation;    /* tree generation it was made in; see tree_is_obsolete() */
	_Atomic uint8_t flags; /* enum table_flag */
	uint32_t used;         /* entries that are not absent */
	bool is_hashed;
	bool is_stocked;   /* its frame came from a stock: see tree_frame_lg2() */
	bool has_volatile; /* an entry may be volatile; never false when one is */
};

_Static_assert(sizeof(struct table) <= FRAME_META_BYTES, "a table's record is frame metadata");

/* A place in a table, and all that its position says. */
struct entry_ref {
	struct table *table;
	_Atomic uint64_t *ptep;
	uint64_t gfn; /* first gfn that the entry covers */
	unsigned level;
};

/*
 * A load of a live entry; pairs with the funnel's release stores: what the entry points to is
 * initialised.
 */
static inline uint64_t pte_load(const _Atomic uint64_t *ptep)
{
	return atomic_load_explicit(ptep, memory_order_acquire);
}

#endif
