/* SPDX-License-Identifier: MIT */
/*
 * Memory of a run: a heap that gives the same addresses in every run and none twice, and what is
 * known of table frames. Both tell when something is used that went back.
 */
#ifndef TESTS_INTERLEAVE_MEMORY_H
#define TESTS_INTERLEAVE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Before the first VM: from now on mem_alloc() takes from here. */
void memory_start(void);
/* Forget everything: for the next run. Nothing of the last one may be used any more. */
void memory_reset(void);
/* Blocks that did not go back since memory_reset(). */
size_t memory_live(void);
/* The VM's table frames are POOL's. */
struct frame_pool;
void memory_frames_are(const struct frame_pool *pool);
bool memory_is_frame(const volatile void *address);
/* A number for ADDRESS that is the same in every run. */
uint64_t memory_key(const volatile void *address);
/* Did it go back? */
bool memory_is_free(const volatile void *address);

#endif
