/* SPDX-License-Identifier: MIT */
#include "interleave/lock_real.h"

#include "base/lock.h"

static struct lock lock;

void lock_real_reset(void)
{
	*(volatile uint32_t *)&lock.state = LOCK_FREE;
}

void lock_real_take(void)
{
	lock_take(&lock);
}

void lock_real_give(void)
{
	lock_give(&lock);
}
