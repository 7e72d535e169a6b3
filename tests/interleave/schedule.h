/* SPDX-License-Identifier: MIT */
/*
 * One run of a few threads, step by step, in the order that somebody else chooses.
 *
 * A step is what a thread does from one schedule point to its next. Its event says what it did to
 * what threads share, and carries a vector clock: which steps of each thread happened before it.
 * Two events that are not ordered by their clocks could have come the other way round; two orders
 * of events with the same clocks end in the same state.
 */
#ifndef TESTS_INTERLEAVE_SCHEDULE_H
#define TESTS_INTERLEAVE_SCHEDULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "interleave/point.h"

#define THREADS_MAX 3
/* Steps after which a run is called a livelock. */
#define STEPS_MAX 20000

/* Not a thread: the rest of the run is of no interest. */
#define SCHEDULE_STOP THREADS_MAX

/* A step that a thread is about to take. */
struct op {
	enum point_kind kind;
	uint64_t key; /* what it is about: equal in every run; see memory_key() */
	const volatile void *address;
	unsigned bytes;
	const char *function;
};

/* A step that was taken. */
struct event {
	struct op op;
	uint8_t thread, enabled; /* enabled: mask of threads that could have been chosen */
	bool is_write;           /* it changed something: a compare-exchange that failed did not */
	/* what stood there before and after; YIELD, WAKE, GRACE_END: see step_value() */
	uint64_t old_value, new_value;
	uint32_t clock[THREADS_MAX]; /* events of each thread up to and with which it depends */
	int access;                  /* its last one, see events.c; -1: none */
};

/* Why a run is bad. */
enum verdict {
	VERDICT_FINE,
	VERDICT_DEADLOCK,
	VERDICT_LIVELOCK,
	VERDICT_FREED, /* something was used after it had gone back */
	VERDICT_CHECK, /* what the run came to is not allowed */
};

/* Who chooses. Called on the stack of some thread: it may not reach a schedule point. */
struct chooser {
	void *ctx;
	/*
	 * The thread that takes step number STEP; ENABLED is never 0; CURRENT took the last one.
	 * SCHEDULE_STOP: none, the run ends here.
	 */
	unsigned (*choose)(void *ctx, unsigned step, unsigned enabled, unsigned current);
	/* Events FIRST < SECOND could have come the other way round, and have not; may be NULL. */
	void (*raced)(void *ctx, unsigned first, unsigned second);
	/* Event number STEP is complete; may be NULL. */
	void (*done)(void *ctx, unsigned step);
};

/* Run COUNT threads, thread i BODY[i](CTX, i), to their ends. Afterwards points do nothing. */
enum verdict schedule_run(const struct chooser *chooser, void (*const *body)(void *ctx, unsigned i),
			  void *ctx, unsigned count);

/* The run: while it goes on, and until the next one begins. */
unsigned schedule_steps(void);
const struct event *schedule_event(unsigned step);
/* What THREAD is about to do. */
const struct op *schedule_next_op(unsigned thread);
bool schedule_is_finished(unsigned thread);
/* Would exchanging two steps of two threads, one right after the other, matter? */
bool schedule_ops_depend(const struct op *a, const struct op *b);
/* Did the event FIRST happen before SECOND, by their clocks? */
bool schedule_happens_before(const struct event *first, const struct event *second);
/* Index of EVENT among its thread's own, from 1 on. */
static inline uint32_t event_index(const struct event *event)
{
	return event->clock[event->thread];
}
/* Call FN for each word that EVENT, a complete one, used; locks, readers and the like are none. */
void schedule_uses(const struct event *event, void (*fn)(void *ctx, uint64_t key, bool is_write),
		   void *ctx);
/* Report what is wrong with the run; the first report stays. */
void schedule_blame(enum verdict verdict, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* What was reported; "" if nothing. */
const char *schedule_blamed(void);
/* Is a run under way, on a thread of it? */
bool schedule_is_running(void);
/* The thread that runs; 0 if none does. */
unsigned schedule_thread(void);
/* Each step is told to LINE once it was taken; NULL: none is. */
void schedule_trace_to(void (*line)(const struct event *event));

#endif
