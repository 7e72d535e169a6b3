/* SPDX-License-Identifier: MIT */
/*
 * The funnel's exclusive form against hardware and the lockless fix: RACE is the function to emit,
 * after an instance header of a format.
 *
 * Other threads set accessed, and dirty where WRITE is there, by compare-exchange as hardware
 * does; and give WRITE back through the shared form where it may be had. The main thread protects,
 * ages, zaps and maps again. Each bit is counted when somebody sets it, 0 to 1, and when the funnel
 * says that it was in what was replaced, 1 to 0. At the end the two are equal, or a bit was lost or
 * made up. A plain program: a Criterion one does not run under ThreadSanitizer.
 */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/race.h"
#include "walker/race_funnel.h"
#include "walker/walk_impl.h"

/*
 * At least so many rounds, and on until hardware did so much; more rounds than that are hopeless.
 */
#define ROUNDS      300
#define HITS        20000
#define ROUNDS_MOST 100000

static struct tree tree;
static struct table *table;
static atomic_bool stop;
static atomic_uint bugs;
static atomic_ulong hits; /* bits that hardware set */

/* What one thread counted: accessed, dirty. */
struct bits {
	uint64_t set[2], taken[2];
};

static struct bits by_hardware[RACE_THREADS_MAX], by_us;

static void race_flush(void *ctx, const struct vmmu_flush *flush)
{
	(void)ctx, (void)flush;
}

static void race_bug(void *ctx, const char *what)
{
	(void)ctx, (void)what;
	atomic_fetch_add(&bugs, 1);
}

static bool is_leaf(uint64_t pte)
{
	return fmt_classify(pte, 1) == VMMU_ENTRY_LEAF;
}

/* OLD became NEW: which bits came and went? */
static void count(struct bits *bits, uint64_t old_pte, uint64_t new_pte)
{
	bool old[2] = {is_leaf(old_pte) && fmt_is_accessed(old_pte, 1),
		       is_leaf(old_pte) && fmt_is_dirty(old_pte, 1)};
	bool new[2] = {is_leaf(new_pte) && fmt_is_accessed(new_pte, 1),
		       is_leaf(new_pte) && fmt_is_dirty(new_pte, 1)};

	for (unsigned i = 0; i < 2; i++) {
		bits->set[i] += !old[i] && new[i];
		bits->taken[i] += old[i] && !new[i];
	}
}

static uint64_t race_leaf(void)
{
	struct vmmu_leaf leaf = {.pfn = 5,
				 .access = VMMU_RWX,
				 .host_writable = true,
				 .mmu_writable = true,
				 .accessed = true,
				 .dirty = true};

	return fmt_make_leaf(leaf, 1);
}

/* The bits that hardware sets for a store: A, and D where the format has one beside WRITE. */
static uint64_t marks(uint64_t pte)
{
	uint64_t leaf = race_leaf(), accessed = leaf ^ fmt_clear_accessed(leaf, 1);
	uint64_t dirty = (leaf ^ fmt_clear_dirty(leaf, 1)) & ~FMT_WRITE_BITS;

	return accessed | (fmt_access(pte, 1) & VMMU_WRITE ? dirty : 0);
}

static void hardware_store(const struct entry_ref *ref, struct bits *bits)
{
	uint64_t pte = pte_load(ref->ptep), new_pte;

	do {
		if (!is_leaf(pte))
			return;
		new_pte = pte | marks(pte);
	} while (!atomic_compare_exchange_weak(ref->ptep, &pte, new_pte));
	count(bits, pte, new_pte);
	atomic_fetch_add_explicit(&hits, pte != new_pte, memory_order_relaxed);
	if (fmt_access(new_pte, 1) & VMMU_WRITE)
		return;
	if (funnel_try(&tree, ref, new_pte, fmt_write_allow(new_pte, 1)))
		count(bits, new_pte, fmt_write_allow(new_pte, 1));
}

static void *hardware(void *bits)
{
	while (!atomic_load_explicit(&stop, memory_order_relaxed))
		table_for_each(&tree, table, ref) hardware_store(&ref, bits);
	return NULL;
}

/* funnel_update(), counted: CHANGE is pure, so it says what the value became. */
static void update(const struct entry_ref *ref, uint64_t (*change)(uint64_t pte, unsigned level))
{
	uint64_t old_pte = funnel_update(&tree, ref, change);

	count(&by_us, old_pte, change(old_pte, 1));
}

/* One of the things that the engine does to a leaf. */
static void work(const struct entry_ref *ref, unsigned kind)
{
	switch (kind) {
	case 0:
		update(ref, fmt_write_protect);
		break;
	case 1:
		update(ref, fmt_clear_dirty);
		break;
	case 2:
		update(ref, fmt_clear_accessed);
		break;
	default:
		count(&by_us, funnel_set(&tree, ref, 0), 0);
		count(&by_us, 0, race_leaf());
		funnel_set(&tree, ref, race_leaf());
	}
}

static void race_run(void)
{
	struct race race = race_begin(RACE_FORMATS, ROUNDS);
	unsigned threads = race_threads(1);
	pthread_t thread[RACE_THREADS_MAX];

	table_for_each(&tree, table, ref)
	{
		funnel_set(&tree, &ref, race_leaf());
		count(&by_us, 0, race_leaf());
	}
	for (unsigned i = 0; i < threads; i++)
		if (pthread_create(&thread[i], NULL, hardware, &by_hardware[i]))
			return;
	for (unsigned round = 0;
	     race_goes_on(&race, round) || (race_lacks(&race, hits, HITS) && round < ROUNDS_MOST);
	     round++)
		table_for_each(&tree, table, ref) work(&ref, (round + (unsigned)ref.gfn) % 4);
	atomic_store(&stop, true);
	for (unsigned i = 0; i < threads; i++)
		pthread_join(thread[i], NULL);
	for (unsigned i = 1; i < threads; i++) {
		for (unsigned bit = 0; bit < 2; bit++) {
			by_hardware[0].set[bit] += by_hardware[i].set[bit];
			by_hardware[0].taken[bit] += by_hardware[i].taken[bit];
		}
	}
	/* what is left counts as taken */
	table_for_each(&tree, table, ref) count(&by_us, funnel_set(&tree, &ref, 0), 0);
}

static int race_verdict(void)
{
	int failed = atomic_load(&bugs) != 0 || !by_hardware[0].set[0] || !by_hardware[0].set[1];

	for (unsigned i = 0; i < 2; i++) {
		uint64_t set = by_hardware[0].set[i] + by_us.set[i];
		uint64_t taken = by_hardware[0].taken[i] + by_us.taken[i];

		printf("%s %s: set %llu times, %llu by hardware; found %llu times\n", FMT_NAME,
		       i ? "dirty" : "accessed", (unsigned long long)set,
		       (unsigned long long)by_hardware[0].set[i], (unsigned long long)taken);
		failed |= set != taken;
	}
	return failed | (tree.leaves[1] || table->used || !table->has_volatile);
}

int RACE(void)
{
	struct tree_hooks hooks = {.flush = race_flush, .bug = race_bug};
	bool is_zeroed;
	int failed;

	if (tree_init(&tree, &fmt_geometry, UINT64_C(1) << 32, 1 << 20, &hooks))
		return 1;
	table = tree_alloc(&tree, 0, 0, 1, &is_zeroed);
	race_run();
	failed = race_verdict();
	tree_destroy(&tree);
	return failed;
}
