/* SPDX-License-Identifier: MIT */
/*
 * The self-check on trial: one fact of a sound VM is made wrong, and vmmu_audit() must name just
 * the invariants that this breaks. Then it is put right, and the audit must be content again. The
 * digest likewise: no bit of the tables may change unseen.
 */
#include <stdio.h>
#include <string.h>

#include "faults/stage.h"

static void note_finding(void *ctx, const struct vmmu_finding *finding)
{
	struct stage *stage = ctx;
	char word[64];

	snprintf(word, sizeof(word), "%s ", finding->invariant);
	cr_assert(strstr(finding->text, finding->invariant), "%s", finding->text);
	stage->last = *finding;
	stage->last.text = NULL;
	if (!strstr(stage->names, word))
		strncat(stage->names, word, sizeof(stage->names) - strlen(stage->names) - 1);
}

static struct vmmu_audit audit(struct stage *stage)
{
	struct vmmu_audit result;

	stage->names[0] = 0;
	cr_assert_eq(vmmu_audit(stage->vm, &result, note_finding, stage), 0);
	return result;
}

/* The same names, in whatever order? */
static bool is_same_names(const char *a, const char *b)
{
	char word[64], spaced[66];
	int length;

	if (strlen(a) != strlen(b))
		return false;
	for (; sscanf(a, "%62s%n", word, &length) == 1; a += length) {
		snprintf(spaced, sizeof(spaced), "%s ", word);
		if (!strstr(b, spaced))
			return false;
	}
	return true;
}

/* Is it about what tdp roots do not have? */
static bool is_of_direct_roots(const char *names)
{
	static const char *const words[] = {"rmap-missing", "rmap-stale", "table-used",
					    "table-volatile"};
	bool is_one = false;

	for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		is_one |= is_tdp() && strstr(names, words[i]);
	return is_one;
}

/* NAMES, without counts of what tdp roots do not have. */
static const char *expected_names(const char *names)
{
	static char kept[256];
	const char *count = strstr(names, "rmap-count ");

	if (!is_tdp() || !count)
		return names;
	snprintf(kept, sizeof(kept), "%.*s%s", (int)(count - names), names,
		 count + strlen("rmap-count "));
	return kept;
}

FORMAT_TEST(audit, one_fact_made_wrong__is_found_and_nothing_else)
{
	struct stage *stage = stage_make(*index);

	cr_assert_eq(audit(stage).violations, 0);
	for (const struct audit_break *wrong = audit_breaks; wrong->names; wrong++) {
		if (is_of_direct_roots(wrong->names))
			continue;
		wrong->fn(stage);
		if (!stage->poke_count)
			continue;
		cr_assert_gt(audit(stage).violations, 0, "not found: %s", wrong->names);
		cr_assert(is_same_names(stage->names, expected_names(wrong->names)),
			  "found: %s, expected: %s", stage->names, wrong->names);
		undo(stage);
		cr_assert_eq(audit(stage).violations, 0, "left behind by %s: %s", wrong->names,
			     stage->names);
	}
	stage_end(stage);
}

/* The table of the logged leaf has one entry more. */
static void poke_used(struct stage *stage)
{
	struct table *table = table_of(stage, entry_at(stage, 0, logged_gfn(stage)));

	POKE(stage, table->used, table->used + 1);
}

FORMAT_TEST(audit, a_finding__says_where)
{
	struct stage *stage = stage_make(*index);
	struct vmmu_audit result;

	POKE(stage, entry_at(stage, 0, logged_gfn(stage))[1], stage->ops->make_frozen(1));
	poke_used(stage);
	cr_assert_eq(audit(stage).violations, 1);
	cr_assert_eq(stage->last.gfn, logged_gfn(stage) + 1);
	cr_assert_eq(stage->last.level, 1);
	cr_assert_eq(stage->last.as_id, 0);
	/* without anyone to tell it to, it is counted all the same */
	cr_assert_eq(vmmu_audit(stage->vm, &result, NULL, NULL), 0);
	cr_assert_eq(result.violations, 1);
	undo(stage);
	stage_end(stage);
}

FORMAT_TEST(audit, more_state__more_facts_checked)
{
	struct stage *stage = stage_make(*index);
	uint64_t before = audit(stage).checked, after;

	for (uint64_t i = 1; i <= 10; i++)
		machine_access(stage->machine, 0,
			       machine_gpa(stage->machine, logged_gfn(stage) + i), VMMU_WRITE);
	after = audit(stage).checked;
	/*
	 * a leaf: malformed, writable, slot, read-only, dirty; where there are rmaps, that it is in
	 * its rmap, and its rmap's entry; but for "absent-value", which is checked no more
	 */
	cr_assert_eq(after, before + 10 * (is_tdp() ? 4 : 6));
	stage_end(stage);
}

/* An obsolete root stays a table while a vCPU may run on it, and goes with the last to leave. */
FORMAT_TEST(audit, everything_dropped__roots_that_vcpus_stand_on_linger)
{
	struct stage *stage = stage_make(*index);
	struct machine *machine = stage->machine;

	cr_assert_eq(vmmu_zap_all(stage->vm), 0);
	cr_assert_eq(machine_stats(machine).tables, 2,
		     "the root of two vCPUs, and the one that vCPU 1 left and keeps");
	cr_assert_eq(audit(stage).violations, 0);
	machine_enter(machine, 0);
	cr_assert_eq(machine_stats(machine).tables, 3);
	cr_assert_eq(audit(stage).violations, 0);
	machine_enter(machine, 1);
	cr_assert_eq(machine_stats(machine).tables, 1);
	stage_end(stage);
}

static struct vmmu_digest digest_of(struct stage *stage)
{
	struct vmmu_digest digest;

	cr_assert_eq(vmmu_digest(stage->vm, &digest), 0);
	return digest;
}

static bool is_same_digest(struct vmmu_digest a, struct vmmu_digest b)
{
	return a.high == b.high && a.low == b.low;
}

/* Every bit of a leaf and of an MMIO entry, and of a table entry all but its address. */
FORMAT_TEST(digest, one_bit_of_an_entry__changes_it)
{
	struct stage *stage = stage_make(*index);
	struct vmmu_digest before = digest_of(stage);
	_Atomic uint64_t *places[3] = {entry_at(stage, 0, logged_gfn(stage)),
				       entry_at(stage, 0, 6 * stage->large)};
	unsigned table_bits = 0;

	table_at(stage, logged_gfn(stage), &places[2]);
	for (unsigned i = 0; i < 3; i++) {
		for (unsigned bit = 0; bit < 64; bit++) {
			uint64_t pte = *places[i], other = pte ^ (UINT64_C(1) << bit);
			bool is_same_table = stage->ops->classify(other, 2) == VMMU_ENTRY_TABLE &&
					     stage->ops->table_hpa(other, 2) ==
						     stage->ops->table_hpa(pte, 2);

			if (i == 2 && !is_same_table)
				continue;
			table_bits += i == 2;
			POKE(stage, *places[i], other);
			cr_assert(!is_same_digest(digest_of(stage), before), "place %u bit %u", i,
				  bit);
			undo(stage);
		}
	}
	cr_assert_gt(table_bits, 8);
	cr_assert(is_same_digest(digest_of(stage), before));
	stage_end(stage);
}

/* The same entry one place further, or in the other address space, is another mapping. */
FORMAT_TEST(digest, an_entry_elsewhere__changes_it)
{
	struct stage *stage = stage_make(*index);
	struct vmmu_digest before = digest_of(stage);
	_Atomic uint64_t *ptep = entry_at(stage, 0, logged_gfn(stage));
	_Atomic(struct table *) *roots = stage->vm->roots;
	struct table *root = roots[0];

	POKE(stage, ptep[1], ptep[0]);
	POKE(stage, ptep[0], 0);
	cr_assert(!is_same_digest(digest_of(stage), before));
	undo(stage);
	POKE(stage, roots[0], (uintptr_t)roots[1]);
	POKE(stage, roots[1], (uintptr_t)root);
	cr_assert(!is_same_digest(digest_of(stage), before));
	undo(stage);
	stage_end(stage);
}
