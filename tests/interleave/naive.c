/* SPDX-License-Identifier: MIT */
/* Every schedule there is: what the other searches are held against, for small programs. */
#include "interleave/run.h"

struct naive {
	struct search search;
	uint8_t chosen[STEPS_MAX], open[STEPS_MAX];
};

static struct naive naive;

static unsigned naive_choose(void *ctx, unsigned step, unsigned enabled, unsigned current)
{
	struct naive *n = ctx;

	(void)current;
	if (step >= n->search.fixed) {
		n->chosen[step] = (uint8_t)__builtin_ctz(enabled);
		n->open[step] = (uint8_t)(enabled & (enabled - 1));
	}
	return n->chosen[step];
}

static void naive_done(void *ctx, unsigned step)
{
	struct naive *n = ctx;

	n->search.events += run_event_digest(schedule_event(step));
}

static bool naive_next(struct naive *n, unsigned depth)
{
	while (depth > 0) {
		depth--;
		if (!n->open[depth])
			continue;
		n->chosen[depth] = (uint8_t)__builtin_ctz(n->open[depth]);
		n->open[depth] &= (uint8_t)(n->open[depth] - 1);
		n->search.fixed = depth + 1;
		return true;
	}
	return false;
}

void search_naive(const struct program *program, uint64_t runs, struct search_result *result)
{
	static const struct search_limits none = {.preemptions = -1};
	struct naive *n = &naive;

	*result = (struct search_result){0};
	n->search = (struct search){.program = program, .limits = &none, .result = result};
	n->search.chooser = (struct chooser){.ctx = n, .choose = naive_choose, .done = naive_done};
	do {
		if (!run_once(&n->search))
			break;
		result->left = result->runs + result->pruned >= runs;
	} while (!result->left && naive_next(n, schedule_steps()));
	seen_clear(&n->search.orders);
}

void search_run(const struct program *program, const struct search_limits *limits,
		struct search_result *result)
{
	*result = (struct search_result){0};
	if (limits->preemptions < 0)
		reduce_run(program, limits, result);
	else
		bound_run(program, limits, result);
}
