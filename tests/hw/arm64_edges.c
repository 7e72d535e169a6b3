// SPDX-License-Identifier: MIT
/*
 * Arm: the corners. Address sizes and layouts, contiguous groups, device memory, privilege
 * controls, aborts.
 */
#include "hw/arm64_stand.h"

#include <criterion/criterion.h>
#include <errno.h>

/* A memory in which every descriptor of a walk is given by its number. */
struct script {
	uint64_t descriptor[5], hpa[5];
	unsigned loads;
};

static int script_load(void *ctx, uint64_t hpa, unsigned bytes, uint64_t *value)
{
	struct script *script = ctx;

	cr_assert_eq(bytes, 8);
	cr_assert_lt(script->loads, 5);
	script->hpa[script->loads] = hpa;
	*value = script->descriptor[script->loads++];
	return 0;
}

/* Stage 2 alone, of a CPU with every feature. */
static struct vmmu_hw_cpu big_cpu(uint64_t tg0, unsigned ia, uint64_t sl, unsigned ps)
{
	struct vmmu_hw_cpu cpu = {.arch = VMMU_HW_ARM64};
	struct vmmu_hw_arm64 *arm = &cpu.u.arm64;

	arm->features = VMMU_HW_ARM64_FEATURES;
	arm->pamax = 52;
	arm->hcr_el2 = 1;
	arm->vtcr_el2 = (64 - ia) | sl | tg0 << 14 | (uint64_t)ps << 16;
	return cpu;
}

static void run_script(const struct vmmu_hw_cpu *cpu, struct script *script, uint64_t ipa,
		       struct vmmu_hw_walk *walk)
{
	struct vmmu_hw_bus bus = {.ctx = script, .load = script_load};
	struct vmmu_hw_access access = {.access = VMMU_READ};
	struct vmmu_hw_gpa gpa = {.gpa = ipa};

	script->loads = 0;
	cr_assert_eq(vmmu_hw_translate_gpa(cpu, &bus, &access, &gpa, walk), 0);
}

Test(arm64_edges, fifty_two_bits_with_64k__high_address_in_bits_15_12_of_every_descriptor)
{
	struct vmmu_hw_cpu cpu = big_cpu(1, 46, 1 << 6, 6);
	struct script script = {.descriptor = {0x4000b003, 0x5000c7ff}};
	struct vmmu_hw_walk walk;

	cpu.u.arm64.vttbr_el2 = UINT64_C(0x30000000) | 0xa << 2;
	run_script(&cpu, &script, 0x12345678, &walk);
	cr_assert_eq(walk.status, VMMU_HW_OK);
	cr_assert_eq(script.hpa[0], UINT64_C(0xa000030000000));
	cr_assert_eq(script.hpa[1], UINT64_C(0xb000040000000) + 0x1234 * 8);
	cr_assert_eq(walk.stage2.output, UINT64_C(0xc000050005678));
	/* With a 48-bit output size those bits are too many; a 48-bit CPU has none of them. */
	cpu = big_cpu(1, 46, 1 << 6, 5);
	cpu.u.arm64.vttbr_el2 = UINT64_C(0x30000000);
	run_script(&cpu, &script, 0x12345678, &walk);
	cr_assert_eq(walk.report.arm64.esr, 0x92000002);
	cpu.u.arm64.pamax = 48;
	run_script(&cpu, &script, 0x12345678, &walk);
	cr_assert_eq(walk.status, VMMU_HW_OK);
	cr_assert_eq(walk.stage2.output, 0x50005678);
	/* Level-1 blocks of 4T: only with 52 bits. */
	cpu = big_cpu(1, 46, 2 << 6, 6);
	script.descriptor[0] = UINT64_C(0x40000000000) | 0x7fd | 3 << 12;
	run_script(&cpu, &script, 0x12345678, &walk);
	cr_assert_eq(walk.stage2.output, UINT64_C(0x3040012345678));
	cr_assert_eq(walk.stage2.page_lg2, 42);
	cpu.u.arm64.pamax = 48;
	run_script(&cpu, &script, 0x12345678, &walk);
	cr_assert_eq(walk.report.arm64.esr, 0x92000005);
}

Test(arm64_edges, lpa2__high_address_in_bits_9_8_and_49_48_of_every_descriptor)
{
	struct vmmu_hw_cpu cpu = big_cpu(0, 40, 1 << 6 | BIT(32), 6);
	struct script script = {.descriptor = {UINT64_C(0x1000040000203), UINT64_C(0x2000050000103),
					       UINT64_C(0x30000600004ff)}};
	struct vmmu_hw_walk walk;

	cpu.u.arm64.vttbr_el2 = UINT64_C(0x30000000) | 0xa << 2;
	run_script(&cpu, &script, 0x678, &walk);
	cr_assert_eq(walk.status, VMMU_HW_OK);
	cr_assert_eq(script.hpa[0], UINT64_C(0xa000030000000));
	cr_assert_eq(script.hpa[1], UINT64_C(0x9000040000000));
	cr_assert_eq(script.hpa[2], UINT64_C(0x6000050000000));
	cr_assert_eq(walk.stage2.output, UINT64_C(0x3000060000678));
	/* 16K: bits 13:12 are nobody's, and level 1 has blocks. */
	cpu = big_cpu(2, 40, 2 << 6 | BIT(32), 6);
	script.descriptor[0] = UINT64_C(0x2001000000000) | 0x3000 | 0x6fd;
	run_script(&cpu, &script, 0x345678, &walk);
	cr_assert_eq(walk.stage2.output, UINT64_C(0xa001000345678));
	cr_assert_eq(walk.stage2.page_lg2, 36);
	/* DS without the feature is nothing: bits 9:8 are shareability. */
	cpu = big_cpu(0, 40, 1 << 6 | BIT(32), 6);
	cpu.u.arm64.features &= ~(unsigned)VMMU_HW_ARM64_LPA2;
	script.descriptor[0] = 0x400007fd;
	run_script(&cpu, &script, 0x678, &walk);
	cr_assert_eq(walk.stage2.output, 0x40000678);
}

Test(arm64_edges, contiguous_bit__group_of_each_granule_and_level)
{
	static const struct {
		uint64_t tg0, sl;
		unsigned ia, loads, page_lg2, range_lg2; /* LOADS: tables above, then the leaf */
	} groups[] = {
		{0, 1 << 6, 40, 0, 30, 34}, {0, 1 << 6, 40, 1, 21, 25}, {0, 1 << 6, 40, 2, 12, 16},
		{2, 2 << 6, 40, 1, 25, 30}, {2, 2 << 6, 40, 2, 14, 21}, {1, 1 << 6, 40, 0, 29, 34},
		{1, 1 << 6, 40, 1, 16, 21}, {1, 2 << 6, 46, 0, 42, 42},
	};
	struct vmmu_hw_walk walk;
	unsigned i, n;

	for (i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
		struct vmmu_hw_cpu cpu = big_cpu(groups[i].tg0, groups[i].ia, groups[i].sl, 6);
		struct script script = {0};
		uint64_t ipa = BIT(groups[i].range_lg2) - 8;
		bool is_page = groups[i].page_lg2 < 20;

		for (n = 0; n < groups[i].loads; n++)
			script.descriptor[n] = 0x40000003;
		script.descriptor[n] = BIT(45) | BIT(52) | (is_page ? 0x7ff : 0x7fd);
		run_script(&cpu, &script, ipa, &walk);
		cr_assert_eq(walk.status, VMMU_HW_OK, "%u", i);
		cr_assert_eq(walk.stage2.page_lg2, groups[i].page_lg2, "%u", i);
		cr_assert_eq(walk.stage2.range_lg2, groups[i].range_lg2, "%u", i);
		cr_assert_eq(walk.stage2.output, BIT(45) | ipa, "%u", i);
	}
}

Test(arm64_edges, addresses_above_the_output_size__fault_at_the_level_that_holds_them)
{
	struct vmmu_hw_cpu cpu = big_cpu(0, 40, 1 << 6, 2); /* 40 bits */
	struct script script = {.descriptor = {0x40000003, BIT(40) | 0x7fd}};
	struct vmmu_hw_walk walk;

	run_script(&cpu, &script, 0, &walk);
	cr_assert_eq(walk.report.arm64.esr, 0x92000002);
	/* The access flag comes after. */
	script.descriptor[1] = BIT(40) | 0x3fd;
	run_script(&cpu, &script, 0, &walk);
	cr_assert_eq(walk.report.arm64.esr, 0x92000002);
	script.descriptor[0] = BIT(40) | 3;
	run_script(&cpu, &script, 0, &walk);
	cr_assert_eq(walk.report.arm64.esr, 0x92000001);
	cpu.u.arm64.vttbr_el2 = BIT(40);
	run_script(&cpu, &script, 0, &walk);
	cr_assert_eq(walk.report.arm64.esr, 0x92000000);
	cr_assert_eq(walk.load_count, 0);
	/* A page of type 01 is invalid before its address is looked at. */
	cpu.u.arm64.vttbr_el2 = 0;
	script = (struct script){.descriptor = {0x40000003, 0x40000003, BIT(40) | 0x7fd}};
	run_script(&cpu, &script, 0, &walk);
	cr_assert_eq(walk.report.arm64.esr, 0x92000007);
	/* Level -1 has its own code. */
	cpu = big_cpu(0, 52, BIT(33) | BIT(32), 5);
	script.descriptor[0] = 0x203;
	run_script(&cpu, &script, 0, &walk);
	cr_assert_eq(walk.report.arm64.esr, 0x92000029);
}

Test(arm64_edges, root_base__aligned_to_its_own_size)
{
	/* 16 concatenated tables: 64K. */
	struct vmmu_hw_cpu cpu = big_cpu(0, 43, 1 << 6, 5);
	struct script script = {0};
	struct vmmu_hw_walk walk;

	cpu.u.arm64.vttbr_el2 = 0x4001f000 | 1;
	run_script(&cpu, &script, 0, &walk);
	cr_assert_eq(script.hpa[0], 0x40010000);
	/* Two entries, 16 bytes; 64 where bits 5:2 are address bits. */
	cpu = big_cpu(0, 40, 2 << 6, 5);
	cpu.u.arm64.vttbr_el2 = 0x40000038;
	run_script(&cpu, &script, 0, &walk);
	cr_assert_eq(script.hpa[0], 0x40000030);
	cpu.u.arm64.vttbr_el2 = BIT(47) | BIT(46) | 0x10;
	run_script(&cpu, &script, 0, &walk);
	cr_assert_eq(script.hpa[0], BIT(47) | BIT(46) | 0x10);
	cpu = big_cpu(0, 49, BIT(33) | BIT(32), 6);
	cpu.u.arm64.vttbr_el2 = BIT(47) | 0x400000fc;
	run_script(&cpu, &script, 0, &walk);
	cr_assert_eq(script.hpa[0], UINT64_C(0xf000000000000) | BIT(47) | 0x400000c0);
}

Test(arm64_edges, output_size__the_smaller_of_ps_and_the_cpu)
{
	static const unsigned bits[] = {32, 36, 40, 42, 44};
	unsigned ps;
	struct vmmu_hw_cpu cpu = big_cpu(0, 40, 1 << 6, 6);
	struct script script = {.descriptor = {BIT(44) | 0x7fd}};
	struct vmmu_hw_walk walk;

	run_script(&cpu, &script, 0, &walk);
	cr_assert_eq(walk.stage2.output, BIT(44));
	cpu.u.arm64.pamax = 44;
	run_script(&cpu, &script, 0, &walk);
	cr_assert_eq(walk.report.arm64.esr, 0x92000001);
	for (ps = 0; ps < 5; ps++) {
		cpu = big_cpu(0, 40, 1 << 6, ps);
		script.descriptor[0] = BIT(bits[ps] - 1) | 0x7fd;
		run_script(&cpu, &script, 0, &walk);
		cr_assert_eq(walk.stage2.output, BIT(bits[ps] - 1));
		script.descriptor[0] = BIT(bits[ps]) | 0x7fd;
		run_script(&cpu, &script, 0, &walk);
		cr_assert_eq(walk.report.arm64.esr, 0x92000001, "PS %u", ps);
	}
	/* 48 bits of 52: bit 48 is one too many. */
	cpu = big_cpu(0, 40, 1 << 6 | BIT(32), 5);
	script.descriptor[0] = BIT(47) | 0x4fd;
	run_script(&cpu, &script, 0, &walk);
	cr_assert_eq(walk.stage2.output, BIT(47));
	script.descriptor[0] = BIT(48) | 0x4fd;
	run_script(&cpu, &script, 0, &walk);
	cr_assert_eq(walk.report.arm64.esr, 0x92000001);
}

Test(arm64_edges, aborts_of_the_bus__by_stage_and_level)
{
	struct stand stand = stand_new(39, 39);

	stand.memory->end = HOST + 0x2000; /* stage-1 level 2 */
	expect_esr(go(&stand, VMMU_READ), 1, 0x92000016);
	cr_assert_eq(stand.walk.report.arm64.far, GVA);
	stand.memory->end = ROOT + 0x1000; /* stage-2 level 2, while reading stage 1 */
	expect_esr(go(&stand, VMMU_READ), 2, 0x92000096);
	stand.memory->end = ROOT;
	stand.access.flags = 0;
	stand.cpu.u.arm64.sctlr_el1 = 0;
	expect_esr(go(&stand, VMMU_EXEC), 2, 0x82000015);
	memory_free(stand.memory);
}

Test(arm64_edges, table_memory_that_refuses_updates__abort_on_the_walk)
{
	struct stand stand = stand_new(39, 39);

	stand.cpu.u.arm64.vtcr_el2 |= BIT(21);
	stand.cpu.u.arm64.tcr_el1 |= BIT(39);
	host_set(&stand, 0x4000, (HOST + 0x4000) | 0x3ff);
	stand.memory->read_only = ROOT + 0x2000;
	expect_esr(go(&stand, VMMU_READ), 2, 0x92000017);
	cr_assert_not(stand.walk.report.arm64.hpfar_valid);
	guest_set(&stand, 2, 0x4000 | 0x343);
	stand.memory->read_only = HOST + 0x3000;
	expect_esr(go(&stand, VMMU_READ), 1, 0x92000017);
	memory_free(stand.memory);
}

Test(arm64_edges, granule_of_the_upper_half__has_its_own_encoding)
{
	/* TG1: 01 16K, 10 4K, 11 64K; a 36-bit input takes two or three levels. */
	static const struct {
		uint64_t tg1;
		unsigned loads;
	} granules[] = {{1, 2}, {2, 3}, {3, 2}};
	struct script script = {0};
	struct vmmu_hw_walk walk;
	unsigned i, n;

	for (i = 0; i < 3; i++) {
		struct vmmu_hw_cpu cpu = big_cpu(0, 40, 1 << 6, 5);
		struct vmmu_hw_bus bus = {.ctx = &script, .load = script_load};
		struct vmmu_hw_access access = {.gva = UINT64_C(0xffffffffffffffff)};
		unsigned shift = granules[i].tg1 == 1 ? 14 : granules[i].tg1 == 2 ? 12 : 16;

		access.access = VMMU_READ;
		cpu.u.arm64.hcr_el2 = 0;
		cpu.u.arm64.sctlr_el1 = 1;
		cpu.u.arm64.tcr_el1 = 28 << 16 | granules[i].tg1 << 30 | UINT64_C(5) << 32;
		cpu.u.arm64.mair_el1 = ~UINT64_C(0);
		for (n = 0; n < granules[i].loads; n++)
			script.descriptor[n] = 0x40000003;
		script.descriptor[n - 1] = 0x40000703;
		script.loads = 0;
		cr_assert_eq(vmmu_hw_translate(&cpu, &bus, &access, &walk), 0);
		cr_assert_eq(walk.status, VMMU_HW_OK);
		cr_assert_eq(walk.load_count, granules[i].loads);
		cr_assert_eq(walk.stage1.page_lg2, shift);
		cr_assert_eq(walk.stage1.output, 0x40000000 | (BIT(shift) - 1));
	}
}

Test(arm64_edges, device_memory__refuses_unaligned_data_before_rights)
{
	struct stand stand = stand_new(39, 39);

	stand.access.bytes = 16;
	cr_assert_eq(go(&stand, VMMU_READ)->status, VMMU_HW_OK, "unaligned to normal memory");
	host_set(&stand, 0x4000, (HOST + 0x4000) | 0x7c3); /* Device */
	stand.access.bytes = 8;
	cr_assert_eq(go(&stand, VMMU_WRITE)->status, VMMU_HW_OK, "aligned to device memory");
	stand.access.bytes = 16;
	host_set(&stand, 0x4000, (HOST + 0x4000) | 0x703); /* Device, no rights */
	expect_esr(go(&stand, VMMU_WRITE), 2, 0x92000061);
	stand.access.bytes = 8;
	expect_esr(go(&stand, VMMU_WRITE), 2, 0x9200004f);
	/* With FWB bit 4 tells: 0101 is Normal, 0001 Device. */
	stand.access.bytes = 16;
	stand.cpu.u.arm64.hcr_el2 |= BIT(46);
	host_set(&stand, 0x4000, (HOST + 0x4000) | 0x7d7);
	cr_assert_eq(go(&stand, VMMU_READ)->status, VMMU_HW_OK);
	host_set(&stand, 0x4000, (HOST + 0x4000) | 0x7c7);
	expect_esr(go(&stand, VMMU_READ), 2, 0x92000021);
	/* 1000 is Normal without FWB and Device with it. */
	host_set(&stand, 0x4000, (HOST + 0x4000) | 0x7e3);
	expect_esr(go(&stand, VMMU_READ), 2, 0x92000021);
	stand.cpu.u.arm64.hcr_el2 = 1;
	cr_assert_eq(go(&stand, VMMU_READ)->status, VMMU_HW_OK);
	/* Stage 1 by MAIR: attribute 1 is Device here. */
	guest_set(&stand, 2, 0x4000 | S1_RW | 1 << 2);
	expect_esr(go(&stand, VMMU_READ), 1, 0x92000021);
	memory_free(stand.memory);
}

Test(arm64_edges, tables_in_device_memory__refused_by_ptw_alone)
{
	struct stand stand = stand_new(39, 39);

	stand.cpu.u.arm64.hcr_el2 |= 1 << 2;
	cr_assert_eq(go(&stand, VMMU_READ)->status, VMMU_HW_OK, "tables in normal memory");
	host_set(&stand, 0x4000, (HOST + 0x4000) | 0x7c3);
	cr_assert_eq(go(&stand, VMMU_READ)->status, VMMU_HW_OK, "the page itself may be device");
	host_set(&stand, 0x3000, (HOST + 0x3000) | 0x7c3);
	expect_hpfar(go(&stand, VMMU_READ), 0x9200008f, 0x30);
	stand.cpu.u.arm64.hcr_el2 &= ~UINT64_C(4);
	cr_assert_eq(go(&stand, VMMU_READ)->status, VMMU_HW_OK);
	memory_free(stand.memory);
}

Test(arm64_edges, cache_maintenance__writes_by_name_and_dirties_nothing)
{
	struct stand stand = stand_new(39, 39);

	stand.access.flags |= VMMU_HW_CACHE_OP;
	stand.cpu.u.arm64.vtcr_el2 |= BIT(21) | BIT(22);
	host_set(&stand, 0x4000, (HOST + 0x4000) | 0x77f | DBM);
	cr_assert_eq(go(&stand, VMMU_WRITE)->status, VMMU_HW_OK);
	cr_assert_eq(host_get(&stand, 0x4000), (HOST + 0x4000) | 0x77f | DBM);
	host_set(&stand, 0x4000, 0);
	expect_hpfar(go(&stand, VMMU_READ), 0x92000147, 0x40);
	cr_assert_eq(stand.walk.stage1.input, GVA);
	host_set(&stand, 0x3000, 0);
	expect_hpfar(go(&stand, VMMU_READ), 0x920001c7, 0x30);
	cr_assert_eq(stand.walk.stage1.input, GVA);
	host_set(&stand, 0x3000, (HOST + 0x3000) | S2_ALL);
	/* No access-flag fault. */
	stand.cpu.u.arm64.vtcr_el2 &= ~(BIT(21) | BIT(22));
	host_set(&stand, 0x4000, (HOST + 0x4000) | 0x3ff);
	cr_assert_eq(go(&stand, VMMU_READ)->status, VMMU_HW_OK);
	memory_free(stand.memory);
}

Test(arm64_edges, halves_of_the_address_space__their_own_controls)
{
	struct stand stand = stand_new(39, 39);
	uint64_t tcr = stand.cpu.u.arm64.tcr_el1;

	stand.access.gva = GVA | BIT(39);
	expect_esr(go(&stand, VMMU_READ), 1, 0x92000004);
	stand.access.gva = GVA | UINT64_C(0x5a) << 56;
	expect_esr(go(&stand, VMMU_READ), 1, 0x92000004);
	stand.cpu.u.arm64.tcr_el1 |= BIT(37); /* TBI0 */
	cr_assert_eq(go(&stand, VMMU_READ)->status, VMMU_HW_OK);
	cr_assert_eq(go(&stand, VMMU_EXEC)->status, VMMU_HW_OK);
	stand.cpu.u.arm64.tcr_el1 |= BIT(51); /* TBID0: not for fetches */
	expect_esr(go(&stand, VMMU_EXEC), 1, 0x82000004);
	stand.access.gva = GVA;
	stand.cpu.u.arm64.tcr_el1 = tcr | BIT(55); /* E0PD0 */
	expect_esr(go(&stand, VMMU_READ), 1, 0x92000004);
	stand.access.flags = 0;
	cr_assert_eq(go(&stand, VMMU_READ)->status, VMMU_HW_OK);
	stand.cpu.u.arm64.tcr_el1 = tcr | BIT(7); /* EPD0 */
	expect_esr(go(&stand, VMMU_READ), 1, 0x96000004);
	memory_free(stand.memory);
}

Test(arm64_edges, table_attributes__limit_what_is_below_unless_hpd)
{
	struct stand stand = stand_new(39, 39);

	guest_set(&stand, 1, 0x3003 | BIT(62)); /* APTable[1] */
	expect_esr(go(&stand, VMMU_WRITE), 1, 0x9200004f);
	guest_set(&stand, 1, 0x3003 | BIT(61)); /* APTable[0] */
	expect_esr(go(&stand, VMMU_READ), 1, 0x9200000f);
	guest_set(&stand, 1, 0x3003 | BIT(60)); /* UXNTable */
	expect_esr(go(&stand, VMMU_EXEC), 1, 0x8200000f);
	guest_set(&stand, 0, 0x2003 | BIT(59)); /* PXNTable */
	guest_set(&stand, 2, 0x4000 | 0x703);
	stand.access.flags = 0;
	expect_esr(go(&stand, VMMU_EXEC), 1, 0x8600000f);
	guest_set(&stand, 1, 0x3003 | BIT(62) | BIT(61) | BIT(60));
	stand.cpu.u.arm64.tcr_el1 |= BIT(41); /* HPD0 */
	cr_assert_eq(go(&stand, VMMU_EXEC)->status, VMMU_HW_OK);
	cr_assert_eq(go(&stand, VMMU_WRITE)->status, VMMU_HW_OK);
	memory_free(stand.memory);
}

Test(arm64_edges, privilege_controls__pan_epan_wxn)
{
	struct stand stand = stand_new(39, 39);
	struct vmmu_hw_arm64 *arm = &stand.cpu.u.arm64;

	stand.access.flags = 0;
	arm->pan = true;
	expect_esr(go(&stand, VMMU_READ), 1, 0x9600000f);
	guest_set(&stand, 2, 0x4000 | 0x703); /* EL0 may execute it and nothing more */
	cr_assert_eq(go(&stand, VMMU_READ)->status, VMMU_HW_OK);
	arm->sctlr_el1 |= BIT(57); /* EPAN */
	expect_esr(go(&stand, VMMU_READ), 1, 0x9600000f);
	guest_set(&stand, 2, 0x4000 | 0x703 | BIT(54)); /* UXN */
	cr_assert_eq(go(&stand, VMMU_READ)->status, VMMU_HW_OK);
	cr_assert_eq(go(&stand, VMMU_EXEC)->status, VMMU_HW_OK, "data only");
	arm->sctlr_el1 |= BIT(19); /* WXN */
	expect_esr(go(&stand, VMMU_EXEC), 1, 0x8600000f);
	guest_set(&stand, 2, 0x4000 | 0x783);
	cr_assert_eq(go(&stand, VMMU_EXEC)->status, VMMU_HW_OK);
	stand.access.flags = VMMU_HW_USER;
	guest_set(&stand, 2, 0x4000 | S1_RW);
	expect_esr(go(&stand, VMMU_EXEC), 1, 0x8200000f);
	memory_free(stand.memory);
}

Test(arm64_edges, block_with_nt__faults_by_bbm_level)
{
	struct vmmu_hw_cpu cpu = big_cpu(0, 40, 1 << 6, 5);
	struct script script = {.descriptor = {0x400007fd | BIT(16)}};
	struct vmmu_hw_walk walk;
	unsigned level;

	for (level = 0; level < 3; level++) {
		cpu.u.arm64.bbm_level = (uint8_t)level;
		run_script(&cpu, &script, 0, &walk);
		cr_assert_eq(walk.status == VMMU_HW_OK, level == 0);
	}
	cr_assert_eq(walk.report.arm64.esr, 0x92000005);
}

Test(arm64_edges, registers_that_cannot_be__einval)
{
	struct stand stand = stand_new(39, 39);
	struct vmmu_hw_bus bus = memory_bus(stand.memory);
	struct vmmu_hw_cpu cpu = stand.cpu;

	cpu.u.arm64.pamax = 47;
	cr_assert_eq(vmmu_hw_translate(&cpu, &bus, &stand.access, &stand.walk), -EINVAL);
	cpu = stand.cpu;
	cpu.u.arm64.bbm_level = 3;
	cr_assert_eq(vmmu_hw_translate(&cpu, &bus, &stand.access, &stand.walk), -EINVAL);
	cpu = stand.cpu;
	cpu.u.arm64.features = VMMU_HW_ARM64_FEATURES + 1;
	cr_assert_eq(vmmu_hw_translate(&cpu, &bus, &stand.access, &stand.walk), -EINVAL);
	memory_free(stand.memory);
}
