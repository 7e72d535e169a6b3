/* SPDX-License-Identifier: MIT */
/*
 * Live migration on the modelled machine: CPUs with TLBs write numbers that only grow into the
 * host's memory; between any two of their accesses the host may move pages, and what was written
 * may be read, forgotten, copied to a second image. When the CPUs stop and the rest is copied, both
 * images are equal: for each way to log, each format and each kind of root.
 *
 * VMMU_SEED=n makes a run again.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "machine/stand.h"

/* Pages of slot 1 that are written: two words of the log. */
#define PAGES   100
#define OPS     400
#define ROUNDS  3
#define LOG_MAX 512

struct way {
	unsigned flags;
	uint32_t ring_entries;
	enum vmmu_dirty_source source;
};

/* A migration under way. */
struct migration {
	struct stand *stand;
	const struct way *way;
	uint64_t image[PAGES]; /* the first word of each page, as copied */
	bool pending[PAGES];   /* to be copied */
	uint64_t number;
};

/* Where the first word of page PAGE of the slot lies. */
static uint64_t *word_of(const struct migration *migration, uint64_t page)
{
	struct stand *stand = migration->stand;
	struct host_page *host = stand_host_of(stand, 0, stand->large + page);

	if (!host->memory)
		host->memory = calloc(1, UINT64_C(1) << stand->shift);
	cr_assert_not_null(host->memory);
	return host->memory;
}

static void note(struct migration *migration, uint64_t page)
{
	/* Slot 1 is as large as a large page; the rest of it is never written. */
	if (page < PAGES)
		migration->pending[page] = true;
}

static void reap_rings(struct migration *migration)
{
	struct vmmu_dirty_page pages[16];
	uint64_t count;

	do {
		cr_assert_eq(vmmu_dirty_ring_harvest(migration->stand->vm, pages, 16, &count), 0);
		for (uint64_t i = 0; i < count; i++)
			note(migration, pages[i].page);
	} while (count == 16);
	cr_assert_eq(vmmu_dirty_ring_reset(migration->stand->vm, NULL), 0);
}

/* Bring in what CPU has listed in its log. */
static void drain_log(struct migration *migration, unsigned cpu)
{
	struct stand *stand = migration->stand;
	struct vmmu_hw_x86 *x86 = &vmmu_cpu_registers(stand->cpu[cpu])->u.x86;
	struct vmmu_hw_bus bus = stand_bus(stand);
	uint64_t gpas[LOG_MAX], count = 0;

	for (unsigned at = (uint16_t)(x86->pml_index + 1); at < LOG_MAX; at++)
		cr_assert_eq(bus.load(stand, x86->pml_address + at * 8, 8, &gpas[count++]), 0);
	x86->pml_index = LOG_MAX - 1;
	cr_assert_eq(vmmu_dirty_log(stand->vcpu[cpu], gpas, count, NULL), 0);
}

static void read_bitmap(struct migration *migration)
{
	struct stand *stand = migration->stand;
	uint64_t words = (stand->large + 63) / 64;
	uint64_t *bits = calloc(words, sizeof(*bits));
	struct vmmu_dirty_range range = {.id = 1, .pages = stand->large, .bitmap = bits};

	cr_assert_not_null(bits);
	cr_assert_eq(vmmu_dirty_get(stand->vm, 0, 1, bits, words * 64, NULL), 0);
	if (migration->way->flags & VMMU_DIRTY_MANUAL)
		cr_assert_eq(vmmu_dirty_clear(stand->vm, &range, NULL), 0);
	for (uint64_t page = 0; page < PAGES; page++)
		if (bits[page / 64] >> (page % 64) & 1)
			note(migration, page);
	free(bits);
}

static void copy_pass(struct migration *migration)
{
	stand_op(migration->stand, "dirty");
	if (migration->way->ring_entries)
		reap_rings(migration);
	else
		read_bitmap(migration);
	for (uint64_t page = 0; page < PAGES; page++)
		if (migration->pending[page])
			migration->image[page] = *word_of(migration, page);
	memset(migration->pending, 0, sizeof(migration->pending));
}

/* One access of CPU. A write stores the next number where hardware says that the page is. */
static void access_page(struct migration *migration, unsigned cpu, uint64_t page, unsigned access)
{
	struct stand *stand = migration->stand;
	struct vmmu_hw_bus bus = stand_bus(stand);
	struct vmmu_access_result result;
	uint64_t gpa = stand_gpa(stand, stand->large + page), hpa, old;

	for (unsigned tries = 0;; tries++) {
		struct vmmu_hw_access asked = {.gva = gpa, .access = access, .bytes = 8};

		cr_assert_lt(tries, 4);
		cr_assert_eq(vmmu_cpu_access(stand->cpu[cpu], &asked, &result), 0);
		if (result.end == VMMU_ACCESS_DONE)
			break;
		if (result.end == VMMU_ACCESS_LOG_FULL) {
			drain_log(migration, cpu);
			continue;
		}
		cr_assert_eq(result.end, VMMU_ACCESS_EXIT, "end %d", (int)result.end);
		cr_assert_eq(result.fault.exit, VMMU_EXIT_RING_FULL);
		reap_rings(migration);
	}
	if (access != VMMU_WRITE)
		return;
	hpa = result.part[0].hpa;
	cr_assert_eq(bus.load(stand, hpa, 8, &old), 0);
	cr_assert_eq(bus.swap(stand, hpa, 8, old, ++migration->number), 0);
	cr_assert_eq(*word_of(migration, page), migration->number, "another page was written");
}

static void draw_op(struct migration *migration)
{
	struct stand *stand = migration->stand;
	unsigned cpu = (unsigned)stand_below(stand, STAND_CPUS);
	uint64_t page = stand_below(stand, 2) ? stand_below(stand, PAGES) : 7;
	uint64_t large = stand->large;

	switch (stand_below(stand, 20)) {
	case 0:
		copy_pass(migration);
		break;
	case 1:
		stand_op(stand, "move");
		/* One page, unless it is part of a large one. */
		if (stand->host[large].level == 1 && stand_below(stand, 8))
			stand_host_move(stand, large + page, 1, 1);
		else
			stand_host_move(stand, large, large, 1 + (unsigned)stand_below(stand, 2));
		break;
	case 2:
		stand_op(stand, "zap");
		if (!stand_below(stand, 4))
			cr_assert_eq(vmmu_zap_all(stand->vm), 0);
		break;
	case 3:
		if (migration->way->source == VMMU_DIRTY_BY_LOG)
			drain_log(migration, cpu);
		break;
	case 4:
	case 5:
		access_page(migration, cpu, page, VMMU_READ);
		break;
	default:
		access_page(migration, cpu, page, VMMU_WRITE);
	}
	cr_assert_eq(stand_check(stand), 0);
}

static void migrate(struct migration *migration)
{
	struct stand *stand = migration->stand;

	memset(migration->image, 0xff, sizeof(migration->image));
	stand_op(stand, "log");
	stand_slot(stand, 1, VMMU_SLOT_LOG_DIRTY);
	for (uint64_t page = 0; page < PAGES; page++)
		migration->pending[page] = !(migration->way->flags & VMMU_DIRTY_INITIALLY_SET);
	for (unsigned op = 0; op < OPS; op++)
		draw_op(migration);
	for (unsigned cpu = 0; cpu < STAND_CPUS && migration->way->source == VMMU_DIRTY_BY_LOG;
	     cpu++)
		drain_log(migration, cpu);
	copy_pass(migration);
	for (uint64_t page = 0; page < PAGES; page++)
		cr_assert_eq(migration->image[page], *word_of(migration, page), "page %d is lost",
			     (int)page);
	stand_op(stand, "log off");
	stand_slot(stand, 1, 0);
	for (unsigned i = 0; i < 50; i++)
		access_page(migration, i % 2, stand_below(stand, PAGES), VMMU_WRITE);
}

static void start_logs(struct stand *stand)
{
	for (unsigned cpu = 0; cpu < STAND_CPUS; cpu++) {
		struct vmmu_hw_x86 *x86 = &vmmu_cpu_registers(stand->cpu[cpu])->u.x86;

		/* A page of the host's that no slot has. */
		x86->pml_address = stand->host[5 * stand->large + cpu].pfn << stand->shift;
		x86->pml_index = LOG_MAX - 1;
		x86->has_pml = true;
	}
}

static uint64_t seed_of_run(void)
{
	const char *text = getenv("VMMU_SEED");

	return text ? strtoull(text, NULL, 0) : 1;
}

static void run(const struct vmmu_format *format, const struct way *way, enum vmmu_root_mode root)
{
	struct stand_options options = {.has_events = true,
					.tlb_entries = 256,
					.root = root,
					.dirty_flags = way->flags,
					.ring_entries = way->ring_entries,
					.dirty_source = way->source};
	struct migration migration = {.way = way, .stand = stand_make(format, &options)};

	migration.stand->draw = draw_from_seed(seed_of_run());
	if (way->source == VMMU_DIRTY_BY_LOG)
		start_logs(migration.stand);
	stand_slot(migration.stand, 1, 0);
	for (unsigned round = 0; round < ROUNDS; round++)
		migrate(&migration);
	stand_expect_clean(migration.stand);
	stand_end(migration.stand);
}

static void run_both(const struct vmmu_format *format, const struct way *way)
{
	run(format, way, VMMU_ROOT_DIRECT);
	run(format, way, VMMU_ROOT_TDP);
}

STAND_TEST(migrate, by_faults__ends_with_equal_images)
{
	static const struct way ways[] = {
		{0},
		{.flags = VMMU_DIRTY_MANUAL},
		{.flags = VMMU_DIRTY_MANUAL | VMMU_DIRTY_INITIALLY_SET},
		{.ring_entries = VMMU_DIRTY_RING_MIN},
	};

	for (unsigned i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
		run_both(vmmu_format_at(*index), &ways[i]);
}

STAND_TEST(migrate, by_dirty_bits__ends_with_equal_images)
{
	static const struct way ways[] = {
		{.source = VMMU_DIRTY_BY_BITS},
		{.flags = VMMU_DIRTY_MANUAL, .source = VMMU_DIRTY_BY_BITS},
		{.flags = VMMU_DIRTY_MANUAL | VMMU_DIRTY_INITIALLY_SET,
		 .source = VMMU_DIRTY_BY_BITS},
	};
	const struct vmmu_format *format = vmmu_format_at(*index);

	if (!(vmmu_format_info(format)->caps & VMMU_CAP_HW_DIRTY))
		cr_skip_test("no dirty bits");
	for (unsigned i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
		run_both(format, &ways[i]);
}

Test(migrate, by_hardware_log__ends_with_equal_images)
{
	static const struct way ways[] = {
		{.source = VMMU_DIRTY_BY_LOG},
		{.flags = VMMU_DIRTY_MANUAL, .source = VMMU_DIRTY_BY_LOG},
		{.flags = VMMU_DIRTY_MANUAL | VMMU_DIRTY_INITIALLY_SET,
		 .source = VMMU_DIRTY_BY_LOG},
		{.ring_entries = 1024, .source = VMMU_DIRTY_BY_LOG},
	};

	for (unsigned i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		run_both(vmmu_format_find("ept4"), &ways[i]);
		run_both(vmmu_format_find("ept5"), &ways[i]);
	}
}
