/* SPDX-License-Identifier: MIT */
/*
 * The workloads. Template: a subject defines struct pt, PT_MISS and pt_new(), pt_delete(),
 * pt_warm(), pt_map(), pt_walk() ... before; WORKLOAD_GROUPS initialises its struct bench_subject.
 *
 * What stands between bench_begin() and bench_end() is the loop and the subject's calls, nothing
 * else. Every result is looked at by walks, outside.
 */
#ifndef VMMU_BENCH_WORKLOAD_IMPL_H
#define VMMU_BENCH_WORKLOAD_IMPL_H

#define WORK_PAGE UINT64_C(4096)
#define WORK_2M   (UINT64_C(2) << 20)
#define WORK_GPA  UINT64_C(0x80000000)
/* Aligned to any block. */
#define WORK_HPA UINT64_C(0x2000000000)
/* One page off: nothing larger than a page fits. */
#define WORK_HPA_PAGES (WORK_HPA + WORK_PAGE)
/* 1 GiB: all that one entry maps two levels up. */
#define WORK_GIB_PAGES UINT64_C(262144)
/* How many of them are detached after one another: one takes less time than reading the clock. */
#define WORK_DETACHED 8
/* Every how many pages results are looked at. */
#define WORK_STEP 997
/* Level-1 tables, and one for each table above them and to spare. */
#define WORK_TABLES(pages) ((pages) / 512 + (pages) / (512 * 512) + 8)

static volatile uint64_t work_sink;

static inline uint64_t work_gpa(uint64_t page)
{
	return WORK_GPA + page * WORK_PAGE;
}

static inline uint64_t work_hpa(uint64_t page)
{
	return WORK_HPA_PAGES + page * WORK_PAGE;
}

/* All pages lead where they were mapped to. */
static void work_check(const struct bench_run *run, struct pt *pt, uint64_t pages)
{
	pt_read_begin(pt);
	for (uint64_t i = 0; i < pages; i += WORK_STEP)
		bench_expect(run, pt_walk(pt, work_gpa(i) + 0x123) == work_hpa(i) + 0x123);
	bench_expect(run, pt_walk(pt, work_gpa(pages - 1)) == work_hpa(pages - 1));
	bench_expect(run, pt_walk(pt, work_gpa(pages)) == PT_MISS);
	pt_read_end(pt);
}

static void work_check_empty(const struct bench_run *run, struct pt *pt, uint64_t pages)
{
	pt_read_begin(pt);
	for (uint64_t i = 0; i < pages; i += WORK_STEP)
		bench_expect(run, pt_walk(pt, work_gpa(i)) == PT_MISS);
	pt_read_end(pt);
}

static void work_map_pages(struct bench_run *run)
{
	uint64_t pages = run->sizes->pages;
	struct pt *pt = pt_new(run);

	pt_warm(pt, WORK_TABLES(pages));
	pt_change_begin(pt);
	bench_begin(run);
	for (uint64_t i = 0; i < pages; i++)
		pt_map(pt, work_gpa(i), work_hpa(i), WORK_PAGE);
	bench_end(run, MAP_ASCENDING, pages);
	pt_change_end(pt);
	work_check(run, pt, pages);
	pt_change_begin(pt);
	bench_begin(run);
	for (uint64_t i = 0; i < pages; i++)
		pt_unmap(pt, work_gpa(i), WORK_PAGE);
	bench_end(run, UNMAP_PAGES, pages);
	pt_change_end(pt);
	work_check_empty(run, pt, pages);
	pt_delete(pt);
}

static void work_map_random(struct bench_run *run)
{
	uint64_t pages = run->sizes->pages;
	const uint32_t *order = run->order;
	struct pt *pt = pt_new(run);

	pt_warm(pt, WORK_TABLES(pages));
	pt_change_begin(pt);
	bench_begin(run);
	for (uint64_t i = 0; i < pages; i++)
		pt_map(pt, work_gpa(order[i]), work_hpa(order[i]), WORK_PAGE);
	bench_end(run, MAP_RANDOM, pages);
	pt_change_end(pt);
	work_check(run, pt, pages);
	pt_delete(pt);
}

/* Give WRITE back everywhere, in the order of ORDER or (NULL) ascending. */
static void work_fix(struct bench_run *run, struct pt *pt, const uint32_t *order)
{
	uint64_t pages = run->sizes->pages;

	bench_begin(run);
	if (order)
		for (uint64_t i = 0; i < pages; i++)
			pt_fix(pt, work_gpa(order[i]));
	else
		for (uint64_t i = 0; i < pages; i++)
			pt_fix(pt, work_gpa(i));
	bench_end(run, order ? FIX_RANDOM : FIX_ASCENDING, pages);
}

static void work_write_protect(struct bench_run *run, struct pt *pt, enum workload workload)
{
	uint64_t pages = run->sizes->pages;

	bench_begin(run);
	pt_write_protect(pt, WORK_GPA, pages * WORK_PAGE);
	bench_end(run, workload, pages);
}

static void work_ranges(struct bench_run *run)
{
	uint64_t pages = run->sizes->pages;
	struct pt *pt = pt_new(run);

	pt_warm(pt, WORK_TABLES(pages));
	pt_change_begin(pt);
	bench_begin(run);
	pt_map(pt, WORK_GPA, WORK_HPA_PAGES, pages * WORK_PAGE);
	bench_end(run, MAP_RANGE, pages);
	pt_change_end(pt);
	work_check(run, pt, pages);
	pt_change_begin(pt);
	work_write_protect(run, pt, PROTECT_CLEAN);
	work_fix(run, pt, NULL);
	work_write_protect(run, pt, PROTECT_AGAIN);
	work_fix(run, pt, run->order);
	pt_change_end(pt);
	work_check(run, pt, pages);
	pt_change_begin(pt);
	bench_begin(run);
	pt_unmap(pt, WORK_GPA, pages * WORK_PAGE);
	pt_change_end(pt);
	bench_end(run, UNMAP, pages);
	work_check_empty(run, pt, pages);
	pt_delete(pt);
}

static void work_detach(struct bench_run *run)
{
	uint64_t pages = WORK_DETACHED * WORK_GIB_PAGES;
	struct pt *pt = pt_new(run);

	pt_change_begin(pt);
	pt_map(pt, WORK_GPA, WORK_HPA_PAGES, pages * WORK_PAGE);
	bench_begin(run);
	for (uint64_t i = 0; i < pages; i += WORK_GIB_PAGES)
		pt_unmap(pt, work_gpa(i), WORK_GIB_PAGES * WORK_PAGE);
	bench_end(run, DETACH, pages);
	pt_change_end(pt);
	work_check_empty(run, pt, pages);
	pt_delete(pt);
}

static void work_blocks(struct bench_run *run)
{
	const struct bench_sizes *sizes = run->sizes;
	struct pt *pt = pt_new(run);
	uint64_t gpa = WORK_GPA + 5 * WORK_2M, hpa = WORK_HPA + 5 * WORK_2M;

	pt_warm(pt, sizes->splits + WORK_TABLES(sizes->blocks));
	pt_change_begin(pt);
	bench_begin(run);
	for (uint64_t i = 0; i < sizes->blocks; i++)
		pt_map(pt, WORK_GPA + i * WORK_2M, WORK_HPA + i * WORK_2M, WORK_2M);
	bench_end(run, MAP_BLOCKS, sizes->blocks);
	pt_change_end(pt);
	pt_read_begin(pt);
	for (uint64_t i = 0; i < sizes->blocks; i += WORK_STEP)
		bench_expect(run, pt_walk(pt, WORK_GPA + i * WORK_2M + 0x5008) ==
					  WORK_HPA + i * WORK_2M + 0x5008);
	pt_read_end(pt);
	pt_change_begin(pt);
	bench_begin(run);
	for (uint64_t i = 0; i < sizes->splits; i++)
		pt_split(pt, WORK_GPA + i * WORK_2M + 0x7000);
	bench_end(run, SPLIT, sizes->splits);
	pt_change_end(pt);
	pt_read_begin(pt);
	bench_expect(run, pt_walk(pt, gpa + 0x7000) == PT_MISS);
	bench_expect(run, pt_walk(pt, gpa + 0x6008) == hpa + 0x6008);
	bench_expect(run, pt_walk(pt, gpa + 0x8008) == hpa + 0x8008);
	pt_read_end(pt);
	pt_delete(pt);
}

/*
 * Translate run->sizes->walks of the pages listed in ORDER: independent ones, then each address
 * dependent on the last result, whose top bit is never set.
 */
static void work_translate(struct bench_run *run, struct pt *pt, const uint32_t *order,
			   enum workload workload)
{
	uint64_t walks = run->sizes->walks, sum = 0, expected = 0;

	pt_read_begin(pt);
	for (uint64_t i = 0; i < walks; i++)
		expected += work_hpa(order[i]);
	bench_begin(run);
	for (uint64_t i = 0; i < walks; i++)
		sum += pt_walk(pt, work_gpa(order[i]));
	bench_end(run, workload, walks);
	bench_expect(run, sum == expected);
	bench_begin(run);
	for (uint64_t i = 0; i < walks; i++)
		sum = pt_walk(pt, work_gpa(order[i] + (sum >> 63)));
	bench_end(run, workload + 1, walks);
	bench_expect(run, sum == work_hpa(order[walks - 1]));
	pt_read_end(pt);
	work_sink = sum;
}

static void work_hot(struct bench_run *run)
{
	struct pt *pt = pt_new(run);

	pt_change_begin(pt);
	pt_map(pt, WORK_GPA, WORK_HPA_PAGES, run->sizes->hot_pages * WORK_PAGE);
	pt_change_end(pt);
	/* Brings the tables into the cache. */
	pt_read_begin(pt);
	for (uint64_t i = 0; i < run->sizes->hot_pages; i++)
		bench_expect(run, pt_walk(pt, work_gpa(i)) == work_hpa(i));
	pt_read_end(pt);
	work_translate(run, pt, run->hot, TRANSLATE_HOT);
#ifdef PT_HAS_ONCE
	pt_translate_once(run, pt, run->hot);
#endif
	pt_delete(pt);
}

static void work_cold(struct bench_run *run)
{
	struct pt *pt = run->cold_tables;

	if (!pt) {
		pt = run->cold_tables = pt_new(run);
		pt_change_begin(pt);
		pt_map(pt, WORK_GPA, WORK_HPA_PAGES, run->sizes->cold_pages * WORK_PAGE);
		pt_change_end(pt);
	}
	work_translate(run, pt, run->cold, TRANSLATE_COLD);
#ifdef PT_HAS_ONCE
	pt_translate_batch(run, pt, run->cold);
#endif
}

static void work_cold_end(struct bench_run *run)
{
	if (run->cold_tables)
		pt_delete(run->cold_tables);
	run->cold_tables = NULL;
}

#define WORKLOAD_GROUPS                                                                    \
	.map_pages = work_map_pages, .map_random = work_map_random, .ranges = work_ranges, \
	.detach = work_detach, .blocks = work_blocks, .hot = work_hot, .cold = work_cold,  \
	.cold_end = work_cold_end

#endif
