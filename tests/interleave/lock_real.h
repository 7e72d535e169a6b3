/* SPDX-License-Identifier: MIT */
/* The library's lock, a word and a futex, each access a point; elsewhere a model stands for it. */
#ifndef TESTS_INTERLEAVE_LOCK_REAL_H
#define TESTS_INTERLEAVE_LOCK_REAL_H

/* There is one. Free again: before a run. */
void lock_real_reset(void);
void lock_real_take(void);
void lock_real_give(void);

#endif
