/* SPDX-License-Identifier: MIT */
/* The events of a run, what each depends on, and which pairs could have come otherwise. */
#ifndef TESTS_INTERLEAVE_EVENTS_H
#define TESTS_INTERLEAVE_EVENTS_H

#include "interleave/schedule.h"

/* Keys of what has no address: no address and no memory_key() is so small. */
enum event_key {
	KEY_READERS = 1, /* RCU sections and waits for them */
	KEY_HOST,        /* what accesses of guests depend on, besides entries */
	KEY_ASLEEP,      /* and those behind it, one a thread: it sleeps without a lock */
};

/* GRACE_END's value: of each thread, which section was its last one when the wait began. */
#define EVENT_SECTION_BITS 20

/* A run of COUNT threads begins. */
void events_reset(unsigned count);
/* The event of a step of THREAD that begins. */
struct event *events_add(unsigned thread, const struct op *op, unsigned enabled);
struct event *events_at(unsigned step);
/* A walk of the hardware: EVENT touches KEY. */
void events_touch(struct event *event, uint64_t key, bool is_write);
/* EVENT's step is over: its clock, and the races that it ends, which CHOOSER is told. */
void events_complete(struct event *event, const struct chooser *chooser);

#endif
