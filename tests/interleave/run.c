/* SPDX-License-Identifier: MIT */
#include "interleave/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

unsigned run_any(unsigned enabled, unsigned current)
{
	return enabled >> current & 1 ? current : (unsigned)__builtin_ctz(enabled);
}

uint64_t run_event_digest(const struct event *event)
{
	uint64_t digest = seen_mix(event->thread + 1u);

	for (unsigned i = 0; i < THREADS_MAX; i++)
		digest = seen_mix(digest * 31 + event->clock[i]);
	return digest;
}

void run_describe(char *text, size_t room)
{
	unsigned count = schedule_steps(), used = 0;

	text[0] = '\0';
	for (unsigned step = 0, next; step < count; step = next) {
		unsigned thread = schedule_event(step)->thread;
		int length;

		for (next = step + 1; next < count && schedule_event(next)->thread == thread;)
			next++;
		length = snprintf(text + used, room - used, "%s%ux%u", step ? " " : "", thread,
				  next - step);
		if (length < 0 || (size_t)length >= room - used)
			return;
		used += (unsigned)length;
	}
}

static void run_blame(struct search *search, enum verdict verdict)
{
	struct search_result *result = search->result;

	result->verdict = verdict;
	snprintf(result->blamed, sizeof(result->blamed), "%s", schedule_blamed());
	run_describe(result->schedule, sizeof(result->schedule));
}

bool run_is_enough(const struct search *search)
{
	const struct search_limits *limits = search->limits;
	const struct search_result *result = search->result;

	return (limits->runs && result->runs + result->pruned >= limits->runs) ||
	       (limits->steps && result->steps >= limits->steps);
}

bool run_once(struct search *search)
{
	const struct program *program = search->program;
	struct search_result *result = search->result;
	enum verdict verdict;

	search->is_drained = false;
	search->events = 0;
	program->begin(program->ctx);
	verdict = schedule_run(&search->chooser, program->body, program->ctx, program->count);
	if (search->is_drained || verdict != VERDICT_FINE)
		program->drop(program->ctx);
	else
		program->end(program->ctx);
	result->steps += schedule_steps();
	/* What the judge found comes behind what the run itself did. */
	if (verdict == VERDICT_FINE && schedule_blamed()[0])
		verdict = VERDICT_CHECK;
	if (verdict != VERDICT_FINE) {
		run_blame(search, verdict);
		return false;
	}
	if (search->is_drained || seen_before(&search->orders, search->events, 0)) {
		result->pruned++;
		return true;
	}
	result->runs++;
	result->digest += seen_mix(search->events);
	return true;
}

/* ---- by text ---- */

struct replay {
	const char *at;
	unsigned thread, steps;
};

static bool replay_part(struct replay *replay)
{
	int used = 0;

	if (sscanf(replay->at, " %ux%u%n", &replay->thread, &replay->steps, &used) < 2 ||
	    !replay->steps)
		return false;
	replay->at += used;
	return true;
}

static unsigned replay_choose(void *ctx, unsigned step, unsigned enabled, unsigned current)
{
	struct replay *replay = ctx;

	(void)step;
	if (!replay->steps && !replay_part(replay))
		return run_any(enabled, current);
	replay->steps--;
	return enabled >> replay->thread & 1 ? replay->thread : run_any(enabled, current);
}

static bool replay_text_is_valid(const char *text)
{
	struct replay replay = {.at = text};

	while (replay_part(&replay))
		if (replay.thread >= THREADS_MAX)
			return false;
	return replay.at != text && replay.at[strspn(replay.at, " \n")] == '\0';
}

bool search_replay(const struct program *program, const char *text, struct search_result *result)
{
	struct replay replay = {.at = text};
	struct search search = {.program = program, .result = result};

	*result = (struct search_result){0};
	if (!replay_text_is_valid(text))
		return false;
	search.chooser = (struct chooser){.ctx = &replay, .choose = replay_choose};
	run_once(&search);
	seen_clear(&search.orders);
	return true;
}
