/* SPDX-License-Identifier: MIT */
/*
 * Making and freeing struct memslot and what hangs on it; and changing a set. For slots.c only.
 *
 * Metadata may hang on several memslots at once: the invalid copy of a slot under deletion has it
 * all in common with the slot itself. Who frees what is therefore decided by the update, not here.
 */
#ifndef VMMU_MEMORY_METADATA_H
#define VMMU_MEMORY_METADATA_H

#include "memory/slots.h"

/*
 * Fill SLOT's page counts for levels up to MAX_LEVEL. -ENOMEM: SLOT has some of them, to be freed
 * with memslot_metadata_free() all the same.
 */
int memslot_metadata_make(struct memslot *slot, const struct vmmu_geometry *geometry,
			  unsigned max_level);
/* Empty reverse maps for SLOT, which has none. -ENOMEM: it has some, to be freed all the same. */
int memslot_rmaps_make(struct memslot *slot, const struct vmmu_geometry *geometry,
		       unsigned max_level);
void memslot_rmaps_free(struct memslot *slot);
/*
 * Free them; the reverse maps are empty or their chains freed by the owner of the tables (SLOT is
 * in no set). The dirty log is not touched.
 */
void memslot_metadata_free(struct memslot *slot);

/* Arrays of a set, made before an update begins so that the update itself cannot fail. */
struct slot_arrays {
	void *block;
	size_t capacity;
};

/* Room for COUNT slots or more, if the set has not got it; else *arrays is empty. -ENOMEM. */
int slot_set_reserve(const struct slot_set *set, size_t count, struct slot_arrays *arrays);
/* Move SET, which no reader is in, to ARRAYS, unless these are empty; ARRAYS is empty then. */
void slot_set_adopt(struct slot_set *set, struct slot_arrays *arrays);
void slot_arrays_free(struct slot_arrays *arrays);
/*
 * Change SET, which no reader is in: OLD goes, unless NULL; NEW_SLOT comes, unless NULL. Room is
 * reserved and NEW_SLOT's range is free. Cost: a binary search and a move of what is behind.
 */
void slot_set_change(struct slot_set *set, const struct slots *slots, const struct memslot *old,
		     struct memslot *new_slot);
/* Frees the arrays, not the slots. */
void slot_set_destroy(struct slot_set *set);

#endif
