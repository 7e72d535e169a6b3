/* SPDX-License-Identifier: MIT */
/* In the place of src/base/sync.c: RCU by the scheduler. Every coroutine is a registered reader. */
#include "base/sync.h"

#include "interleave/point.h"

const void *sync_self(void)
{
	return point_self();
}

void sync_thread_register(void)
{
}

void sync_thread_unregister(void)
{
}

bool sync_thread_is_registered(void)
{
	return true;
}

void sync_read_lock(void)
{
	point_reader_enter(__func__);
}

void sync_read_unlock(void)
{
	point_reader_leave(__func__);
}

bool sync_is_reading(void)
{
	return point_reader_is_inside();
}

void sync_wait_readers(void)
{
	point_wait_readers(__func__);
}
