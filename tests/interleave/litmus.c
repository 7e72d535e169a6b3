/* SPDX-License-Identifier: MIT */
/*
 * Memory orders, as small models: a few operations of each lockless protocol with the orders that
 * the code gives them, on a machine that is as weak as release and acquire allow. Every outcome is
 * looked at. Each model says what may not come out, and has a twin with one order too weak, where
 * it must: a model that cannot fail would show nothing.
 *
 * The machine: each location has all values that it ever had; each thread has a view, the oldest
 * value of each location that it may still read. A store adds a value; a release attaches the
 * thread's view to it, which an acquire of it takes over. A read-modify-write is of the last
 * value. membarrier() makes everything known to everybody, and a sequentially consistent step is a
 * full fence, as it is on CPUs. Threads run in program order: what a CPU or compiler may gain by
 * doing a load after a later store is left out.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"

#define THREADS 3
#define PLACES  5
#define VALUES  8
#define STEPS   10

enum order {
	RELAXED,
	ACQUIRE,
	RELEASE,
	ACQ_REL,
	SEQ_CST,
};

enum kind {
	END,
	LOAD,  /* into the register of the step's number */
	STORE, /* value */
	ADD,   /* value */
	SWAP,  /* for value */
	LOCK,  /* from 0 to 1, waits */
	CLEAR, /* to 0, if the step before found something there */
	BARRIER,
};

struct step {
	enum kind kind;
	unsigned place;
	enum order order;
	int value;
};

struct view {
	unsigned char at[PLACES];
};

struct message {
	int value;
	struct view view; /* what a release knew */
	bool is_release;
};

struct state {
	struct message message[PLACES][VALUES];
	unsigned count[PLACES];
	struct view view[THREADS];
	struct view total; /* what sequentially consistent steps know of each other */
	unsigned at[THREADS];
	int reg[THREADS][STEPS];
};

struct model {
	const char *name;
	const char *weakened; /* the twin: what is too weak, so that it must come out; NULL: none */
	int before[PLACES];   /* values */
	struct step step[THREADS][STEPS];
	bool (*is_bad)(const struct state *state);
};

static void view_join(struct view *to, const struct view *from)
{
	for (unsigned i = 0; i < PLACES; i++)
		if (to->at[i] < from->at[i])
			to->at[i] = from->at[i];
}

static bool order_acquires(enum order order)
{
	return order == ACQUIRE || order >= ACQ_REL;
}

static bool order_releases(enum order order)
{
	return order >= RELEASE;
}

static void machine_store(struct state *state, unsigned thread, const struct step *step, int value)
{
	unsigned at = state->count[step->place]++;
	struct message *message = &state->message[step->place][at];

	if (at >= VALUES)
		abort();
	state->view[thread].at[step->place] = (unsigned char)at;
	*message = (struct message){.value = value, .is_release = order_releases(step->order)};
	if (message->is_release)
		message->view = state->view[thread];
}

static int machine_load(struct state *state, unsigned thread, const struct step *step, unsigned at)
{
	const struct message *message = &state->message[step->place][at];

	state->view[thread].at[step->place] = (unsigned char)at;
	if (message->is_release && order_acquires(step->order))
		view_join(&state->view[thread], &message->view);
	return message->value;
}

/* The first half of a read-modify-write. */
static int machine_change(struct state *state, unsigned thread, const struct step *step)
{
	return machine_load(state, thread, step, state->count[step->place] - 1);
}

static void machine_barrier(struct state *state)
{
	for (unsigned i = 1; i < THREADS; i++)
		view_join(&state->view[0], &state->view[i]);
	for (unsigned i = 1; i < THREADS; i++)
		state->view[i] = state->view[0];
}

static bool machine_can_step(const struct state *state, const struct step *step)
{
	return step->kind != END &&
	       (step->kind != LOCK ||
		!state->message[step->place][state->count[step->place] - 1].value);
}

/* One step of THREAD; a load reads value number AT. */
static void machine_step(struct state *state, unsigned thread, const struct step *step, unsigned at)
{
	unsigned number = state->at[thread]++;
	int value;

	if (step->order == SEQ_CST)
		view_join(&state->view[thread], &state->total);
	switch (step->kind) {
	case LOAD:
		state->reg[thread][number] = machine_load(state, thread, step, at);
		break;
	case STORE:
		machine_store(state, thread, step, step->value);
		break;
	case ADD:
	case LOCK:
		value = machine_change(state, thread, step);
		machine_store(state, thread, step, value + step->value);
		break;
	case CLEAR:
		if (!state->reg[thread][number - 1])
			break;
		/* fallthrough */
	case SWAP:
		machine_change(state, thread, step);
		machine_store(state, thread, step, step->value);
		break;
	case BARRIER:
		machine_barrier(state);
		break;
	default:
		break;
	}
	if (step->order == SEQ_CST)
		view_join(&state->total, &state->view[thread]);
}

struct count {
	unsigned ends, bad;
};

/* Everything that can come of STATE. */
static void explore(const struct model *model, const struct state *state, struct count *count)
{
	bool is_end = true;

	for (unsigned thread = 0; thread < THREADS; thread++) {
		const struct step *step = &model->step[thread][state->at[thread]];
		unsigned first = 0, last = 0;

		if (!machine_can_step(state, step))
			continue;
		is_end = false;
		if (step->kind == LOAD) {
			first = state->view[thread].at[step->place];
			if (step->order == SEQ_CST && first < state->total.at[step->place])
				first = state->total.at[step->place];
			last = state->count[step->place] - 1;
		}
		for (unsigned at = first; at <= last; at++) {
			struct state next = *state;

			machine_step(&next, thread, step, at);
			explore(model, &next, count);
		}
	}
	if (!is_end)
		return;
	count->ends++;
	count->bad += model->is_bad(state);
}

static struct state state_of(const struct model *model)
{
	struct state state;

	memset(&state, 0, sizeof(state));
	for (unsigned i = 0; i < PLACES; i++) {
		state.message[i][0].value = model->before[i];
		state.count[i] = 1;
	}
	return state;
}

/* ---- base/brlock.h: thread 0 shares, thread 1 is exclusive ---- */

enum {
	INSIDE,
	CLAIMED,
	DATA,
};

static bool both_are_in(const struct state *state)
{
	return !state->reg[0][1] && !state->reg[1][2];
}

/* Nobody is inside any more, and what was done there is not seen. */
static bool work_is_lost(const struct state *state)
{
	return !state->reg[1][0] && !state->reg[1][1];
}

#define SHARED_LIGHT                                                      \
	{                                                                 \
		{STORE, INSIDE, RELAXED, 1}, {LOAD, CLAIMED, ACQUIRE, 0}, \
	}
#define SHARED_HEAVY(order, look)                                  \
	{                                                          \
		{ADD, INSIDE, order, 1}, {LOAD, CLAIMED, look, 0}, \
	}
/* What stands between the claim and the look at the slot. */
#define CLAIM(...)                                                                       \
	{                                                                                \
		{STORE, CLAIMED, SEQ_CST, 1}, {__VA_ARGS__}, {LOAD, INSIDE, SEQ_CST, 0}, \
	}
#define LEAVE(order)                                                  \
	{                                                             \
		{STORE, DATA, RELAXED, 1}, {STORE, INSIDE, order, 0}, \
	}
#define FIND_OUTSIDE(order)                                         \
	{                                                           \
		{LOAD, INSIDE, order, 0}, {LOAD, DATA, RELAXED, 0}, \
	}

/* ---- walker/: a walk, and a table that comes ---- */

enum {
	PARENT,
	ENTRY,
};

static bool table_is_empty(const struct state *state)
{
	return state->reg[0][0] && !state->reg[0][1];
}

#define WALK(order)                                                  \
	{                                                            \
		{LOAD, PARENT, order, 0}, {LOAD, ENTRY, RELAXED, 0}, \
	}
#define LINK(order)                                                    \
	{                                                              \
		{STORE, ENTRY, RELAXED, 1}, {STORE, PARENT, order, 1}, \
	}

/* ---- memory/slots.c: a lookup, and a set that is published ---- */

enum {
	ACTIVE,
	GENERATION, /* of the set that comes; 0: as it was used the last time */
};

static bool set_is_unstamped(const struct state *state)
{
	return state->reg[0][0] && !state->reg[0][1];
}

#define LOOKUP                                                              \
	{                                                                   \
		{LOAD, ACTIVE, ACQUIRE, 0}, {LOAD, GENERATION, ACQUIRE, 0}, \
	}
#define PUBLISH(order)                                                             \
	{                                                                          \
		{STORE, GENERATION, RELAXED, 1}, {STORE, ACTIVE, order, 1},        \
			{BARRIER, 0, RELAXED, 0}, {STORE, GENERATION, RELEASE, 2}, \
	}

/* ---- faults/invalidate.c: a fault, and an invalidation ---- */

enum {
	SEQ,
	IN_PROGRESS,
	PAGE,
	MMU_LOCK,
	ZAPPED,
};

/* Not under way any more, and not counted yet. */
static bool end_is_missed(const struct state *state)
{
	return !state->reg[0][0] && !state->reg[0][1];
}

/* The fault goes on to map the page that it looked up, the old one, behind the zap. */
static bool old_page_is_mapped(const struct state *state)
{
	const int *reg = state->reg[0];

	return !reg[1] && !reg[2] && reg[4] == reg[0] && !reg[5] && reg[6];
}

#define MUST_RETRY(order)                                               \
	{                                                               \
		{LOAD, IN_PROGRESS, order, 0}, {LOAD, SEQ, ACQUIRE, 0}, \
	}
#define FINISH(order)                               \
	{                                           \
		{ADD, SEQ, RELEASE, 1},             \
		{                                   \
			ADD, IN_PROGRESS, order, -1 \
		}                                   \
	}
#define FAULT(order)                                                                              \
	{                                                                                         \
		{LOAD, SEQ, order, 0}, {LOAD, IN_PROGRESS, ACQUIRE, 0}, {LOAD, PAGE, RELAXED, 0}, \
			{LOCK, MMU_LOCK, ACQUIRE, 1}, {LOAD, SEQ, ACQUIRE, 0},                    \
			{LOAD, IN_PROGRESS, ACQUIRE, 0}, {LOAD, ZAPPED, RELAXED, 0},              \
			{STORE, MMU_LOCK, RELEASE, 0},                                            \
	}
#define INVALIDATION(order)                                                            \
	{                                                                              \
		{LOCK, MMU_LOCK, ACQUIRE, 1}, {STORE, ZAPPED, RELAXED, 1},             \
			{ADD, IN_PROGRESS, RELEASE, 1}, {STORE, MMU_LOCK, RELEASE, 0}, \
			{STORE, PAGE, RELAXED, 1}, {LOCK, MMU_LOCK, ACQUIRE, 1},       \
			{ADD, SEQ, order, 1}, {ADD, IN_PROGRESS, RELEASE, -1},         \
			{STORE, MMU_LOCK, RELEASE, 0},                                 \
	}

/* ---- memory/dirty_log.h: a fast fix, the log is read, somebody else marks the page too ---- */

enum {
	WRITABLE,
	DIRTY,
	NOWHERE, /* a sequentially consistent load of it is a fence and nothing else */
};

static int last_value(const struct state *state, unsigned place)
{
	return state->message[place][state->count[place] - 1].value;
}

/* The page can be written, and nobody will know. */
static bool write_is_unseen(const struct state *state)
{
	return last_value(state, WRITABLE) && !last_value(state, DIRTY);
}

#define FIX(fence)                                                       \
	{                                                                \
		{SWAP, WRITABLE, ACQ_REL, 1}, {LOAD, NOWHERE, fence, 0}, \
			{STORE, DIRTY, RELEASE, 1},                      \
	}
#define HARVEST(fence)                                                               \
	{                                                                            \
		{SWAP, DIRTY, ACQ_REL, 0}, {LOAD, NOWHERE, fence, 0},                \
			{LOAD, WRITABLE, ACQUIRE, 0}, {CLEAR, WRITABLE, ACQ_REL, 0}, \
	}
#define HOST_MARK                           \
	{                                   \
		{STORE, DIRTY, RELEASE, 1}, \
	}

static const struct model models[] = {
	{"brlock with membarrier",
	 NULL,
	 {0},
	 {SHARED_LIGHT, CLAIM(BARRIER, 0, RELAXED, 0)},
	 both_are_in},
	{"brlock with membarrier",
	 "none",
	 {0},
	 {SHARED_LIGHT, CLAIM(LOAD, DATA, RELAXED, 0)},
	 both_are_in},
	{"brlock",
	 NULL,
	 {0},
	 {SHARED_HEAVY(SEQ_CST, SEQ_CST), CLAIM(LOAD, DATA, RELAXED, 0)},
	 both_are_in},
	{"brlock",
	 "entering, looking",
	 {0},
	 {SHARED_HEAVY(ACQ_REL, ACQUIRE), CLAIM(LOAD, DATA, RELAXED, 0)},
	 both_are_in},
	{"brlock, leaving", NULL, {1}, {LEAVE(RELEASE), FIND_OUTSIDE(ACQUIRE)}, work_is_lost},
	{"brlock, leaving", "leaving", {1}, {LEAVE(RELAXED), FIND_OUTSIDE(ACQUIRE)}, work_is_lost},
	{"brlock, leaving", "looking", {1}, {LEAVE(RELEASE), FIND_OUTSIDE(RELAXED)}, work_is_lost},
	{"table", NULL, {0}, {WALK(ACQUIRE), LINK(RELEASE)}, table_is_empty},
	{"table", "linking", {0}, {WALK(ACQUIRE), LINK(RELAXED)}, table_is_empty},
	{"table", "walking", {0}, {WALK(RELAXED), LINK(RELEASE)}, table_is_empty},
	{"slot set", NULL, {0}, {LOOKUP, PUBLISH(RELEASE)}, set_is_unstamped},
	{"slot set", "publishing", {0}, {LOOKUP, PUBLISH(RELAXED)}, set_is_unstamped},
	{"dirty log", NULL, {0, 1}, {FIX(SEQ_CST), HARVEST(SEQ_CST), HOST_MARK}, write_is_unseen},
	{"dirty log",
	 "marking",
	 {0, 1},
	 {FIX(RELAXED), HARVEST(SEQ_CST), HOST_MARK},
	 write_is_unseen},
	{"dirty log",
	 "taking",
	 {0, 1},
	 {FIX(SEQ_CST), HARVEST(RELAXED), HOST_MARK},
	 write_is_unseen},
	{"end of an invalidation",
	 NULL,
	 {0, 1},
	 {MUST_RETRY(ACQUIRE), FINISH(RELEASE)},
	 end_is_missed},
	{"end of an invalidation",
	 "ending",
	 {0, 1},
	 {MUST_RETRY(ACQUIRE), FINISH(RELAXED)},
	 end_is_missed},
	{"end of an invalidation",
	 "looking",
	 {0, 1},
	 {MUST_RETRY(RELAXED), FINISH(RELEASE)},
	 end_is_missed},
	{"page lookup", NULL, {0}, {FAULT(ACQUIRE), INVALIDATION(RELEASE)}, old_page_is_mapped},
	{"page lookup",
	 "counting",
	 {0},
	 {FAULT(ACQUIRE), INVALIDATION(RELAXED)},
	 old_page_is_mapped},
	{"page lookup",
	 "reading the count",
	 {0},
	 {FAULT(RELAXED), INVALIDATION(RELEASE)},
	 old_page_is_mapped},
};

int main(void)
{
	unsigned wrong = 0;

	for (unsigned i = 0; i < ARRAY_COUNT(models); i++) {
		const struct model *model = &models[i];
		struct state state = state_of(model);
		struct count count = {0};

		explore(model, &state, &count);
		printf("%-24s too weak: %-18s %8u outcomes, %6u bad\n", model->name,
		       model->weakened ? model->weakened : "nothing", count.ends, count.bad);
		wrong += model->weakened ? !count.bad : count.bad != 0;
	}
	printf("%u of %zu models are not as they must be\n", wrong, ARRAY_COUNT(models));
	return wrong != 0;
}
