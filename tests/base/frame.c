/* SPDX-License-Identifier: MIT */
#include "base/frame.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bits.h"
#include "base/random.h"
#include "base/sanitize.h"

#define MIB      UINT64_C(0x100000)
#define POOL_HPA UINT64_C(0x100000000)

/* Builds that stop on misuse, and those that only refuse it. */
#if BASE_HAS_ASAN || !defined(NDEBUG)
#define MISUSE_SIGNAL SIGABRT
#else
#define MISUSE_SIGNAL 0
#endif

static struct frame_pool pool;

static void setup(void)
{
	cr_assert_eq(frame_pool_init(&pool, POOL_HPA, MIB, 12), 0);
}

static void teardown(void)
{
	frame_pool_destroy(&pool);
}

TestSuite(frame, .init = setup, .fini = teardown);

/* Offset of a new frame, which must be there, from the pool's start. */
static uint64_t take(unsigned lg2, bool expect_zeroed)
{
	bool zeroed = !expect_zeroed;
	void *frame = frame_alloc(&pool, lg2, &zeroed);

	cr_assert(frame);
	cr_assert_eq(zeroed, expect_zeroed);
	return frame_hpa(&pool, frame) - POOL_HPA;
}

static void give(uint64_t offset, unsigned lg2)
{
	frame_free(&pool, pool.base + offset, lg2);
}

Test(frame_init, bad_arguments__are_refused)
{
	cr_assert_eq(frame_pool_init(&pool, 0, 0, 12), -EINVAL);
	cr_assert_eq(frame_pool_init(&pool, 0x1000, MIB, 12), -EINVAL);
	cr_assert_eq(frame_pool_init(&pool, 0, MIB, 11), -EINVAL);
	cr_assert_eq(frame_pool_init(&pool, 0, MIB, 17), -EINVAL);
	cr_assert_eq(frame_pool_init(&pool, 0, UINT64_MAX, 12), -EINVAL, "rounds up to 2^64");
	cr_assert_eq(frame_pool_init(&pool, -MIB, 2 * MIB, 12), -EINVAL, "hpas wrap");
}

Test(frame_init, more_than_there_is__is_no_memory)
{
	cr_assert_eq(frame_pool_init(&pool, 0, BIT64(50), 12), -ENOMEM);
	cr_assert_eq(frame_pool_init(&pool, 0, BIT64(63), 12), -ENOMEM);
	frame_pool_destroy(&pool);
}

Test(frame_init, last_hpas__are_usable)
{
	bool zeroed;

	cr_assert_eq(frame_pool_init(&pool, -MIB, MIB, 16), 0);
	cr_assert_eq(frame_hpa(&pool, frame_alloc(&pool, 20, &zeroed)), 0xfffffffffff00000);
	cr_assert(frame_has(&pool, UINT64_MAX));
	cr_assert_not(frame_has(&pool, 0));
	frame_pool_destroy(&pool);
}

Test(frame_init, large_pool__costs_what_is_touched)
{
	bool zeroed;

	for (unsigned i = 0; i < 50; i++) {
		cr_assert_eq(frame_pool_init(&pool, 0, BIT64(38), 12), 0, "256 GiB");
		cr_assert(frame_alloc(&pool, 12, &zeroed));
		frame_pool_destroy(&pool);
		cr_assert_null(pool.base);
		/* Again: harmless. */
		frame_pool_destroy(&pool);
	}
}

/* Was the host asked for huge pages at ADDRESS? VmFlags of its mapping in smaps has hg then. */
static bool is_huge_asked(const void *address)
{
	FILE *smaps = fopen("/proc/self/smaps", "r");
	bool is_here = false, is_asked = false;
	char line[512];

	cr_assert(smaps);
	while (fgets(line, sizeof(line), smaps)) {
		char *dash, *rest;
		uintptr_t start = strtoull(line, &dash, 16), end;

		if (*dash == '-') {
			end = strtoull(dash + 1, &rest, 16);
			is_here = *rest == ' ' && start <= (uintptr_t)address &&
				  (uintptr_t)address < end;
		}
		if (is_here && !strncmp(line, "VmFlags:", 8))
			is_asked = strstr(line, " hg") != NULL;
	}
	fclose(smaps);
	return is_asked;
}

Test(frame_init, pool_that_grows__asks_for_huge_pages_ahead)
{
	bool zeroed;

	cr_assert_eq(frame_pool_init(&pool, 0, 13 * MIB, 12), 0);
	for (unsigned i = 0; i < 4; i++)
		cr_assert(frame_alloc(&pool, 20, &zeroed));
	cr_assert_not(is_huge_asked(pool.base + 4 * MIB));
	cr_assert(frame_alloc(&pool, 12, &zeroed));
	if (access("/sys/kernel/mm/transparent_hugepage", F_OK))
		cr_skip_test("a kernel without huge pages");
	cr_assert(is_huge_asked(pool.base + 4 * MIB));
	cr_assert_not(is_huge_asked(pool.base + 4 * MIB - 1));
	cr_assert(is_huge_asked(pool.base + 8 * MIB - 1));
	cr_assert_not(is_huge_asked(pool.base + 8 * MIB));
	for (unsigned i = 0; i < 4; i++)
		cr_assert(frame_alloc(&pool, 20, &zeroed));
	cr_assert(is_huge_asked(pool.base + 13 * MIB - 1));
	frame_pool_destroy(&pool);
}

Test(frame_init, size__is_rounded_up_to_a_mebibyte)
{
	cr_assert_eq(frame_pool_init(&pool, 0, MIB + 1, 12), 0);
	cr_assert_eq(pool.bytes, 2 * MIB);
	cr_assert(is_aligned((uintptr_t)pool.base, MIB));
	frame_pool_destroy(&pool);
}

Test(frame, hpa_and_pointer__differ_by_a_constant)
{
	unsigned char *first = frame_ptr(&pool, 0x100000000), *later;

	cr_assert_eq(first, pool.base);
	later = frame_ptr(&pool, 0x100012345);
	cr_assert_eq(later - first, 0x12345);
	cr_assert_eq(frame_hpa(&pool, later), 0x100012345);
	cr_assert(frame_has(&pool, 0x100000000));
	cr_assert(frame_has(&pool, 0x1000fffff));
	cr_assert_not(frame_has(&pool, 0x100100000));
	cr_assert_not(frame_has(&pool, 0xffffffff));
	cr_assert_not(frame_has(&pool, 0));
}

Test(frame, metadata__is_one_record_a_smallest_frame)
{
	unsigned char *meta = frame_meta(&pool, pool.base);

	cr_assert_eq((unsigned char *)frame_meta(&pool, pool.base + 0xfff), meta);
	cr_assert_eq((unsigned char *)frame_meta(&pool, pool.base + 0x1000), meta + 64);
	cr_assert_eq((unsigned char *)frame_meta(&pool, pool.base + 0xff008), meta + 0xff * 64);
	cr_assert_eq((unsigned char *)frame_of_meta(&pool, meta + 0xff * 64), pool.base + 0xff000);
}

Test(frame, alignment_gap__serves_smaller_frames)
{
	cr_assert_eq(take(12, true), 0);
	cr_assert_eq(take(14, true), 0x4000);
	/* 0x1000..0x4000 was skipped: a 4K and an 8K frame. */
	cr_assert_eq(take(13, true), 0x2000);
	cr_assert_eq(take(12, true), 0x1000);
	cr_assert_eq(take(12, true), 0x8000);
	cr_assert_eq(pool.live, 5);
	cr_assert_eq(pool.live_bytes, 0x9000);
}

Test(frame, unservable_size__is_refused)
{
	bool zeroed;

	cr_assert_null(frame_alloc(&pool, 11, &zeroed));
	cr_assert_null(frame_alloc(&pool, 21, &zeroed));
	cr_assert_null(frame_alloc(&pool, ~0u, &zeroed));
	cr_assert_eq(pool.allocated, 0);
}

Test(frame, freed_frames__come_back_newest_first_and_dirty)
{
	cr_assert_eq(take(12, true), 0x0000);
	cr_assert_eq(take(12, true), 0x1000);
	give(0x0000, 12);
	give(0x1000, 12);
	cr_assert_eq(take(12, false), 0x1000);
	cr_assert_eq(take(12, false), 0x0000);
	cr_assert_eq(take(12, true), 0x2000);
	cr_assert_eq(pool.allocated, 5);
	cr_assert_eq(pool.freed, 2);
	cr_assert_eq(pool.live, 3);
}

Test(frame, full_pool__gives_null_until_one_is_freed)
{
	bool zeroed;

	for (unsigned i = 0; i < 256; i++)
		cr_assert_eq(take(12, true), i * 0x1000);
	cr_assert_null(frame_alloc(&pool, 12, &zeroed));
	cr_assert_null(frame_alloc(&pool, 20, &zeroed));
	cr_assert_eq(pool.live, 256);
	cr_assert_eq(pool.live_bytes, MIB);
	give(0x7000, 12);
	cr_assert_null(frame_alloc(&pool, 13, &zeroed));
	cr_assert_eq(take(12, false), 0x7000);
}

Test(frame, too_large_for_the_rest__is_null_and_leaves_the_rest)
{
	bool zeroed;

	cr_assert_eq(take(19, true), 0);
	cr_assert_null(frame_alloc(&pool, 20, &zeroed));
	cr_assert_eq(take(19, true), 0x80000);
}

Test(frame, used_up_pool__splits_larger_free_frames)
{
	unsigned char seen[256] = {0};
	bool zeroed;

	cr_assert_eq(take(20, true), 0);
	give(0, 20);
	for (unsigned i = 0; i < 256; i++) {
		uint64_t offset = take(12, false);

		cr_assert_eq(seen[offset >> 12]++, 0);
	}
	cr_assert_null(frame_alloc(&pool, 12, &zeroed));
}

Test(frame, split__takes_the_smallest_that_will_do)
{
	cr_assert_eq(take(19, true), 0x00000);
	cr_assert_eq(take(18, true), 0x80000);
	cr_assert_eq(take(18, true), 0xc0000);
	give(0x00000, 19);
	give(0xc0000, 18);
	cr_assert_eq(take(16, false), 0xc0000);
	cr_assert_eq(take(16, false), 0xd0000);
	cr_assert_eq(take(17, false), 0xe0000);
	cr_assert_eq(take(19, false), 0x00000);
}

Test(frame, reused_frame__has_all_its_metadata_zeroed)
{
	unsigned char *meta = frame_meta(&pool, pool.base);

	cr_assert_eq(take(14, true), 0);
	memset(meta, 0xff, 4 * 64);
	give(0, 14);
	cr_assert_eq(take(14, false), 0);
	for (unsigned i = 0; i < 4 * 64; i++)
		cr_assert_eq(meta[i], 0);
}

/* Metadata that overran its own reservation would most likely land in the frames just above. */
Test(frame_init, metadata_of_all_frames__has_room_of_its_own)
{
	static const unsigned char zero[4096];
	bool zeroed;

	cr_assert_eq(frame_pool_init(&pool, 0, 256 * MIB, 12), 0);
	for (unsigned i = 0; i < 256; i++) {
		unsigned char *frame = frame_alloc(&pool, 20, &zeroed);

		cr_assert(frame);
		memset(frame_meta(&pool, frame), 0xff, 256 * 64);
	}
	for (unsigned i = 0; i < 4096; i++)
		cr_assert_arr_eq(pool.base + i * 4096, zero, 4096);
	frame_pool_destroy(&pool);
}

/* After a misuse that was not fatal: the pool has lost nothing and serves no frame twice. */
static void check_after_misuse(void)
{
	cr_assert_eq(pool.live, 1);
	cr_assert_eq(pool.freed, 1);
	cr_assert_eq(take(13, false), 0x0000);
	cr_assert_eq(take(13, true), 0x4000);
}

/* Two 8K frames, the first given back. */
static void prepare_misuse(void)
{
	cr_assert_eq(take(13, true), 0x0000);
	cr_assert_eq(take(13, true), 0x2000);
	give(0x0000, 13);
}

Test(frame, double_free__is_caught, .signal = MISUSE_SIGNAL)
{
	prepare_misuse();
	give(0x0000, 13);
	check_after_misuse();
}

Test(frame, misaligned_free__is_caught, .signal = MISUSE_SIGNAL)
{
	prepare_misuse();
	give(0x2008, 13);
	check_after_misuse();
}

Test(frame, free_of_a_part__is_caught, .signal = MISUSE_SIGNAL)
{
	prepare_misuse();
	give(0x3000, 12);
	check_after_misuse();
}

Test(frame, free_with_another_size__is_caught, .signal = MISUSE_SIGNAL)
{
	prepare_misuse();
	give(0x2000, 12);
	check_after_misuse();
}

Test(frame, free_of_an_absurd_size__is_caught, .signal = MISUSE_SIGNAL)
{
	prepare_misuse();
	give(0x2000, 200);
	check_after_misuse();
}

Test(frame, free_beyond_the_pool__is_caught, .signal = MISUSE_SIGNAL)
{
	prepare_misuse();
	give(BIT64(40), 13);
	check_after_misuse();
}

#if BASE_HAS_ASAN
Test(frame, touch_of_free_memory__is_seen_by_the_sanitizer)
{
	uint64_t offset = take(12, true);

	cr_assert_not(__asan_address_is_poisoned(pool.base + offset + 8));
	cr_assert(__asan_address_is_poisoned(pool.base + 0x1000), "not handed out yet");
	give(offset, 12);
	cr_assert(__asan_address_is_poisoned(pool.base + offset + 8));
	cr_assert(__asan_address_is_poisoned((char *)frame_meta(&pool, pool.base) + 24));
	cr_assert_eq(take(12, false), offset);
	cr_assert_not(__asan_address_is_poisoned((char *)frame_meta(&pool, pool.base) + 24));
}
#endif

#define MODEL_BYTES  (4 * MIB)
#define MODEL_PAGES  (MODEL_BYTES >> 12)
#define MODEL_FRAMES 2000
#define MODEL_STEPS  40000

/* The flat model: which live frame each 4K page belongs to, and what was handed out. */
struct model_frame {
	unsigned char *frame;
	unsigned lg2;
	uint64_t tag;
};

static struct model_frame frames[MODEL_FRAMES];
static unsigned frame_count;
static uint64_t live_bytes;
static bool page_used[MODEL_PAGES];

static void model_claim(const struct model_frame *frame, bool used)
{
	uint64_t first = (uint64_t)(frame->frame - pool.base) >> 12;

	for (uint64_t i = first; i < first + (BIT64(frame->lg2) >> 12); i++) {
		cr_assert_neq(page_used[i], used);
		page_used[i] = used;
	}
}

static void model_alloc(struct random_state *random)
{
	struct model_frame *frame = &frames[frame_count];
	bool zeroed;
	uint64_t *words;

	/* Small ones are frequent. */
	frame->lg2 = 12 + (unsigned)__builtin_ctzll(random_u64(random) | 0x100);
	frame->frame = frame_alloc(&pool, frame->lg2, &zeroed);
	if (!frame->frame) {
		for (unsigned lg2 = frame->lg2; lg2 <= FRAME_LG2_MAX; lg2++)
			cr_assert_null(pool.free[lg2], "refused without need");
		return;
	}
	cr_assert(is_aligned((uintptr_t)frame->frame, BIT64(frame->lg2)));
	cr_assert_lt(frame->frame + BIT64(frame->lg2) - pool.base, (ptrdiff_t)MODEL_BYTES + 1);
	model_claim(frame, true);
	words = (uint64_t *)frame->frame;
	for (uint64_t i = 0; zeroed && i < BIT64(frame->lg2) / 8; i++)
		cr_assert_eq(words[i], 0);
	frame->tag = random_u64(random) | 1;
	words[0] = words[BIT64(frame->lg2) / 8 - 1] = frame->tag;
	live_bytes += BIT64(frame->lg2);
	frame_count++;
}

static void model_free(struct random_state *random)
{
	struct model_frame *frame = &frames[random_below(random, frame_count)];
	uint64_t *words = (uint64_t *)frame->frame;

	cr_assert_eq(words[0], frame->tag, "nobody else wrote there");
	cr_assert_eq(words[BIT64(frame->lg2) / 8 - 1], frame->tag);
	model_claim(frame, false);
	live_bytes -= BIT64(frame->lg2);
	frame_free(&pool, frame->frame, frame->lg2);
	*frame = frames[--frame_count];
}

Test(frame_model, random_alloc_and_free__never_overlap)
{
	struct random_state random = random_start(1);

	cr_assert_eq(frame_pool_init(&pool, 0, MODEL_BYTES, 12), 0);
	for (unsigned step = 0; step < MODEL_STEPS; step++) {
		/* Phases of growth and of shrinking, through exhaustion. */
		uint64_t chance = step / 5000 % 2 ? 3 : 7;
		bool grow = random_below(&random, 10) < chance;

		if (grow && frame_count < MODEL_FRAMES)
			model_alloc(&random);
		else if (frame_count)
			model_free(&random);
		cr_assert_eq(pool.live, frame_count);
		cr_assert_eq(pool.live_bytes, live_bytes);
		cr_assert_eq(pool.allocated - pool.freed, frame_count);
	}
	while (frame_count)
		model_free(&random);
	frame_pool_destroy(&pool);
}
