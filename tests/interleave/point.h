/* SPDX-License-Identifier: MIT */
/*
 * Schedule points: what the code under exploration tells the scheduler before each access to what
 * threads share. hook.h makes the library's atomics call this; model/ its locks and its RCU.
 *
 * One coroutine runs at a time. A point names the step that its thread is about to take; whoever
 * searches (search.h) decides which thread takes its step next. Outside an exploration, while a VM
 * is set up or looked at, points do nothing.
 */
#ifndef TESTS_INTERLEAVE_POINT_H
#define TESTS_INTERLEAVE_POINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum point_kind {
	POINT_LOAD,
	POINT_STORE,
	POINT_EXCHANGE,
	POINT_COMPARE, /* compare-exchange */
	POINT_ADD,     /* results of these two are never used: each commutes with its like */
	POINT_OR,
	POINT_AND, /* its result is */
	POINT_LOCK,
	POINT_UNLOCK,
	POINT_WAITER, /* a thread is about to wait for a condition */
	POINT_SIGNAL,
	POINT_WAKE, /* woken: takes the lock again */
	POINT_ENTER,
	POINT_LEAVE,
	POINT_GRACE, /* a wait for readers begins */
	POINT_GRACE_END,
	POINT_YIELD, /* until what was looked at last is something else */
	POINT_GUEST, /* a walk of the hardware, from its first load to its last, at once */
	POINT_HOST,  /* something that accesses of guests depend on: a flush, a copy of memory */
	POINT_FREE,  /* memory goes back */
	POINT_START, /* a thread begins */
	POINT_KINDS,
};

/* Bugs that the hooks plant into the code: see plant.c. */
enum plant {
	PLANT_NOTHING,
	PLANT_NO_RECHECK, /* nobody looks again whether an invalidation has met the page */
	PLANT_STORE,      /* a compare, and later a plain store */
	PLANT_NO_FREEZE,  /* entries of a table on its way out are not frozen */
	PLANT_NO_GRACE,   /* readers are not waited for */
	PLANT_NO_CLAIM,   /* whoever locks exclusively does not wait for those who share */
	PLANTS,
};

/* The step of the calling thread, by FUNCTION; returns when it may be taken, by the caller. */
void point_at(enum point_kind kind, const volatile void *address, size_t bytes,
	      const char *function);
/* A walk of the hardware reads, or also writes, one entry: part of its POINT_GUEST. */
void point_touch(const volatile void *address, bool is_write);

/* A lock: take it and give it back; ADDRESS is its identity. */
void point_lock(const volatile void *address, const char *function);
void point_unlock(const volatile void *address, const char *function);
/* POSIX's condition variables. */
void point_wait(const volatile void *condition, const volatile void *lock, const char *function);
void point_signal(const volatile void *condition, const char *function);
/* A futex: sleep if VALUE stands at ADDRESS, until woken; wake one that sleeps there. */
void point_futex_wait(const volatile uint32_t *address, uint32_t value, const char *function);
void point_futex_wake(const volatile uint32_t *address, const char *function);
/* RCU. */
void point_reader_enter(const char *function);
void point_reader_leave(const char *function);
bool point_reader_is_inside(void);
void point_wait_readers(const char *function);
/* sched_yield(): after a look at something, wait until it is something else. */
void point_yield(const char *function);
/* Something of the calling coroutine's own. */
const void *point_self(void);

/* The bug that is planted now. */
extern enum plant plant_now;
/* Is FUNCTION where PLANT belongs? */
bool plant_belongs(enum plant plant, const char *function);
/* A load of ADDRESS by FUNCTION gave VALUE: what the planted one gives. */
uint64_t plant_load(const volatile void *address, uint64_t value, const char *function);
/* "no-recheck" ...; NULL for a number that is none. */
const char *plant_name(enum plant plant);

static inline bool plant_is_in(enum plant plant, const char *function)
{
	return plant_now == plant && plant_belongs(plant, function);
}

#endif
