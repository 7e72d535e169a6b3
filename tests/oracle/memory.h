/* SPDX-License-Identifier: MIT */
/*
 * Physical memory as the emulator will have it at this point of the job: the tables (the engine's
 * own memory), the guest's tables in the window, tagged pages. What else lies there (programs,
 * jobs) is unknown: a walk that touches it is noticed.
 */
#ifndef TESTS_ORACLE_MEMORY_H
#define TESTS_ORACLE_MEMORY_H

#include "oracle/oracle.h"

#define MEMORY_GUEST_WORDS 2 /* entries of the guest's tables that are in use */

struct memory {
	const struct oracle_emulator *emulator;
	uint64_t *tables; /* what engine and model see, tables_bytes; page aligned */
	uint64_t *sent;   /* what the emulator has of them */
	uint64_t tables_bytes;
	uint64_t window_stride;
	uint64_t guest[ORACLE_WINDOW_PAGES][MEMORY_GUEST_WORDS];
	bool is_frozen;   /* updates are refused quietly: a trial */
	bool has_strayed; /* something unknown was touched since this was last cleared */
};

/* 0 or -ENOMEM. */
int memory_init(struct memory *memory, const struct oracle_emulator *emulator);
void memory_clear(struct memory *memory);
/* Callbacks of the model's walks. */
struct vmmu_hw_bus memory_bus(struct memory *memory);
/* The word at HPA in the tables, or NULL. */
uint64_t *memory_table_word(struct memory *memory, uint64_t hpa);
bool memory_is_tagged(const struct oracle_emulator *emulator, uint64_t hpa);
bool memory_is_ram(const struct oracle_emulator *emulator, uint64_t hpa);

#endif
