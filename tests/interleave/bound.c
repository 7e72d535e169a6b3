/* SPDX-License-Identifier: MIT */
/*
 * Every schedule in which threads are preempted at most a few times: switched away from while they
 * could go on. A state that was reached before by the same events, with as many preemptions to
 * spare, is not gone on from.
 *
 * A preemption is worth a try only before a step on something that several threads use and some
 * change: before any other step it is as good as before the next such one. What is such a thing
 * shows as runs go by; whenever another one turns up, the search begins anew.
 */
#include <stdio.h>
#include <stdlib.h>

#include "interleave/memory.h"
#include "interleave/run.h"

#define SHARED_LG2 17u

struct branch {
	uint8_t chosen;
	uint8_t open; /* mask: to be tried instead */
	uint8_t current;
	uint8_t preemptions; /* before this step */
	bool is_current_enabled;
};

/* Who uses a thing, in any run so far. */
struct shared {
	uint64_t key; /* 0: nothing here */
	uint8_t users;
	bool is_written;
};

struct bound {
	struct search search;
	struct branch branch[STEPS_MAX];
	unsigned preemptions; /* of the run so far */
	unsigned drained_at;  /* step */
	struct seen states;
	struct shared shared[1u << SHARED_LG2];
	unsigned shared_count;
	unsigned user; /* the thread whose step was just taken */
	bool has_grown;
};

static struct bound bound;

static struct shared *bound_shared(struct bound *b, uint64_t key)
{
	uint64_t at = seen_mix(key) >> (64 - SHARED_LG2);

	while (b->shared[at].key && b->shared[at].key != key)
		at = (at + 1) & ((1u << SHARED_LG2) - 1);
	return &b->shared[at];
}

static bool shared_is_contended(const struct shared *shared)
{
	return shared->is_written && shared->users & (shared->users - 1);
}

/* Is another thread worth a try before the next step of THREAD? */
static bool bound_may_branch(struct bound *b, unsigned thread)
{
	const struct op *op = schedule_next_op(thread);

	if (op->kind <= POINT_AND)
		return shared_is_contended(bound_shared(b, op->key));
	/* Giving something back is no worse a moment later. */
	return op->kind != POINT_UNLOCK && op->kind != POINT_LEAVE && op->kind != POINT_START;
}

static void bound_new_branch(struct bound *b, unsigned step, unsigned enabled, unsigned current)
{
	struct branch *branch = &b->branch[step];
	bool can_stay = step && enabled >> current & 1;
	bool may_branch = !can_stay || bound_may_branch(b, current);

	*branch = (struct branch){.current = (uint8_t)current,
				  .preemptions = (uint8_t)b->preemptions,
				  .is_current_enabled = can_stay};
	branch->chosen = (uint8_t)run_any(enabled, can_stay ? current : THREADS_MAX);
	if (!may_branch)
		return;
	if (seen_before(&b->states, seen_mix(b->search.events) + (can_stay ? current : 7),
			b->preemptions)) {
		b->search.is_drained = true;
		b->drained_at = step;
		return;
	}
	if (!can_stay || b->preemptions < (unsigned)b->search.limits->preemptions)
		branch->open = (uint8_t)(enabled & ~(1u << branch->chosen));
}

static unsigned bound_choose(void *ctx, unsigned step, unsigned enabled, unsigned current)
{
	struct bound *b = ctx;
	struct branch *branch = &b->branch[step];

	if (!step)
		b->preemptions = 0;
	if (step >= b->search.fixed) {
		bound_new_branch(b, step, enabled, current);
		if (b->search.is_drained)
			return SCHEDULE_STOP;
	} else if (!(enabled >> branch->chosen & 1)) {
		fprintf(stderr, "interleave: a run was not like the last one at step %u\n", step);
		abort();
	}
	if (branch->is_current_enabled && branch->chosen != current)
		b->preemptions++;
	return branch->chosen;
}

/* The thread whose step is over uses the thing of KEY. */
static void bound_use(void *ctx, uint64_t key, bool is_write)
{
	struct bound *b = ctx;
	struct shared *shared = bound_shared(b, key);
	bool was_contended = shared_is_contended(shared);

	if (!shared->key && ++b->shared_count > 3u << (SHARED_LG2 - 2)) {
		fprintf(stderr, "interleave: too many things are shared\n");
		exit(2);
	}
	shared->key = key;
	shared->users |= (uint8_t)(1u << b->user);
	shared->is_written |= is_write;
	b->has_grown |= !was_contended && shared_is_contended(shared);
}

static void bound_done(void *ctx, unsigned step)
{
	struct bound *b = ctx;
	const struct event *event = schedule_event(step);

	b->search.events += run_event_digest(event);
	b->user = event->thread;
	schedule_uses(event, bound_use, b);
}

static bool bound_next(struct bound *b, unsigned depth)
{
	while (depth > 0) {
		struct branch *branch = &b->branch[--depth];

		if (!branch->open)
			continue;
		branch->chosen = (uint8_t)__builtin_ctz(branch->open);
		branch->open &= (uint8_t) ~(1u << branch->chosen);
		b->search.fixed = depth + 1;
		return true;
	}
	return false;
}

static unsigned bound_depth(const struct bound *b)
{
	return b->search.is_drained ? b->drained_at : schedule_steps();
}

/* All runs with what is known to be shared. false: it ended before its end. */
static bool bound_round(struct bound *b)
{
	b->search.fixed = 0;
	b->has_grown = false;
	seen_clear(&b->states);
	do {
		if (!run_once(&b->search) || run_is_enough(&b->search))
			return false;
	} while (bound_next(b, bound_depth(b)));
	return true;
}

static uint64_t bound_left(const struct bound *b)
{
	uint64_t left = 0;

	for (unsigned i = 0; i < bound_depth(b); i++)
		left += (unsigned)__builtin_popcount(b->branch[i].open);
	return left;
}

void bound_run(const struct program *program, const struct search_limits *limits,
	       struct search_result *result)
{
	struct bound *b = &bound;

	*b = (struct bound){0};
	b->search = (struct search){.program = program, .limits = limits, .result = result};
	b->search.chooser = (struct chooser){.ctx = b, .choose = bound_choose, .done = bound_done};
	while (bound_round(b) && b->has_grown)
		;
	result->left = bound_left(b);
	seen_clear(&b->states);
	seen_clear(&b->search.orders);
}
