// SPDX-License-Identifier: MIT
/*
 * x86 accesses through both stages: order and number of references, faults on the way, updates,
 * combined rights.
 */
#include "hw/x86_stand.h"

#include <criterion/criterion.h>
#include <errno.h>

static void expect_loads(enum vmmu_hw_arch arch, const struct chain *guest,
			 const struct chain *host, unsigned loads)
{
	struct stand stand = stand_new(arch, guest, host);
	const struct vmmu_hw_walk *walk = go(&stand, VMMU_WRITE);

	cr_assert_eq(walk->status, VMMU_HW_OK);
	cr_assert_eq(walk->load_count, loads);
	cr_assert_eq(stand.memory->load_count, loads, "what the bus saw");
	cr_assert_eq(walk->ref_count, loads);
	cr_assert_eq(walk->table_count, guest->count);
	cr_assert_eq(walk->combined.output,
		     HOST + 0x1000 * (guest->count + 1) + (stand.access.gva & 0xfff));
	memory_free(stand.memory);
}

Test(x86_walk, two_dimensions__as_many_references_as_the_manual_counts)
{
	expect_loads(VMMU_HW_EPT, &chain4, &chain4, 24);
	expect_loads(VMMU_HW_EPT, &chain5, &chain5, 35);
	expect_loads(VMMU_HW_EPT, &chain4, &chain5, 29);
	expect_loads(VMMU_HW_NPT, &chain4, &chain4, 24);
	expect_loads(VMMU_HW_NPT, &chain5, &chain5, 35);
	expect_loads(VMMU_HW_NPT, &chain32, &chain4, 14);
	/* PAE reads its top four entries in each nested walk. */
	expect_loads(VMMU_HW_NPT, &chain_pae, &chain4, 19);
}

/* The example of the sheets: where each access goes, in order, and what a failure there reports. */
static const uint64_t example_gpa[] = {0x17f0, 0x2248, 0x3598, 0x4c48, 0x5abc};

Test(x86_walk, two_dimensions__entries_in_the_order_of_the_example)
{
	struct stand stand = stand_new(VMMU_HW_EPT, &chain4, &chain4);
	const struct vmmu_hw_walk *walk = go(&stand, VMMU_READ);
	unsigned step, i;

	for (step = 0; step < 5; step++) {
		for (i = 0; i < 4; i++) {
			cr_assert_eq(walk->ref[5 * step + i].stage, 2);
			cr_assert_eq(walk->ref[5 * step + i].level, 4 - i);
			cr_assert_eq(walk->ref[5 * step + i].input, example_gpa[step]);
		}
		if (step == 4)
			break;
		cr_assert_eq(walk->ref[5 * step + 4].stage, 1);
		cr_assert_eq(walk->ref[5 * step + 4].level, 4 - step);
		cr_assert_eq(walk->ref[5 * step + 4].gpa, example_gpa[step]);
		cr_assert_eq(walk->ref[5 * step + 4].hpa, HOST + example_gpa[step]);
		cr_assert_eq(walk->ref[5 * step + 4].input, GVA);
		cr_assert_eq(walk->table[step].input, example_gpa[step]);
	}
	memory_free(stand.memory);
}

Test(x86_walk, ept_absent_at_each_step__exit_names_that_address)
{
	unsigned step;

	for (step = 0; step < 5; step++) {
		struct stand stand = stand_new(VMMU_HW_EPT, &chain4, &chain4);

		host_set(&stand, example_gpa[step], 0);
		stand.cpu.u.x86.features |= VMMU_HW_EPT_ADVANCED;
		/* The final page is a writable, executable user page. */
		expect_exit(go(&stand, VMMU_READ), step < 4 ? 0x81 : 0x781, example_gpa[step]);
		if (step == 4)
			expect_exit(go(&stand, VMMU_WRITE), 0x782, example_gpa[step]);
		cr_assert_eq(stand.walk.table_count, step);
		memory_free(stand.memory);
	}
}

Test(x86_walk, npt_failure_at_each_step__exitinfo_names_that_address)
{
	unsigned step;

	for (step = 0; step < 5; step++) {
		struct stand stand = stand_new(VMMU_HW_NPT, &chain4, &chain4);
		const struct vmmu_hw_walk *walk;

		host_set(&stand, example_gpa[step], 0);
		walk = go(&stand, VMMU_READ);
		cr_assert_eq(walk->report.svm.info1, step < 4 ? 0x200000006 : 0x100000004);
		cr_assert_eq(walk->report.svm.info2, example_gpa[step]);
		host_set(&stand, example_gpa[step], (HOST + (example_gpa[step] & ~0xfff)) | 0x65);
		walk = go(&stand, VMMU_WRITE);
		cr_assert_eq(walk->report.svm.info1, step < 4 ? 0x200000007 : 0x100000007);
		cr_assert_eq(walk->fault.entry, (HOST + (example_gpa[step] & ~0xfff)) | 0x65);
		cr_assert_eq(walk->fault.level, 1);
		cr_assert_eq(walk->fault.purpose, step < 4 ? VMMU_HW_TABLE_READ : VMMU_HW_FINAL);
		memory_free(stand.memory);
	}
}

Test(x86_walk, guest_fault__beats_the_absent_final_page)
{
	struct stand stand = stand_new(VMMU_HW_EPT, &chain4, &chain4);
	const struct vmmu_hw_walk *walk;

	host_set(&stand, 0x5000, 0);
	guest_set(&stand, 3, 0x5065);
	walk = go(&stand, VMMU_WRITE);
	cr_assert_eq(walk->status, VMMU_HW_FAULT_GUEST);
	cr_assert_eq(walk->report.exception.error_code, 3);
	/* ... and an absent guest entry is found before the tables below it are looked for. */
	guest_set(&stand, 1, 0);
	walk = go(&stand, VMMU_WRITE);
	cr_assert_eq(walk->report.exception.error_code, 2);
	cr_assert_eq(walk->table_count, 2);
	memory_free(stand.memory);
}

Test(x86_walk, guest_update_without_ept_dirty_bits__is_an_ept_write)
{
	struct stand stand = stand_new(VMMU_HW_EPT, &chain4, &chain4);

	guest_set(&stand, 3, 0x5007);
	host_set(&stand, 0x4000, (HOST + 0x4000) | 0x31);
	expect_exit(go(&stand, VMMU_READ), 0x8b, 0x4c48);
	cr_assert_eq(guest_get(&stand, 3), 0x5007);
	host_set(&stand, 0x4000, (HOST + 0x4000) | 0x33);
	cr_assert_eq(go(&stand, VMMU_READ)->status, VMMU_HW_OK);
	cr_assert_eq(guest_get(&stand, 3), 0x5027);
	cr_assert_eq(go(&stand, VMMU_WRITE)->status, VMMU_HW_OK);
	cr_assert_eq(guest_get(&stand, 3), 0x5067);
	/* Without EPTP's bit 6 no EPT entry was touched. */
	cr_assert_eq(host_get(&stand, 0x4000), (HOST + 0x4000) | 0x33);
	memory_free(stand.memory);
}

Test(x86_walk, ept_dirty_bits__set_in_used_entries_and_for_guest_tables)
{
	struct stand stand = stand_new(VMMU_HW_EPT, &chain4, &chain4);
	const struct vmmu_hw_walk *walk;
	unsigned i;

	stand.cpu.u.x86.eptp |= AD_ON;
	stand.host_upper = 7;
	for (i = 1; i <= 5; i++)
		host_set(&stand, i * 0x1000, (HOST + i * 0x1000) | 0x37);
	walk = go(&stand, VMMU_READ);
	cr_assert_eq(walk->status, VMMU_HW_OK);
	/* Reading a guest table counts as writing it; the page was read. */
	for (i = 1; i <= 4; i++)
		cr_assert_eq(host_get(&stand, i * 0x1000) & 0x300, 0x300);
	cr_assert_eq(host_get(&stand, 0x5000) & 0x300, 0x100);
	cr_assert_eq(memory_read(stand.memory, ROOT, 8), (ROOT + 0x1000) | 0x107);
	cr_assert_eq(stand.memory->swap_count, 3 + 5);
	cr_assert_not(walk->combined.dirty);
	cr_assert_eq(go(&stand, VMMU_WRITE)->combined.dirty, true);
	cr_assert_eq(host_get(&stand, 0x5000) & 0x300, 0x300);
	memory_free(stand.memory);
}

Test(x86_walk, ept_accessed_bit_clear_above_a_marked_leaf__the_leaf_still_maps)
{
	struct stand stand = stand_new(VMMU_HW_EPT, &chain4, &chain4);

	stand.cpu.u.x86.eptp |= AD_ON;
	memory_write(stand.memory, ROOT, 8, (ROOT + 0x1000) | 7);
	cr_assert_eq(go(&stand, VMMU_WRITE)->combined.output, HOST + 0x5abc);
	cr_assert_eq(stand.walk.stage2.level, 1);
	cr_assert_eq(memory_read(stand.memory, ROOT, 8), (ROOT + 0x1000) | 0x107);
	memory_free(stand.memory);
}

Test(x86_walk, violation__updates_nothing_of_its_own_translation)
{
	struct stand stand = stand_new(VMMU_HW_EPT, &chain4, &chain4);

	stand.cpu.u.x86.eptp |= AD_ON;
	host_set(&stand, 0x5000, (HOST + 0x5000) | 0x31);
	guest_set(&stand, 3, 0x5007);
	expect_exit(go(&stand, VMMU_WRITE), 0x18a, 0x5abc);
	cr_assert_eq(host_get(&stand, 0x5000), (HOST + 0x5000) | 0x31);
	/* The guest's own bits were set before the final page was looked for. */
	cr_assert_eq(guest_get(&stand, 3), 0x5067);
	memory_free(stand.memory);
}

Test(x86_walk, lower_entry__wins_over_a_shortage_above)
{
	struct stand stand = stand_new(VMMU_HW_EPT, &chain4, &chain4);
	struct chain_entry place = host_place(&stand, 0x5abc);

	memory_write(stand.memory, chain_address(&place, 1), 8, (ROOT + 0x2000) | 1);
	host_set(&stand, 0x5000, 0);
	memory_write(stand.memory, chain_address(&place, 1), 8, (ROOT + 0x2000) | 1);
	stand.cpu.u.x86.cr0 = 0;
	stand.access.gva = 0x5abc;
	go(&stand, VMMU_WRITE);
	cr_assert_eq(stand.walk.report.vmx.qualification, 0x182);
	/* A misconfigured one too. */
	memory_write(stand.memory, chain_address(&place, 3), 8, 0x12345032);
	cr_assert_eq(go(&stand, VMMU_WRITE)->report.vmx.exit_reason, 49);
	/* R-- above --X grants nothing: it looks absent. */
	memory_write(stand.memory, chain_address(&place, 3), 8, 0x12345034);
	go(&stand, VMMU_READ);
	cr_assert_eq(stand.walk.report.vmx.qualification, 0x181);
	cr_assert_eq(stand.walk.fault.cause, VMMU_HW_PERMISSION);
	memory_free(stand.memory);
}

Test(x86_walk, npt_updates__accessed_and_dirty_always)
{
	struct stand stand = stand_new(VMMU_HW_NPT, &chain4, &chain4);
	unsigned i;

	stand.host_upper = 7;
	for (i = 1; i <= 5; i++)
		host_set(&stand, i * 0x1000, (HOST + i * 0x1000) | 7);
	cr_assert_eq(go(&stand, VMMU_READ)->status, VMMU_HW_OK);
	for (i = 1; i <= 4; i++)
		cr_assert_eq(host_get(&stand, i * 0x1000) & 0x60, 0x60);
	cr_assert_eq(host_get(&stand, 0x5000) & 0x60, 0x20);
	cr_assert_eq(memory_read(stand.memory, ROOT, 8), (ROOT + 0x1000) | 0x27);
	memory_free(stand.memory);
}

Test(x86_walk, bus_without_swap__lists_updates_and_makes_none)
{
	struct stand stand = stand_new(VMMU_HW_NPT, &chain4, &chain4);
	struct vmmu_hw_bus bus = memory_bus(stand.memory);
	const struct vmmu_hw_ref *last;

	bus.swap = NULL;
	host_set(&stand, 0x5000, (HOST + 0x5000) | 7);
	stand.access.access = VMMU_WRITE;
	cr_assert_eq(vmmu_hw_translate(&stand.cpu, &bus, &stand.access, &stand.walk), 0);
	cr_assert_eq(stand.walk.status, VMMU_HW_OK);
	cr_assert_eq(stand.walk.ref_count, stand.walk.load_count + 1);
	last = &stand.walk.ref[stand.walk.ref_count - 1];
	cr_assert(last->is_update);
	cr_assert_eq(last->update, last->value | 0x60);
	cr_assert_eq(host_get(&stand, 0x5000), (HOST + 0x5000) | 7);
	memory_free(stand.memory);
}

Test(x86_walk, lost_races__walk_again_and_give_up_in_the_end)
{
	struct stand stand = stand_new(VMMU_HW_NPT, &chain4, &chain4);
	struct vmmu_hw_bus bus = memory_bus(stand.memory);

	host_set(&stand, 0x5000, (HOST + 0x5000) | 7);
	stand.memory->races = 3;
	cr_assert_eq(go(&stand, VMMU_WRITE)->status, VMMU_HW_OK);
	cr_assert_eq(stand.walk.restart_count, 3);
	cr_assert_eq(stand.walk.load_count, 24, "of the last try");
	host_set(&stand, 0x5000, (HOST + 0x5000) | 7);
	stand.memory->races = 1000;
	cr_assert_eq(vmmu_hw_translate(&stand.cpu, &bus, &stand.access, &stand.walk), -EAGAIN);
	cr_assert_eq(stand.memory->races, 1000 - VMMU_HW_RESTARTS_MAX);
	memory_free(stand.memory);
}

/* What the guest grants (user pages) against what the second stage grants. */
Test(x86_walk, rights_of_both_stages__and_together)
{
	static const uint64_t guest_bits[] = {0x67, 0x65, NX | 0x67, NX | 0x65};
	static const unsigned guest_rights[] = {7, 5, 3, 1};
	unsigned g, h, access;

	for (g = 0; g < 4; g++) {
		for (h = 1; h < 8; h++) {
			struct stand stand = stand_new(VMMU_HW_EPT, &chain4, &chain4);
			unsigned rights = guest_rights[g] & h;

			if (h == VMMU_WRITE || h == (VMMU_WRITE | VMMU_EXEC)) {
				memory_free(stand.memory);
				continue; /* misconfigurations */
			}
			guest_set(&stand, 3, 0x5000 | guest_bits[g]);
			host_set(&stand, 0x5000, (HOST + 0x5000) | 0x30 | h);
			stand.access.flags = VMMU_HW_USER;
			for (access = 1; access < 8; access <<= 1) {
				go(&stand, access);
				cr_assert_eq(stand.walk.status == VMMU_HW_OK, !!(rights & access),
					     "guest %u host %u access %u", guest_rights[g], h,
					     access);
				if (!(guest_rights[g] & access))
					cr_assert_eq(stand.walk.status, VMMU_HW_FAULT_GUEST);
				else if (!(h & access))
					cr_assert_eq(stand.walk.status, VMMU_HW_FAULT_HOST);
				if (stand.walk.status == VMMU_HW_OK)
					cr_assert_eq(stand.walk.combined.user_access, rights);
			}
			memory_free(stand.memory);
		}
	}
}

Test(x86_walk, page_sizes__combined_is_the_smaller)
{
	struct stand stand = stand_new(VMMU_HW_EPT, &chain4, &chain4);
	struct chain_entry place = host_place(&stand, 0x40000000 + 0x189abc);
	const struct vmmu_hw_walk *walk;

	guest_set(&stand, 2, 0x400000e7); /* 2M at 1G, over a 1G page at 5G */
	place.entry = 0x1400000b7;
	place.at = 1;
	memory_chain(stand.memory, &place);
	walk = go(&stand, VMMU_READ);
	cr_assert_eq(walk->status, VMMU_HW_OK);
	cr_assert_eq(walk->stage1.page_lg2, 21);
	cr_assert_eq(walk->stage2.page_lg2, 30);
	cr_assert_eq(walk->combined.page_lg2, 21);
	cr_assert_eq(walk->combined.level, 2);
	cr_assert_eq(walk->stage1.output, 0x40189abc);
	cr_assert_eq(walk->combined.output, 0x140189abc);
	cr_assert_eq(walk->combined.input, GVA);
	memory_free(stand.memory);
}

Test(x86_walk, mode_based_execute__fetch_asks_the_bit_of_the_guest_page)
{
	struct stand stand = stand_new(VMMU_HW_EPT, &chain4, &chain4);

	stand.cpu.u.x86.features |= VMMU_HW_EPT_MBE;
	stand.host_upper = 0x507;
	host_set(&stand, 0x5000, (HOST + 0x5000) | 0x433); /* user execute alone */
	/* Supervisor mode on a user page: it is the page that counts. */
	cr_assert_eq(go(&stand, VMMU_EXEC)->status, VMMU_HW_OK);
	cr_assert_eq(stand.walk.combined.kernel_access, 7);
	guest_set(&stand, 3, 0x5063);
	expect_exit(go(&stand, VMMU_EXEC), 0x1dc, 0x5abc);
	cr_assert_eq(go(&stand, VMMU_READ)->combined.kernel_access, 3);
	memory_free(stand.memory);
}

Test(x86_walk, gmet__supervisor_fetches_not_from_user_pages)
{
	struct stand stand = stand_new(VMMU_HW_NPT, &chain4, &chain4);

	stand.cpu.u.x86.features |= VMMU_HW_NPT_GMET;
	cr_assert_eq(go(&stand, VMMU_EXEC)->report.svm.info1, 0x100000015);
	stand.access.flags = VMMU_HW_USER;
	cr_assert_eq(go(&stand, VMMU_EXEC)->status, VMMU_HW_OK);
	host_set(&stand, 0x5000, (HOST + 0x5000) | 0x63);
	cr_assert_eq(go(&stand, VMMU_EXEC)->status, VMMU_HW_FAULT_HOST);
	stand.access.flags = 0;
	cr_assert_eq(go(&stand, VMMU_EXEC)->status, VMMU_HW_OK);
	cr_assert_eq(go(&stand, VMMU_READ)->status, VMMU_HW_FAULT_HOST);
	memory_free(stand.memory);
}
