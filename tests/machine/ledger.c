// SPDX-License-Identifier: MIT
/* The order of writes and flushes by itself: events and flushes told by hand. */
#include "machine/scenarios.h"

#define LARGE  UINT64_C(0x1800010002007fd) /* a block of Arm's, writable */
#define SMALL  UINT64_C(0x18000100020f7ff) /* a page */
#define TABLE2 UINT64_C(0x100005003)

/* Gfns [512, 1024) change; nothing runs. */
static struct stand *make(void)
{
	struct stand *stand = stand_make(vmmu_format_find("arm-s2-4k"), NULL);

	cr_assert_eq(vmmu_cpu_enter(stand->cpu[0]), 0);
	stand_op(stand, "by hand");
	return stand;
}

static void tell(struct stand *stand, uint64_t gfn, unsigned level, uint64_t old_pte,
		 uint64_t new_pte)
{
	const struct vmmu_event event = {.kind = VMMU_EVENT_ENTRY_CHANGED,
					 .gfn = gfn,
					 .level = level,
					 .old_pte = old_pte,
					 .new_pte = new_pte};

	vmmu_machine_event(stand->machine, &event);
}

static void flush(struct stand *stand, uint64_t start, uint64_t end)
{
	const struct vmmu_flush range = {.gfn_start = start, .gfn_end = end};

	vmmu_machine_flush(stand->machine, &range);
}

static void expect(struct stand *stand, int findings, enum vmmu_stale_kind kind, uint64_t gpa)
{
	cr_assert_eq(stand_check(stand), findings);
	cr_assert_eq(stand->stale_count, findings);
	if (!findings)
		return;
	cr_assert_eq(stand->stale[0].kind, kind);
	cr_assert_eq(stand->stale[0].gpa, gpa);
	cr_assert_str_eq(stand->stale[0].operation, "by hand");
	stand->stale_count = 0;
}

Test(ledger, flushed_in_parts__owed_until_all_of_it_is)
{
	struct stand *stand = make();

	tell(stand, 512, 2, LARGE, 0);
	flush(stand, 512, 1024);
	expect(stand, 0, VMMU_STALE_OWED, 0);
	tell(stand, 512, 2, LARGE, 0);
	flush(stand, 0, 700);
	expect(stand, 1, VMMU_STALE_OWED, 700 << 12);
	tell(stand, 512, 2, LARGE, 0);
	flush(stand, 700, 2000);
	expect(stand, 1, VMMU_STALE_OWED, 512 << 12);
	tell(stand, 512, 2, LARGE, 0);
	flush(stand, 700, 2000);
	flush(stand, 512, 700);
	expect(stand, 0, VMMU_STALE_OWED, 0);
	/* from the middle: neither end */
	tell(stand, 512, 2, LARGE, 0);
	flush(stand, 600, 700);
	expect(stand, 1, VMMU_STALE_OWED, 512 << 12);
	stand_end(stand);
}

Test(ledger, a_smaller_page_under_one_not_flushed__wants_a_break)
{
	struct stand *stand = make();

	tell(stand, 512, 2, LARGE, 0);
	tell(stand, 527, 1, 0, SMALL);
	flush(stand, 512, 1024);
	cr_assert(stand_found(stand, VMMU_STALE_BREAK));
	stand_end(stand);
	stand = make();
	tell(stand, 512, 2, LARGE, 0);
	flush(stand, 512, 1024);
	tell(stand, 527, 1, 0, SMALL);
	expect(stand, 0, VMMU_STALE_BREAK, 0);
	/* rights alone may change beside it */
	tell(stand, 527, 1, SMALL, SMALL & ~UINT64_C(0x80));
	tell(stand, 512, 2, LARGE, LARGE & ~UINT64_C(0x80));
	flush(stand, 512, 1024);
	expect(stand, 0, VMMU_STALE_BREAK, 0);
	stand_end(stand);
}

Test(ledger, a_table_linked_elsewhere_before_its_flush__is_a_reuse)
{
	struct stand *stand = make();

	tell(stand, 512, 2, TABLE2, 0);
	tell(stand, 512, 2, 0, TABLE2); /* back to where it was */
	expect(stand, 1, VMMU_STALE_OWED, 512 << 12);
	tell(stand, 512, 2, TABLE2, 0);
	tell(stand, 1024, 2, 0, TABLE2);
	cr_assert(stand_found(stand, VMMU_STALE_REUSE));
	stand_end(stand);
}

Test(ledger, more_changes_than_it_can_follow__silence_until_the_operation_ends)
{
	struct stand *stand = make();

	for (uint64_t gfn = 0; gfn < 5000; gfn++)
		tell(stand, gfn, 1, SMALL, 0);
	flush(stand, 0, 5000);
	expect(stand, 0, VMMU_STALE_OWED, 0);
	tell(stand, 7, 1, SMALL, 0);
	expect(stand, 1, VMMU_STALE_OWED, 7 << 12);
	stand_end(stand);
}

Test(ledger, events_and_flushes_that_name_nothing__ignored)
{
	struct stand *stand = make();
	const struct vmmu_event event = {
		.kind = VMMU_EVENT_ENTRY_CHANGED, .level = VMMU_LEVELS_MAX + 1, .old_pte = SMALL};
	const struct vmmu_event space = {.kind = VMMU_EVENT_ENTRY_CHANGED,
					 .level = 1,
					 .as_id = VMMU_ADDRESS_SPACES_MAX,
					 .old_pte = SMALL};
	const struct vmmu_flush range = {.as_id = VMMU_ADDRESS_SPACES_MAX, .gfn_end = 1};

	vmmu_machine_event(stand->machine, &event);
	vmmu_machine_event(stand->machine, &space);
	vmmu_machine_flush(stand->machine, &range);
	expect(stand, 0, VMMU_STALE_OWED, 0);
	stand_end(stand);
}
