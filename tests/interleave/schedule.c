/* SPDX-License-Identifier: MIT */
#include "interleave/schedule.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "interleave/coroutine.h"
#include "interleave/events.h"
#include "interleave/memory.h"

#define NOBODY      COROUTINE_CALLER
#define WATCHED_MAX 192
/* SIGNAL's "bytes": of those who wait, one wakes; else all. */
#define SIGNAL_ONE 1

/* A thread of the run. */
struct thread {
	struct op next; /* what it is about to do */
	int last;       /* its last event; -1: none */
	bool is_finished;
	unsigned nesting;               /* of readers */
	uint32_t section;               /* readers entered so far, not counting nested ones */
	uint32_t awaited[THREADS_MAX];  /* a wait for readers: the sections to be left; 0: none */
	uint64_t sections;              /* its beginning: the last section of each thread then */
	uint64_t await_value;           /* YIELD: until something else stands there */
	const volatile void *condition; /* waits for it */
	bool is_signalled;
	int walked; /* event of its last walk as a guest; -1: none */
	/* GUEST: what it met since then, as it found it */
	struct watched {
		const volatile void *address;
		unsigned bytes;
		uint64_t value;
	} watched[WATCHED_MAX];
	unsigned watched_count; /* past the array: it may walk anyway */
};

/* A lock that somebody holds. */
struct held {
	uint64_t key;
	unsigned thread;
};

#define HELD_MAX 32

static struct {
	const struct chooser *chooser;
	void (*const *body)(void *ctx, unsigned i);
	void *ctx;
	unsigned count, current;
	bool is_running, is_stopped;
	struct thread thread[THREADS_MAX];
	struct held held[HELD_MAX];
	unsigned held_count;
	enum verdict verdict;
	char blamed[512];
	void (*line)(const struct event *event);
} run;

unsigned schedule_thread(void)
{
	return run.is_running ? run.current : 0;
}

bool schedule_is_running(void)
{
	return run.is_running;
}

const struct op *schedule_next_op(unsigned thread)
{
	return &run.thread[thread].next;
}

bool schedule_is_finished(unsigned thread)
{
	return run.thread[thread].is_finished;
}

void schedule_trace_to(void (*line)(const struct event *event))
{
	run.line = line;
}

void schedule_blame(enum verdict verdict, const char *format, ...)
{
	va_list args;

	if (run.verdict != VERDICT_FINE)
		return;
	run.verdict = verdict;
	va_start(args, format);
	vsnprintf(run.blamed, sizeof(run.blamed), format, args);
	va_end(args);
}

const char *schedule_blamed(void)
{
	return run.blamed;
}

/* ---- what stands there ---- */

/* 0 for what went back: it may not even be looked at. */
static uint64_t value_at(const volatile void *address, unsigned bytes)
{
	if (memory_is_free(address))
		return 0;
	switch (bytes) {
	case 1:
		return *(const volatile uint8_t *)address;
	case 2:
		return *(const volatile uint16_t *)address;
	case 4:
		return *(const volatile uint32_t *)address;
	case 8:
		return *(const volatile uint64_t *)address;
	default:
		return 0;
	}
}

static bool op_has_value(const struct op *op)
{
	return op->kind <= POINT_AND;
}

/* ---- locks ---- */

static struct held *lock_holder(uint64_t key)
{
	for (unsigned i = 0; i < run.held_count; i++)
		if (run.held[i].key == key)
			return &run.held[i];
	return NULL;
}

static void lock_hold(uint64_t key, unsigned thread)
{
	if (run.held_count == HELD_MAX)
		abort();
	run.held[run.held_count++] = (struct held){key, thread};
}

static void lock_drop(uint64_t key, unsigned thread)
{
	struct held *held = lock_holder(key);

	if (!held || held->thread != thread)
		schedule_blame(VERDICT_CHECK, "a lock was given back by who did not have it");
	if (held)
		*held = run.held[--run.held_count];
}

/* ---- may a thread take its step? ---- */

static bool readers_have_left(const struct thread *thread)
{
	for (unsigned i = 0; i < run.count; i++)
		if (thread->awaited[i] && run.thread[i].nesting &&
		    run.thread[i].section == thread->awaited[i])
			return false;
	return true;
}

static bool watches(const struct thread *thread, const volatile void *address)
{
	for (unsigned i = 0; i < thread->watched_count; i++)
		if (thread->watched[i].address == address)
			return true;
	return false;
}

/* THREAD is about to walk again: what has it met since its last walk? */
static void guest_watch(struct thread *thread, unsigned index)
{
	thread->watched_count = 0;
	if (thread->walked < 0)
		return;
	for (unsigned step = (unsigned)thread->walked; step < schedule_steps(); step++) {
		const struct event *event = events_at(step);

		if (event->thread != index || !op_has_value(&event->op) ||
		    watches(thread, event->op.address))
			continue;
		if (thread->watched_count == WATCHED_MAX) {
			thread->walked = -1;
			return;
		}
		thread->watched[thread->watched_count++] =
			(struct watched){event->op.address, event->op.bytes, event->old_value};
	}
}

/*
 * A walk that was refused would be refused again for as long as everything is as the fault before
 * it found it. So nobody tries again and again while another could go on.
 */
static bool guest_may_walk(const struct thread *thread)
{
	if (thread->walked < 0)
		return true;
	for (unsigned i = 0; i < thread->watched_count; i++)
		if (value_at(thread->watched[i].address, thread->watched[i].bytes) !=
		    thread->watched[i].value)
			return true;
	return false;
}

static bool thread_is_enabled(unsigned index)
{
	const struct thread *thread = &run.thread[index];

	if (thread->is_finished)
		return false;
	switch (thread->next.kind) {
	case POINT_LOCK:
		return !lock_holder(thread->next.key);
	case POINT_WAKE:
		return thread->is_signalled && !lock_holder(thread->next.key);
	case POINT_GRACE_END:
		return readers_have_left(thread);
	case POINT_YIELD:
		return value_at(thread->next.address, thread->next.bytes) != thread->await_value;
	case POINT_GUEST:
		return guest_may_walk(thread);
	default:
		return true;
	}
}

static unsigned threads_enabled(void)
{
	unsigned enabled = 0;

	for (unsigned i = 0; i < run.count; i++)
		enabled |= (unsigned)thread_is_enabled(i) << i;
	if (enabled)
		return enabled;
	/* Nothing will change any more: let it find out. */
	for (unsigned i = 0; i < run.count; i++)
		if (!run.thread[i].is_finished && run.thread[i].next.kind == POINT_GUEST)
			enabled |= 1u << i;
	return enabled;
}

/* ---- taking a step ---- */

static void step_grace(struct thread *thread)
{
	thread->sections = 0;
	for (unsigned i = 0; i < run.count; i++) {
		thread->awaited[i] = run.thread[i].nesting ? run.thread[i].section : 0;
		thread->sections |= (uint64_t)run.thread[i].section << i * EVENT_SECTION_BITS;
	}
}

/* Wake all that wait for CONDITION, or one. */
static void step_signal(const struct op *op)
{
	for (unsigned i = 0; i < run.count; i++) {
		if (run.thread[i].condition != op->address || run.thread[i].is_signalled)
			continue;
		run.thread[i].is_signalled = true;
		if (op->bytes == SIGNAL_ONE)
			return;
	}
}

/* What the step is to the scheduler itself. */
static void step_take(unsigned index)
{
	struct thread *thread = &run.thread[index];

	switch (thread->next.kind) {
	case POINT_LOCK:
	case POINT_WAKE:
		lock_hold(thread->next.key, index);
		thread->condition = NULL;
		thread->is_signalled = false;
		break;
	case POINT_UNLOCK:
		lock_drop(thread->next.key, index);
		break;
	case POINT_WAITER:
		thread->condition = thread->next.address;
		break;
	case POINT_SIGNAL:
		step_signal(&thread->next);
		break;
	case POINT_ENTER:
		thread->nesting = 1;
		thread->section++;
		break;
	case POINT_LEAVE:
		thread->nesting = 0;
		break;
	case POINT_GRACE:
		step_grace(thread);
		break;
	default:
		break;
	}
}

static void step_check_memory(const struct op *op)
{
	if (op->kind <= POINT_AND && memory_is_free(op->address))
		schedule_blame(VERDICT_FREED, "%s() uses memory that went back", op->function);
}

/* What its event must know of the step that THREAD is about to take. */
static uint64_t step_value(const struct thread *thread)
{
	const struct op *op = &thread->next;

	if (op_has_value(op))
		return value_at(op->address, op->bytes);
	if (op->kind == POINT_YIELD)
		return thread->await_value;
	if (op->kind == POINT_WAKE)
		return memory_key(thread->condition);
	return op->kind == POINT_GRACE_END ? thread->sections : 0;
}

/* The step of thread INDEX begins: its event, to be completed when it is over. */
static void step_begin(unsigned index, unsigned enabled)
{
	struct thread *thread = &run.thread[index];
	const struct op *op = &thread->next;
	struct event *event = events_add(index, op, enabled);

	step_check_memory(op);
	event->old_value = step_value(thread);
	step_take(index);
	thread->last = (int)schedule_steps() - 1;
}

static bool event_is_write(const struct event *event)
{
	if (event->op.kind == POINT_COMPARE)
		return event->old_value != event->new_value;
	return event->op.kind != POINT_LOAD && event->op.kind != POINT_YIELD &&
	       event->op.kind != POINT_GUEST;
}

/* The step of thread INDEX is over. */
static void step_end(unsigned index)
{
	struct thread *thread = &run.thread[index];
	struct event *event;

	if (thread->last < 0)
		return;
	event = events_at((unsigned)thread->last);
	if (op_has_value(&event->op))
		event->new_value = value_at(event->op.address, event->op.bytes);
	event->is_write |= event_is_write(event);
	if (event->op.kind == POINT_GUEST)
		thread->walked = thread->last;
	if (event->op.kind == POINT_GRACE_END)
		memset(thread->awaited, 0, sizeof(thread->awaited));
	events_complete(event, run.chooser);
	if (run.line)
		run.line(event);
}

static void run_stops(unsigned from)
{
	unsigned waiting = 0;

	for (unsigned i = 0; i < run.count; i++)
		waiting += !run.thread[i].is_finished;
	if (run.is_stopped)
		waiting = 0;
	if (waiting && schedule_steps() >= STEPS_MAX)
		schedule_blame(VERDICT_LIVELOCK, "no end after %u steps", schedule_steps());
	else if (waiting)
		schedule_blame(VERDICT_DEADLOCK, "%u threads wait for each other", waiting);
	run.is_running = false;
	coroutine_switch(from, NOBODY);
}

/* FROM cannot or need not go on by itself: whoever is chosen takes a step. */
static void schedule_next(unsigned from)
{
	unsigned enabled = threads_enabled(), next;

	if (!enabled || schedule_steps() >= STEPS_MAX) {
		run_stops(from);
		return;
	}
	next = run.chooser->choose(run.chooser->ctx, schedule_steps(), enabled, run.current);
	if (next == SCHEDULE_STOP) {
		run.is_stopped = true;
		run_stops(from);
		return;
	}
	run.current = next;
	step_begin(next, enabled);
	if (run.verdict == VERDICT_FREED) {
		run.is_stopped = true;
		run_stops(from);
		return;
	}
	if (next != from)
		coroutine_switch(from, next);
}

static void point_next(enum point_kind kind, uint64_t key, const volatile void *address,
		       size_t bytes, const char *function)
{
	unsigned self = run.current;

	step_end(self);
	run.thread[self].next = (struct op){kind, key, address, (unsigned)bytes, function};
	if (kind == POINT_GUEST)
		guest_watch(&run.thread[self], self);
	schedule_next(self);
}

void point_at(enum point_kind kind, const volatile void *address, size_t bytes,
	      const char *function)
{
	const volatile void *place = address;

	if (!run.is_running)
		return;
	/* Single bytes are also read, and taken, eight at a time (memory/dirty_log.c). */
	if (bytes == 1)
		place = (const volatile unsigned char *)address - (uintptr_t)address % 8;
	point_next(kind, memory_key(place), address, bytes, function);
}

void point_touch(const volatile void *address, bool is_write)
{
	struct event *event;

	if (!run.is_running)
		return;
	event = events_at((unsigned)run.thread[run.current].last);
	if (event->op.kind != POINT_GUEST)
		return;
	if (memory_is_free(address))
		schedule_blame(VERDICT_FREED, "hardware walks through a table that went back");
	event->is_write |= is_write;
	events_touch(event, memory_key(address), is_write);
}

void point_lock(const volatile void *address, const char *function)
{
	point_at(POINT_LOCK, address, 0, function);
}

void point_unlock(const volatile void *address, const char *function)
{
	point_at(POINT_UNLOCK, address, 0, function);
}

void point_wait(const volatile void *condition, const volatile void *lock, const char *function)
{
	point_at(POINT_WAITER, condition, 0, function);
	point_at(POINT_UNLOCK, lock, 0, function);
	point_at(POINT_WAKE, lock, 0, function);
}

void point_signal(const volatile void *condition, const char *function)
{
	point_at(POINT_SIGNAL, condition, 0, function);
}

void point_futex_wait(const volatile uint32_t *address, uint32_t value, const char *function)
{
	struct thread *thread = &run.thread[run.current];

	if (!run.is_running)
		return;
	/* The look and falling asleep are one step. */
	point_at(POINT_WAITER, address, 0, function);
	if (*address != value) {
		thread->condition = NULL;
		thread->is_signalled = false;
		return;
	}
	point_next(POINT_WAKE, KEY_ASLEEP + run.current, address, 0, function);
	lock_drop(KEY_ASLEEP + run.current, run.current);
}

void point_futex_wake(const volatile uint32_t *address, const char *function)
{
	point_at(POINT_SIGNAL, address, SIGNAL_ONE, function);
}

void point_reader_enter(const char *function)
{
	if (!run.is_running)
		return;
	if (run.thread[run.current].nesting)
		run.thread[run.current].nesting++;
	else
		point_next(POINT_ENTER, KEY_READERS, NULL, 0, function);
}

void point_reader_leave(const char *function)
{
	if (!run.is_running)
		return;
	if (run.thread[run.current].nesting > 1)
		run.thread[run.current].nesting--;
	else
		point_next(POINT_LEAVE, KEY_READERS, NULL, 0, function);
}

bool point_reader_is_inside(void)
{
	return run.is_running && run.thread[run.current].nesting;
}

void point_wait_readers(const char *function)
{
	if (!run.is_running || plant_is_in(PLANT_NO_GRACE, function))
		return;
	if (run.thread[run.current].nesting)
		schedule_blame(VERDICT_DEADLOCK, "a reader waits for readers");
	point_next(POINT_GRACE, KEY_READERS, NULL, 0, function);
	point_next(POINT_GRACE_END, KEY_READERS, NULL, 0, function);
}

void point_yield(const char *function)
{
	struct thread *thread = &run.thread[run.current];
	const struct event *last;

	if (!run.is_running || thread->last < 0)
		return;
	last = events_at((unsigned)thread->last);
	if (last->op.kind != POINT_LOAD && last->op.kind != POINT_EXCHANGE &&
	    last->op.kind != POINT_COMPARE)
		return;
	thread->await_value = last->old_value;
	point_next(POINT_YIELD, last->op.key, last->op.address, last->op.bytes, function);
}

const void *point_self(void)
{
	return run.is_running ? &run.thread[run.current] : (const void *)&run;
}

static void thread_main(unsigned index)
{
	/* The first step begins when the thread is first chosen. */
	run.current = index;
	run.body[index](run.ctx, index);
	step_end(index);
	run.thread[index].is_finished = true;
	schedule_next(index);
	abort();
}

enum verdict schedule_run(const struct chooser *chooser, void (*const *body)(void *ctx, unsigned i),
			  void *ctx, unsigned count)
{
	memset(&run.thread, 0, sizeof(run.thread));
	run.chooser = chooser;
	run.body = body;
	run.ctx = ctx;
	run.count = count;
	run.held_count = 0;
	run.verdict = VERDICT_FINE;
	run.blamed[0] = '\0';
	events_reset(count);
	for (unsigned i = 0; i < count; i++) {
		run.thread[i].last = run.thread[i].walked = -1;
		run.thread[i].next = (struct op){.kind = POINT_START, .function = "start"};
		coroutine_make(i, thread_main);
	}
	run.is_running = true;
	run.is_stopped = false;
	run.current = 0;
	schedule_next(NOBODY);
	run.is_running = false;
	return run.verdict;
}
