// SPDX-License-Identifier: MIT
/* Arm accesses through both stages: references, faults on the way, access flag and dirty state,
 * combined rights. */
#include "hw/arm64_stand.h"

#include <criterion/criterion.h>

#define TCR_HA  BIT(39)
#define TCR_HD  BIT(40)
#define VTCR_HA BIT(21)
#define VTCR_HD BIT(22)

static void expect_loads(unsigned guest_bits, unsigned host_bits, unsigned loads)
{
	struct stand stand = stand_new(guest_bits, host_bits);
	const struct vmmu_hw_walk *walk = go(&stand, VMMU_WRITE);

	cr_assert_eq(walk->status, VMMU_HW_OK, "%#lx", (unsigned long)walk->report.arm64.esr);
	cr_assert_eq(walk->load_count, loads);
	cr_assert_eq(stand.memory->load_count, loads, "what the bus saw");
	cr_assert_eq(walk->ref_count, loads);
	cr_assert_eq(walk->table_count, stand.guest.count);
	cr_assert_eq(walk->combined.output, HOST + 0x1000 * (stand.guest.count + 1) + 0x678);
	memory_free(stand.memory);
}

Test(arm64_walk, two_dimensions__as_many_references_as_levels_say)
{
	expect_loads(39, 39, 15);
	expect_loads(48, 48, 24);
	expect_loads(52, 52, 35);
	expect_loads(39, 48, 19);
}

/* The example of the sheet: EL0 store, stage 1 of 39 bits. */
Test(arm64_walk, two_dimensions__example_with_its_registers)
{
	static const uint64_t ipas[] = {0x1000, 0x2488, 0x3a28, 0x4678};
	struct stand stand = stand_new(39, 39);
	const struct vmmu_hw_walk *walk = go(&stand, VMMU_WRITE);
	unsigned step;

	for (step = 0; step < 4; step++) {
		cr_assert_eq(walk->ref[4 * step].input, ipas[step]);
		cr_assert_eq(walk->ref[4 * step].stage, 2);
		if (step == 3)
			break;
		cr_assert_eq(walk->ref[4 * step + 3].stage, 1);
		cr_assert_eq(walk->ref[4 * step + 3].gpa, ipas[step]);
	}
	host_set(&stand, 0x2000, 0);
	expect_hpfar(go(&stand, VMMU_WRITE), 0x920000c7, 0x20);
	cr_assert_eq(stand.walk.report.arm64.far, GVA);
	host_set(&stand, 0x2000, (HOST + 0x2000) | S2_ALL);
	host_set(&stand, 0x4000, (HOST + 0x4000) | 0x77f);
	expect_esr(go(&stand, VMMU_WRITE), 2, 0x9200004f);
	cr_assert_not(stand.walk.report.arm64.hpfar_valid);
	memory_free(stand.memory);
}

Test(arm64_walk, stage1_denial__before_the_absent_page)
{
	struct stand stand = stand_new(39, 39);

	host_set(&stand, 0x4000, 0);
	guest_set(&stand, 2, 0x4000 | 0x7c3);
	expect_esr(go(&stand, VMMU_WRITE), 1, 0x9200004f);
	expect_hpfar(go(&stand, VMMU_READ), 0x92000007, 0x40);
	memory_free(stand.memory);
}

Test(arm64_walk, stage1_access_flag__hardware_needs_write_at_stage2)
{
	struct stand stand = stand_new(39, 39);

	guest_set(&stand, 2, 0x4000 | 0x343);
	expect_esr(go(&stand, VMMU_READ), 1, 0x9200000b);
	stand.cpu.u.arm64.tcr_el1 |= TCR_HA;
	host_set(&stand, 0x3000, (HOST + 0x3000) | 0x77f);
	expect_hpfar(go(&stand, VMMU_READ), 0x9200008f, 0x30);
	cr_assert_eq(guest_get(&stand, 2), 0x4000 | 0x343);
	/* Dirty-managed at stage 2: the update makes the table's page dirty. */
	stand.cpu.u.arm64.vtcr_el2 |= VTCR_HA | VTCR_HD;
	host_set(&stand, 0x3000, (HOST + 0x3000) | 0x77f | DBM);
	cr_assert_eq(go(&stand, VMMU_READ)->status, VMMU_HW_OK);
	cr_assert_eq(guest_get(&stand, 2), 0x4000 | 0x743);
	cr_assert_eq(host_get(&stand, 0x3000), (HOST + 0x3000) | 0x7ff | DBM);
	memory_free(stand.memory);
}

Test(arm64_walk, stage1_update__precedes_the_final_translation)
{
	struct stand stand = stand_new(39, 39);

	stand.cpu.u.arm64.tcr_el1 |= TCR_HA | TCR_HD;
	guest_set(&stand, 2, 0x4000 | 0x3c3 | DBM);
	host_set(&stand, 0x4000, 0);
	expect_hpfar(go(&stand, VMMU_WRITE), 0x92000047, 0x40);
	cr_assert_eq(guest_get(&stand, 2), 0x4000 | 0x743 | DBM);
	memory_free(stand.memory);
}

Test(arm64_walk, permission_fault__sets_no_access_flag)
{
	struct stand stand = stand_new(39, 39);

	stand.cpu.u.arm64.tcr_el1 |= TCR_HA;
	stand.cpu.u.arm64.vtcr_el2 |= VTCR_HA;
	guest_set(&stand, 2, 0x4000 | 0x3c3);
	expect_esr(go(&stand, VMMU_WRITE), 1, 0x9200004f);
	cr_assert_eq(guest_get(&stand, 2), 0x4000 | 0x3c3);
	guest_set(&stand, 2, 0x4000 | S1_RW);
	host_set(&stand, 0x4000, (HOST + 0x4000) | 0x37f);
	expect_esr(go(&stand, VMMU_WRITE), 2, 0x9200004f);
	cr_assert_eq(host_get(&stand, 0x4000), (HOST + 0x4000) | 0x37f);
	memory_free(stand.memory);
}

Test(arm64_walk, dirty_state_at_stage2__none_becomes_write_only_and_read_only_becomes_all)
{
	struct stand stand = stand_new(39, 39);

	stand.cpu.u.arm64.vtcr_el2 |= VTCR_HA | VTCR_HD;
	host_set(&stand, 0x4000, (HOST + 0x4000) | 0x73f | DBM);
	cr_assert_eq(go(&stand, VMMU_WRITE)->status, VMMU_HW_OK);
	cr_assert_eq(host_get(&stand, 0x4000), (HOST + 0x4000) | 0x7bf | DBM);
	host_set(&stand, 0x4000, (HOST + 0x4000) | 0x77f | DBM);
	cr_assert_eq(go(&stand, VMMU_READ)->combined.dirty, false);
	cr_assert_eq(stand.walk.combined.user_access & VMMU_WRITE, VMMU_WRITE);
	cr_assert_eq(go(&stand, VMMU_WRITE)->combined.dirty, true);
	cr_assert_eq(host_get(&stand, 0x4000), (HOST + 0x4000) | 0x7ff | DBM);
	/* Without FEAT_HAFDBS the controls do nothing. */
	stand.cpu.u.arm64.features &= ~(unsigned)VMMU_HW_ARM64_HAFDBS;
	host_set(&stand, 0x4000, (HOST + 0x4000) | 0x37f | DBM);
	expect_hpfar(go(&stand, VMMU_READ), 0x9200000b, 0x40);
	memory_free(stand.memory);
}

/* Stage-1 AP against S2AP for EL0 and EL1, data and fetch. */
Test(arm64_walk, rights_of_both_stages__and_together)
{
	/* AP[2:1]: EL1 alone, both, EL1 read-only, both read-only; EL1 never executes what EL0
	 * writes. */
	static const unsigned s1[4][2] = {{7, 4}, {3, 7}, {5, 4}, {5, 5}};
	unsigned ap, s2ap, user, access;

	for (ap = 0; ap < 4; ap++) {
		for (s2ap = 0; s2ap < 4; s2ap++) {
			struct stand stand = stand_new(39, 39);

			guest_set(&stand, 2, 0x4000 | 0x703 | ap << 6);
			host_set(&stand, 0x4000, (HOST + 0x4000) | 0x73f | s2ap << 6);
			for (access = 1; access < 8; access <<= 1) {
				for (user = 0; user < 2; user++) {
					unsigned first = s1[ap][user], second = s2ap | 4;

					stand.access.flags = user ? VMMU_HW_USER : 0;
					go(&stand, access);
					cr_assert_eq(stand.walk.status == VMMU_HW_OK,
						     !!(first & second & access),
						     "AP %u S2AP %u access %u user %u", ap, s2ap,
						     access, user);
					if (!(first & access))
						cr_assert_eq(stand.walk.status,
							     VMMU_HW_FAULT_GUEST);
					if (stand.walk.status != VMMU_HW_OK)
						continue;
					cr_assert_eq(stand.walk.combined.user_access,
						     s1[ap][1] & second);
					cr_assert_eq(stand.walk.combined.kernel_access,
						     s1[ap][0] & second);
				}
			}
			memory_free(stand.memory);
		}
	}
}

Test(arm64_walk, instruction_syndrome__on_plain_stage2_data_aborts_alone)
{
	struct stand stand = stand_new(39, 39);

	/* STR W3: ISV, SAS 2, SRT 3. */
	stand.access.syndrome = (uint32_t)(BIT(24) | 2 << 22 | 3 << 16);
	host_set(&stand, 0x4000, 0);
	expect_hpfar(go(&stand, VMMU_WRITE), 0x93830047, 0x40);
	expect_hpfar(go(&stand, VMMU_EXEC), 0x82000007, 0x40);
	host_set(&stand, 0x3000, 0);
	expect_hpfar(go(&stand, VMMU_WRITE), 0x920000c7, 0x30);
	guest_set(&stand, 0, 0);
	expect_esr(go(&stand, VMMU_WRITE), 1, 0x92000045);
	memory_free(stand.memory);
}

Test(arm64_walk, atomics__say_write_only_if_a_read_would_go_through)
{
	struct stand stand = stand_new(39, 39);
	unsigned atomic = VMMU_READ | VMMU_WRITE;

	host_set(&stand, 0x4000, (HOST + 0x4000) | 0x77f);
	expect_esr(go(&stand, atomic), 2, 0x9200004f);
	host_set(&stand, 0x4000, (HOST + 0x4000) | 0x7bf); /* write-only */
	expect_esr(go(&stand, atomic), 2, 0x9200000f);
	host_set(&stand, 0x4000, 0);
	expect_hpfar(go(&stand, atomic), 0x92000007, 0x40);
	memory_free(stand.memory);
}

Test(arm64_walk, stage1_off__address_is_the_intermediate_one)
{
	struct stand stand = stand_new(39, 39);

	stand.cpu.u.arm64.sctlr_el1 = 0;
	stand.access.gva = 0x4abc;
	cr_assert_eq(go(&stand, VMMU_READ)->combined.output, HOST + 0x4abc);
	cr_assert_eq(stand.walk.load_count, 3);
	stand.access.gva = BIT(39);
	expect_hpfar(go(&stand, VMMU_READ), 0x92000004, BIT(39) >> 8);
	stand.access.gva = BIT(48); /* more than the CPU has */
	expect_esr(go(&stand, VMMU_READ), 1, 0x92000000);
	/* A tag is ignored, and still the address that was used. */
	stand.cpu.u.arm64.tcr_el1 |= BIT(37);
	stand.access.gva = UINT64_C(0x5a) << 56 | 0x4abc;
	cr_assert_eq(go(&stand, VMMU_READ)->combined.output, HOST + 0x4abc);
	cr_assert_eq(stand.walk.combined.input, stand.access.gva);
	/* HCR_EL2.DC: stage 1 off and stage 2 on, whatever SCTLR and VM say. */
	stand.cpu.u.arm64.sctlr_el1 = 1;
	stand.cpu.u.arm64.hcr_el2 = 1 << 12;
	stand.access.gva = 0x4abc;
	cr_assert_eq(go(&stand, VMMU_READ)->combined.output, HOST + 0x4abc);
	memory_free(stand.memory);
}

Test(arm64_walk, stage2_off__stage1_alone)
{
	struct stand stand = stand_new(39, 39);

	stand.cpu.u.arm64.hcr_el2 = 0;
	stand.cpu.u.arm64.ttbr0_el1 = HOST + 0x1000;
	guest_set(&stand, 0, (HOST + 0x2000) | 3);
	guest_set(&stand, 1, (HOST + 0x3000) | 3);
	cr_assert_eq(go(&stand, VMMU_READ)->combined.output, 0x4678);
	cr_assert_eq(stand.walk.load_count, 3);
	cr_assert_eq(stand.walk.stage2.level, 0);
	memory_free(stand.memory);
}

Test(arm64_walk, leaf_attributes__reach_the_mapping)
{
	struct stand stand = stand_new(39, 39);
	const struct vmmu_hw_walk *walk;

	stand.cpu.u.arm64.mair_el1 = UINT64_C(0x00000000ff000000); /* attribute 3 alone is Normal */
	guest_set(&stand, 2, 0x4000 | S1_RW | 3 << 2);
	host_set(&stand, 0x4000, (HOST + 0x4000) | 0x7d7);
	stand.access.bytes = 16;
	walk = go(&stand, VMMU_READ);
	cr_assert_eq(walk->status, VMMU_HW_OK);
	cr_assert_eq(walk->stage1.memtype, 3);
	cr_assert_eq(walk->stage2.memtype, 5);
	cr_assert(walk->combined.global);
	cr_assert_eq(walk->stage1.level, 1);
	cr_assert_eq(walk->combined.page_lg2, 12);
	cr_assert_eq(walk->ref[0].level, 3);
	cr_assert_eq(walk->ref[2].level, 1);
	guest_set(&stand, 2, 0x4000 | S1_RW | 3 << 2 | BIT(11));
	cr_assert_not(go(&stand, VMMU_READ)->combined.global);
	/* A 2M block over pages. */
	guest_set(&stand, 1, 0x000741 | 3 << 2);
	host_set(&stand, 0x145000, (HOST + 0x7000) | S2_ALL);
	walk = go(&stand, VMMU_READ);
	cr_assert_eq(walk->stage1.page_lg2, 21);
	cr_assert_eq(walk->stage1.level, 2);
	cr_assert_eq(walk->combined.output, HOST + 0x7678);
	cr_assert_eq(walk->combined.level, 1);
	memory_free(stand.memory);
}
