/* SPDX-License-Identifier: MIT */
/*
 * The two sides of a step held against each other, in order. Where they part, the nearest place is
 * looked for at which they meet again; what lies between are differences.
 */
#include "tracing/compare.h"

#include "base/bits.h"
#include "base/mem.h"

/* Facts of either side that are looked at to find where the sides meet again. */
#define SETTLE_REACH 48u
#define SETTLE_TEXT  512
/* Facts that a list between two steps has room for. */
#define SETTLE_KEPT 4096

/* What has not been compared yet. */
struct settle {
	struct vmmu_compare *compare;
	uint64_t step_line;
	const struct compare_fact *kernel, *engine;
	size_t kernel_count, engine_count;
	uint64_t line; /* of the last fact of the kernel's */
};

static void settle_skip(struct settle *settle, size_t kernel, size_t engine)
{
	if (kernel)
		settle->line = settle->kernel[kernel - 1].line;
	settle->kernel += kernel;
	settle->kernel_count -= kernel;
	settle->engine += engine;
	settle->engine_count -= engine;
}

static void settle_agree(struct settle *settle)
{
	struct vmmu_compare *compare = settle->compare;
	struct vmmu_compare_tally *tally = compare_class(compare, settle->kernel);

	tally->total++;
	tally->agree++;
	compare->step.total++;
	compare->step.agree++;
	compare_bind(compare, settle->kernel, settle->engine);
	settle_skip(settle, 1, 1);
}

/* One difference; a side may be NULL, and TOLD is one that is not. */
static void settle_differ(struct settle *settle, const struct compare_fact *kernel,
			  const struct compare_fact *engine, const struct compare_fact *told)
{
	struct vmmu_compare *compare = settle->compare;
	struct vmmu_compare_tally *tally = compare_class(compare, told);
	int reason = compare_reason(compare, kernel, engine);
	char kernel_text[SETTLE_TEXT], engine_text[SETTLE_TEXT];
	struct vmmu_compare_difference difference = {
		.event = told->event,
		.line = kernel ? kernel->line : settle->line,
		.step_line = settle->step_line,
	};

	tally->total++;
	compare->step.total++;
	if (reason >= 0) {
		tally->explained++;
		compare->step.explained++;
		compare->reasons[reason]++;
		difference.reason = compare_reason_name((unsigned)reason);
	}
	if (kernel && engine)
		compare_bind(compare, kernel, engine);
	if (!compare->options.difference)
		return;
	if (kernel)
		difference.kernel = compare_text(compare, kernel, kernel_text, SETTLE_TEXT);
	if (engine)
		difference.engine = compare_text(compare, engine, engine_text, SETTLE_TEXT);
	compare->options.difference(compare->options.ctx, &difference);
}

/* Are both about the same thing, so that they are best shown side by side? */
static bool settle_is_pair(const struct compare_fact *kernel, const struct compare_fact *engine)
{
	return kernel->event == engine->event && kernel->address == engine->address &&
	       kernel->level == engine->level;
}

/* KERNEL and ENGINE facts from here on have no counterpart. */
static void settle_gap(struct settle *settle, size_t kernel, size_t engine)
{
	while (kernel && engine && settle_is_pair(settle->kernel, settle->engine)) {
		settle_differ(settle, settle->kernel, settle->engine, settle->kernel);
		settle_skip(settle, 1, 1);
		kernel--, engine--;
	}
	for (; kernel; kernel--) {
		settle_differ(settle, settle->kernel, NULL, settle->kernel);
		settle_skip(settle, 1, 0);
	}
	for (; engine; engine--) {
		settle_differ(settle, NULL, settle->engine, settle->engine);
		settle_skip(settle, 0, 1);
	}
}

/* The nearest facts that are the same; false: none within reach. */
static bool settle_find(const struct settle *settle, size_t *kernel, size_t *engine)
{
	for (size_t sum = 1; sum < 2 * SETTLE_REACH; sum++) {
		for (size_t i = 0; i <= sum; i++) {
			size_t j = sum - i;

			if (i >= settle->kernel_count || j >= settle->engine_count)
				continue;
			if (!compare_is_equal(settle->compare, &settle->kernel[i],
					      &settle->engine[j]))
				continue;
			*kernel = i;
			*engine = j;
			return true;
		}
	}
	return false;
}

static void settle_part(struct settle *settle)
{
	size_t kernel = 0, engine = 0;

	if (settle_find(settle, &kernel, &engine))
		settle_gap(settle, kernel, engine);
	else
		settle_gap(settle, settle->kernel_count > 0, settle->engine_count > 0);
}

/* What a list had no room for was not compared: nobody can say that it agrees. */
static void settle_lost(struct vmmu_compare *compare, struct compare_list *list)
{
	struct vmmu_compare_tally *tally =
		&compare->classes[VMMU_COMPARE_ENTRY_CHANGED][0][VMMU_COMPARE_NO_ENTRY]
				 [VMMU_COMPARE_NO_ENTRY];

	tally->total += list->lost;
	compare->step.total += list->lost;
	compare->fact_count -= list->count;
	list->lost = 0;
	list->count = 0;
	/* After a long step: the next ones are short. */
	if (list->capacity > SETTLE_KEPT) {
		mem_free(list->facts);
		*list = (struct compare_list){0};
	}
}

void compare_settle(struct vmmu_compare *compare, struct compare_window *window)
{
	struct settle settle = {.compare = compare,
				.step_line = window->step_line,
				.kernel = window->kernel.facts,
				.kernel_count = window->kernel.count,
				.engine = window->engine.facts,
				.engine_count = window->engine.count,
				.line = window->step_line};
	struct vmmu_compare_step step = {.line = window->step_line};

	compare->step = (struct vmmu_compare_tally){0};
	while (settle.kernel_count && settle.engine_count) {
		if (compare_is_equal(compare, settle.kernel, settle.engine))
			settle_agree(&settle);
		else
			settle_part(&settle);
	}
	settle_gap(&settle, settle.kernel_count, settle.engine_count);
	settle_lost(compare, &window->kernel);
	settle_lost(compare, &window->engine);
	step.tally = compare->step;
	if (step.tally.total && compare->options.step)
		compare->options.step(compare->options.ctx, &step);
}
