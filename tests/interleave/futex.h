/* SPDX-License-Identifier: MIT */
/* Included before src/base/lock.c, with hook.h: its system call is the scheduler's. */
#ifndef TESTS_INTERLEAVE_FUTEX_H
#define TESTS_INTERLEAVE_FUTEX_H

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "interleave/hook.h"

static inline long futex_call(const volatile void *address, int operation, uint32_t value)
{
	if (operation == FUTEX_WAIT_PRIVATE)
		point_futex_wait(address, value, "futex wait");
	else
		point_futex_wake(address, "futex wake");
	return 0;
}

#define syscall(number, address, operation, value, timeout, other, more) \
	futex_call(address, operation, value)

#endif
