/* SPDX-License-Identifier: MIT */
/*
 * Every partial order of events, each once: dynamic partial-order reduction.
 *
 * A run goes on with whoever is at it. Each pair of events that could have come the other way round
 * (a race) asks, at the state before the first one, for a run that begins with what the second
 * needs. What was tried at a state sleeps in those tried later, until a step comes that does not
 * commute with it.
 */
#include <stdio.h>
#include <stdlib.h>

#include "interleave/run.h"

/* A state on the way of the last run; masks of threads. */
struct node {
	uint8_t chosen, enabled;
	uint8_t wanted; /* to be tried, those that were included */
	uint8_t tried;  /* chosen included */
	uint8_t asleep; /* leads to nothing new */
};

struct reduction {
	struct search search;
	struct node node[STEPS_MAX];
	unsigned asleep_next; /* asleep in the state behind the last choice */
	unsigned drained_at;  /* step */
};

static struct reduction reduction;

/* Of those who were tried, or slept, at a state: who sleeps on when CHOSEN takes its step. */
static unsigned reduce_sleepers(const struct node *node)
{
	unsigned asleep = (node->asleep | node->tried) & ~(1u << node->chosen);

	for (unsigned i = 0; i < THREADS_MAX; i++)
		if (asleep >> i & 1 &&
		    schedule_ops_depend(schedule_next_op(i), schedule_next_op(node->chosen)))
			asleep &= ~(1u << i);
	return asleep;
}

static void reduce_new_node(struct node *node, unsigned enabled, unsigned asleep, unsigned current)
{
	unsigned awake = enabled & ~asleep;

	*node = (struct node){.enabled = (uint8_t)enabled, .asleep = (uint8_t)asleep};
	node->chosen = (uint8_t)run_any(awake, current);
	node->wanted = node->tried = (uint8_t)(1u << node->chosen);
}

static unsigned reduce_choose(void *ctx, unsigned step, unsigned enabled, unsigned current)
{
	struct reduction *r = ctx;
	struct node *node = &r->node[step];

	if (!r->search.is_drained && step >= r->search.fixed && !(enabled & ~r->asleep_next)) {
		r->search.is_drained = true;
		r->drained_at = step;
	}
	if (r->search.is_drained)
		return SCHEDULE_STOP;
	if (step >= r->search.fixed) {
		reduce_new_node(node, enabled, r->asleep_next, current);
	} else if (node->enabled != enabled) {
		fprintf(stderr, "interleave: a run was not like the last one at step %u\n", step);
		abort();
	}
	r->asleep_next = reduce_sleepers(node);
	return node->chosen;
}

/*
 * Who could begin what the second event needs of the events behind the first: threads whose first
 * event there depends on no other one there.
 */
static unsigned reduce_initials(unsigned first, unsigned second)
{
	const struct event *one = schedule_event(first), *two = schedule_event(second);
	unsigned initials = 0, met = 0;

	for (unsigned at = first + 1; at <= second; at++) {
		const struct event *event = schedule_event(at);
		bool is_free = true;

		if (at < second && schedule_happens_before(one, event))
			continue;
		if (met >> event->thread & 1)
			continue;
		met |= 1u << event->thread;
		/* The second's clock is not complete: what is behind the first is not in it yet. */
		for (unsigned before = first + 1; before < at && is_free; before++) {
			const struct event *other = schedule_event(before);

			is_free = other->thread == event->thread ||
				  schedule_happens_before(one, other) ||
				  !schedule_happens_before(other, event);
		}
		if (is_free)
			initials |= 1u << event->thread;
	}
	return initials ? initials : 1u << two->thread;
}

static void reduce_raced(void *ctx, unsigned first, unsigned second)
{
	struct reduction *r = ctx;
	struct node *node = &r->node[first];
	unsigned thread = schedule_event(second)->thread, initials;

	if (r->search.is_drained || second + 1 < r->search.fixed)
		return;
	initials = r->search.program->count > 2 ? reduce_initials(first, second) : 1u << thread;
	if (initials & node->wanted)
		return;
	if (!(initials >> thread & 1))
		thread = (unsigned)__builtin_ctz(initials);
	/* Who cannot take its step there may be let to by any other. */
	node->wanted |= (uint8_t)(node->enabled >> thread & 1 ? 1u << thread : node->enabled);
}

static void reduce_done(void *ctx, unsigned step)
{
	struct reduction *r = ctx;

	r->search.events += run_event_digest(schedule_event(step));
}

/* What is to be tried at NODE; a mask. */
static unsigned node_open(const struct node *node)
{
	return node->wanted & (unsigned)~(node->tried | node->asleep);
}

/* The last state where something is left to be tried; false: there is none. */
static bool reduce_next(struct reduction *r, unsigned depth)
{
	while (depth > 0) {
		struct node *node = &r->node[--depth];

		if (!node_open(node))
			continue;
		node->chosen = (uint8_t)__builtin_ctz(node_open(node));
		node->tried |= (uint8_t)(1u << node->chosen);
		r->search.fixed = depth + 1;
		return true;
	}
	return false;
}

static uint64_t reduce_left(const struct reduction *r, unsigned depth)
{
	uint64_t left = 0;

	for (unsigned i = 0; i < depth; i++)
		left += (unsigned)__builtin_popcount(node_open(&r->node[i]));
	return left;
}

/* States of the last run, up to where it was found to be like another. */
static unsigned reduce_depth(const struct reduction *r)
{
	return r->search.is_drained ? r->drained_at : schedule_steps();
}

void reduce_run(const struct program *program, const struct search_limits *limits,
		struct search_result *result)
{
	struct reduction *r = &reduction;

	r->search = (struct search){.program = program, .limits = limits, .result = result};
	r->search.chooser = (struct chooser){
		.ctx = r, .choose = reduce_choose, .raced = reduce_raced, .done = reduce_done};
	do {
		r->asleep_next = 0;
		if (!run_once(&r->search) || run_is_enough(&r->search))
			break;
	} while (reduce_next(r, reduce_depth(r)));
	result->left = reduce_left(r, reduce_depth(r));
	seen_clear(&r->search.orders);
}
