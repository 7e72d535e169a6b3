/* SPDX-License-Identifier: MIT */
/*
 * In the place of src/base/lock.h: a lock that the scheduler knows. The word and futex of the real
 * one have a scenario of their own.
 */
#ifndef VMMU_BASE_LOCK_H
#define VMMU_BASE_LOCK_H

#include "base/bits.h"
#include "interleave/point.h"

struct lock {
	uint32_t state; /* its address tells locks apart */
};

/* So that a schedule tells who takes and gives. */
#define lock_take(lock) point_lock(&(lock)->state, __func__)
#define lock_give(lock) point_unlock(&(lock)->state, __func__)

#endif
