/* SPDX-License-Identifier: MIT */
/*
 * The search itself, on programs so small that every schedule can be run: what partial-order
 * reduction and what a bound leave out must be like something that they run. And what a search must
 * find: a deadlock, a livelock, a use after free.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "base/draw.h"
#include "base/mem.h"
#include "base/must.h"
#include "base/sanitize.h"
#include "interleave/hook.h"
#include "interleave/lock_real.h"
#include "interleave/memory.h"
#include "interleave/search.h"

#define WORDS     3
#define LOCKS     2
#define STEPS_TOY 6
#define TOYS      (BASE_HAS_ASAN ? 60 : 300)
/* A program with more schedules is left out; so many that are not are enough. */
#define NAIVE_RUNS 4000
#define TOYS_MIN   (TOYS / 3)
/* More than any of these programs has places to be preempted at. */
#define PLENTY 64

enum toy_step {
	TOY_END,
	TOY_LOAD,  /* sum += word */
	TOY_STORE, /* word = sum + thread + 1 */
	TOY_ADD,   /* word++ */
	TOY_OR,
	TOY_COMPARE, /* from 0 to thread + 1 */
	TOY_SWAP,
	TOY_BRANCH, /* the next step is left out if sum is odd */
	TOY_LOCKED, /* lock, word++ in two steps, unlock */
	TOY_READER, /* a section with a load */
	TOY_GRACE,  /* wait for readers */
	TOY_STEPS,
};

struct toy {
	unsigned threads;
	struct {
		enum toy_step what;
		unsigned word;
	} step[THREADS_MAX][STEPS_TOY];
	_Atomic uint64_t word[WORDS];
	uint64_t sum[THREADS_MAX];
	char lock[LOCKS];
};

static void toy_take(struct toy *toy, unsigned thread, enum toy_step what, unsigned word)
{
	_Atomic uint64_t *at = &toy->word[word];
	uint64_t found = 0;

	switch (what) {
	case TOY_LOAD:
		toy->sum[thread] += atomic_load(at);
		break;
	case TOY_STORE:
		atomic_store(at, toy->sum[thread] + thread + 1);
		break;
	case TOY_ADD:
		atomic_fetch_add(at, 1);
		break;
	case TOY_OR:
		atomic_fetch_or(at, 4u << thread);
		break;
	case TOY_COMPARE:
		toy->sum[thread] += atomic_compare_exchange_strong(at, &found, thread + 1u);
		break;
	case TOY_SWAP:
		toy->sum[thread] += atomic_exchange(at, thread + 1u);
		break;
	case TOY_LOCKED:
		point_lock(&toy->lock[word % LOCKS], __func__);
		found = atomic_load(at);
		atomic_store(at, found + 1);
		point_unlock(&toy->lock[word % LOCKS], __func__);
		break;
	case TOY_READER:
		point_reader_enter(__func__);
		toy->sum[thread] += atomic_load(at);
		point_reader_leave(__func__);
		break;
	case TOY_GRACE:
		point_wait_readers(__func__);
		break;
	default:
		break;
	}
}

static void toy_thread(void *ctx, unsigned thread)
{
	struct toy *toy = ctx;

	for (unsigned i = 0; i < STEPS_TOY; i++) {
		if (toy->step[thread][i].what == TOY_BRANCH)
			i += toy->sum[thread] & 1;
		else
			toy_take(toy, thread, toy->step[thread][i].what, toy->step[thread][i].word);
	}
}

static void toy_begin(void *ctx)
{
	struct toy *toy = ctx;

	memset((void *)toy->word, 0, sizeof(toy->word));
	memset(toy->sum, 0, sizeof(toy->sum));
}

static void toy_end(void *ctx)
{
	(void)ctx;
}

static struct program program_of(void *ctx, unsigned threads,
				 void (*const *body)(void *ctx, unsigned thread))
{
	return (struct program){.count = threads,
				.begin = toy_begin,
				.body = body,
				.end = toy_end,
				.drop = toy_end,
				.ctx = ctx};
}

/* ---- every order that there is, and none twice ---- */

/* false: too many to run them all. */
static bool check_searches_agree(struct toy *toy)
{
	static void (*const body[])(void *, unsigned) = {toy_thread, toy_thread, toy_thread};
	static const struct search_limits all = {.preemptions = -1};
	static const struct search_limits many = {.preemptions = PLENTY};
	static struct search_result naive, reduced, bounded;
	struct program program = program_of(toy, toy->threads, body);

	search_naive(&program, NAIVE_RUNS, &naive);
	if (naive.left)
		return false;
	search_run(&program, &all, &reduced);
	search_run(&program, &many, &bounded);
	MUST(naive.verdict == VERDICT_FINE && naive.runs);
	MUST(reduced.verdict == VERDICT_FINE && !reduced.left);
	MUST(bounded.verdict == VERDICT_FINE && !bounded.left);
	MUST(reduced.runs == naive.runs && reduced.digest == naive.digest);
	MUST(bounded.runs == naive.runs && bounded.digest == naive.digest);
	/* All that sleep sets let through were different, up to what turned out to commute. */
	MUST(reduced.runs + reduced.pruned <= naive.runs + naive.pruned);
	return true;
}

static void random_programs__searches_see_the_same_orders(void)
{
	struct draw draw = draw_from_seed(20261);
	unsigned compared = 0;

	for (unsigned n = 0; n < TOYS; n++) {
		struct toy toy = {.threads = 2 + n % 2};
		unsigned steps = toy.threads == 2 ? 4 : 2;

		for (unsigned t = 0; t < toy.threads; t++) {
			for (unsigned i = 0; i < steps; i++) {
				toy.step[t][i].what = 1 + (enum toy_step)draw_below(&draw,
										    TOY_STEPS - 1);
				toy.step[t][i].word = (unsigned)draw_below(&draw, WORDS);
			}
		}
		compared += check_searches_agree(&toy);
	}
	printf("%u of %u programs small enough\n", compared, TOYS);
	MUST(compared >= TOYS_MIN);
}

/* ---- counts that can be told by hand ---- */

static struct search_result count_orders(struct toy *toy, int preemptions)
{
	static void (*const body[])(void *, unsigned) = {toy_thread, toy_thread, toy_thread};
	struct search_limits limits = {.preemptions = preemptions};
	struct program program = program_of(toy, toy->threads, body);
	struct search_result result;

	search_run(&program, &limits, &result);
	return result;
}

static void steps_on_different_words__one_order(void)
{
	struct toy toy = {
		.threads = 2,
		.step = {{{TOY_STORE, 0}, {TOY_STORE, 0}}, {{TOY_STORE, 1}, {TOY_STORE, 1}}}};

	MUST(count_orders(&toy, -1).runs == 1);
}

static void two_stores_each__six_orders(void)
{
	struct toy toy = {
		.threads = 2,
		.step = {{{TOY_STORE, 0}, {TOY_STORE, 0}}, {{TOY_STORE, 0}, {TOY_STORE, 0}}}};

	/* 4 choose 2; of them 2 without a preemption, 2 + 2 with one, ... */
	MUST(count_orders(&toy, -1).runs == 6);
	MUST(count_orders(&toy, 0).runs == 2);
	MUST(count_orders(&toy, 1).runs == 4);
}

static void loads_and_adds__commute_with_their_like(void)
{
	struct toy loads = {.threads = 2, .step = {{{TOY_LOAD, 0}}, {{TOY_LOAD, 0}}}};
	struct toy adds = {.threads = 2, .step = {{{TOY_ADD, 0}}, {{TOY_ADD, 0}}}};
	struct toy both = {.threads = 2, .step = {{{TOY_LOAD, 0}}, {{TOY_ADD, 0}}}};

	MUST(count_orders(&loads, -1).runs == 1);
	MUST(count_orders(&adds, -1).runs == 1);
	MUST(count_orders(&both, -1).runs == 2);
}

static void three_locked_sections__six_orders(void)
{
	struct toy toy = {.threads = 3,
			  .step = {{{TOY_LOCKED, 0}}, {{TOY_LOCKED, 0}}, {{TOY_LOCKED, 0}}}};

	MUST(count_orders(&toy, -1).runs == 6);
}

/* ---- what must be found ---- */

static _Atomic uint64_t flag;
static char lock_a, lock_b;
static _Atomic(void *) published;
static uint64_t *shared;

static void in_order(void *ctx, unsigned thread)
{
	(void)ctx, (void)thread;
	point_lock(&lock_a, "in_order");
	point_lock(&lock_b, "in_order");
	point_unlock(&lock_b, "in_order");
	point_unlock(&lock_a, "in_order");
}

static void out_of_order(void *ctx, unsigned thread)
{
	(void)ctx, (void)thread;
	point_lock(&lock_b, "out_of_order");
	point_lock(&lock_a, "out_of_order");
	point_unlock(&lock_a, "out_of_order");
	point_unlock(&lock_b, "out_of_order");
}

static void wait_for_flag(void *ctx, unsigned thread)
{
	(void)ctx, (void)thread;
	while (!atomic_load(&flag))
		sched_yield();
}

static void spin_for_flag(void *ctx, unsigned thread)
{
	(void)ctx, (void)thread;
	while (!atomic_load(&flag))
		;
}

static void set_flag(void *ctx, unsigned thread)
{
	(void)ctx, (void)thread;
	atomic_store(&flag, 1);
}

static void nothing(void *ctx, unsigned thread)
{
	(void)ctx, (void)thread;
}

static void make_anew(void *ctx)
{
	(void)ctx;
	memory_reset();
	*(volatile uint64_t *)&flag = 0;
	shared = mem_alloc(sizeof(*shared));
	*(void *volatile *)&published = shared;
}

static enum verdict verdict_of(void (*first)(void *ctx, unsigned thread),
			       void (*second)(void *ctx, unsigned thread))
{
	void (*const body[])(void *, unsigned) = {first, second};
	struct program program = {
		.count = 2, .begin = make_anew, .body = body, .end = toy_end, .drop = toy_end};
	static const struct search_limits all = {.preemptions = -1}, two = {.preemptions = 2};
	static struct search_result result, bounded, again;

	search_run(&program, &all, &result);
	search_run(&program, &two, &bounded);
	MUST(result.verdict == bounded.verdict);
	/* A schedule that was bad is bad again. */
	if (result.verdict != VERDICT_FINE) {
		MUST(search_replay(&program, result.schedule, &again));
		MUST(again.verdict == result.verdict);
		MUST(!strcmp(again.schedule, result.schedule));
	}
	return result.verdict;
}

static void locks_the_other_way_round__deadlock(void)
{
	MUST(verdict_of(in_order, in_order) == VERDICT_FINE);
	MUST(verdict_of(in_order, out_of_order) == VERDICT_DEADLOCK);
}

static void waiting_for_what_comes__fine(void)
{
	MUST(verdict_of(wait_for_flag, set_flag) == VERDICT_FINE);
}

static void waiting_for_what_never_comes__deadlock(void)
{
	MUST(verdict_of(wait_for_flag, nothing) == VERDICT_DEADLOCK);
}

static void looking_without_end__livelock(void)
{
	MUST(verdict_of(spin_for_flag, nothing) == VERDICT_LIVELOCK);
}

static void read_shared(void *ctx, unsigned thread)
{
	_Atomic uint64_t *word;

	(void)ctx, (void)thread;
	point_reader_enter(__func__);
	word = atomic_load(&published);
	if (word)
		(void)atomic_load(word);
	point_reader_leave(__func__);
}

static void free_after_grace(void *ctx, unsigned thread)
{
	(void)ctx, (void)thread;
	atomic_store(&published, NULL);
	point_wait_readers(__func__);
	mem_free(shared);
}

static void free_at_once(void *ctx, unsigned thread)
{
	(void)ctx, (void)thread;
	atomic_store(&published, NULL);
	mem_free(shared);
}

static void freed_after_a_grace_period__fine(void)
{
	MUST(verdict_of(read_shared, free_after_grace) == VERDICT_FINE);
}

static void freed_at_once__use_after_free(void)
{
	MUST(verdict_of(read_shared, free_at_once) == VERDICT_FREED);
}

/* ---- the library's lock ---- */

static unsigned inside; /* threads in its section; no point: the lock is what is looked at */

static void take_and_give(void *ctx, unsigned thread)
{
	(void)ctx, (void)thread;
	lock_real_take();
	inside++;
	/* Anybody else may come now. */
	point_at(POINT_HOST, NULL, 0, __func__);
	if (inside != 1)
		schedule_blame(VERDICT_CHECK, "two threads have the lock");
	inside--;
	lock_real_give();
}

static void take_and_give_twice(void *ctx, unsigned thread)
{
	take_and_give(ctx, thread);
	take_and_give(ctx, thread);
}

static void free_lock(void *ctx)
{
	(void)ctx;
	inside = 0;
	lock_real_reset();
}

static void the_lock_of_the_library__one_at_a_time_and_nobody_sleeps_on(void)
{
	static void (*const twice[])(void *, unsigned) = {take_and_give_twice, take_and_give_twice};
	static void (*const three[])(void *, unsigned) = {take_and_give, take_and_give,
							  take_and_give};
	struct program program = {
		.count = 2, .begin = free_lock, .body = twice, .end = toy_end, .drop = toy_end};
	static const struct search_limits all = {.preemptions = -1};
	static struct search_result result;

	for (unsigned i = 0; i < 2; i++) {
		search_run(&program, &all, &result);
		printf("lock: %u threads: %llu orders: %s\n", program.count,
		       (unsigned long long)result.runs, result.blamed);
		MUST(result.verdict == VERDICT_FINE && result.runs && !result.left);
		program.count = 3;
		program.body = three;
	}
}

static void words_that_are_no_schedule__refused(void)
{
	static void (*const body[])(void *, unsigned) = {set_flag, nothing};
	struct program program = {
		.count = 2, .begin = make_anew, .body = body, .end = toy_end, .drop = toy_end};
	static struct search_result result;

	MUST(!search_replay(&program, "", &result));
	MUST(!search_replay(&program, "abc", &result));
	MUST(!search_replay(&program, "0x1 9x1", &result));
	MUST(!search_replay(&program, "0x1 0x", &result));
	MUST(!search_replay(&program, "0x0", &result));
	MUST(search_replay(&program, "1x1 0x2", &result));
	MUST(!strcmp(result.schedule, ""));
}

int main(void)
{
	memory_start();
	steps_on_different_words__one_order();
	two_stores_each__six_orders();
	loads_and_adds__commute_with_their_like();
	three_locked_sections__six_orders();
	locks_the_other_way_round__deadlock();
	waiting_for_what_comes__fine();
	waiting_for_what_never_comes__deadlock();
	looking_without_end__livelock();
	freed_after_a_grace_period__fine();
	freed_at_once__use_after_free();
	words_that_are_no_schedule__refused();
	the_lock_of_the_library__one_at_a_time_and_nobody_sleeps_on();
	random_programs__searches_see_the_same_orders();
	return 0;
}
