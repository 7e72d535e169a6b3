// SPDX-License-Identifier: MIT
/*
 * x86: the corners. Register states, linear addresses, shadow stacks, memory that does not answer,
 * bad requests.
 */
#include "hw/x86_stand.h"

#include <criterion/criterion.h>
#include <errno.h>

Test(x86_edges, npt_input_beyond_the_tables__not_present)
{
	struct stand stand = stand_new(VMMU_HW_NPT, &chain4, &chain4);
	struct vmmu_hw_bus bus = memory_bus(stand.memory);
	struct vmmu_hw_gpa gpa = {.gpa = UINT64_C(1) << 48};

	cr_assert_eq(vmmu_hw_translate_gpa(&stand.cpu, &bus, &stand.access, &gpa, &stand.walk), 0);
	cr_assert_eq(stand.walk.report.svm.info1, 0x100000004);
	cr_assert_eq(stand.walk.fault.cause, VMMU_HW_INPUT_SIZE);
	cr_assert_eq(stand.walk.load_count, 0);
	memory_free(stand.memory);
}

Test(x86_edges, pae_top_entries__loaded_through_ept_as_reads_without_linear_address)
{
	struct stand stand = stand_new(VMMU_HW_EPT, &chain_pae, &chain4);
	struct vmmu_hw_bus bus = memory_bus(stand.memory);

	stand.cpu.u.x86.eptp |= AD_ON;
	host_set(&stand, 0x1000, (HOST + 0x1000) | 0x31);
	/* Reads, even with accessed and dirty bits: a read-only page will do and stays clean. */
	cr_assert_eq(vmmu_hw_pdptes_load(&stand.cpu, &bus, &stand.walk), 0);
	cr_assert_eq(stand.walk.status, VMMU_HW_OK);
	cr_assert_eq(stand.cpu.u.x86.pdpte[1], 0x2001);
	cr_assert_eq(host_get(&stand, 0x1000), (HOST + 0x1000) | 0x131);
	/* A walk reads two levels, for three translations. */
	cr_assert_eq(go(&stand, VMMU_READ)->load_count, 3 * 4 + 2);
	host_set(&stand, 0x1000, 0);
	cr_assert_eq(vmmu_hw_pdptes_load(&stand.cpu, &bus, &stand.walk), 0);
	cr_assert_eq(stand.walk.report.vmx.qualification, 1);
	cr_assert_not(stand.walk.report.vmx.gla_valid);
	cr_assert_eq(stand.walk.report.vmx.gla, 0);
	cr_assert_eq(stand.walk.report.vmx.gpa, 0x1000);
	memory_free(stand.memory);
}

Test(x86_edges, pae_top_entries__each_reserved_bit_refused_on_load)
{
	struct stand stand = stand_new(VMMU_HW_X86, &chain_pae, &chain4);
	struct vmmu_hw_bus bus = memory_bus(stand.memory);
	uint64_t reserved = UINT64_C(0xffffc000000001e6), kept[4] = {1, 2, 3, 4};
	unsigned bit, i;

	stand.cpu.u.x86.cr3 = HOST + 0x1020;
	for (bit = 1; bit < 64; bit++) {
		uint64_t entry = UINT64_C(1) << bit;

		for (i = 0; i < 4; i++)
			stand.cpu.u.x86.pdpte[i] = kept[i];
		/* Absent: anything goes. */
		memory_write(stand.memory, HOST + 0x1038, 8, entry);
		cr_assert_eq(vmmu_hw_pdptes_load(&stand.cpu, &bus, &stand.walk), 0);
		cr_assert_eq(stand.walk.status, VMMU_HW_OK);
		cr_assert_eq(stand.cpu.u.x86.pdpte[3], entry);
		stand.cpu.u.x86.pdpte[3] = kept[3];
		memory_write(stand.memory, HOST + 0x1038, 8, entry | 1);
		cr_assert_eq(vmmu_hw_pdptes_load(&stand.cpu, &bus, &stand.walk), 0);
		cr_assert_eq(stand.walk.status == VMMU_HW_OK, !(reserved & entry), "bit %u", bit);
		if (stand.walk.status == VMMU_HW_OK)
			continue;
		cr_assert_eq(stand.walk.report.exception.vector, 13);
		cr_assert_eq(stand.walk.fault.gpa, HOST + 0x1038);
		cr_assert_eq(stand.walk.fault.entry, entry | 1);
		cr_assert_eq(stand.cpu.u.x86.pdpte[3], kept[3], "registers are left alone");
	}
	/* Above 2G, and in a guest whose pages are off. */
	stand.cpu.u.x86.cr3 = UINT64_C(0xc0000fe0);
	memory_write(stand.memory, UINT64_C(0xc0000fe0), 8, 0x7001);
	cr_assert_eq(vmmu_hw_pdptes_load(&stand.cpu, &bus, &stand.walk), 0);
	cr_assert_eq(stand.cpu.u.x86.pdpte[0], 0x7001);
	stand.cpu.u.x86.cr0 = 0;
	cr_assert_eq(vmmu_hw_pdptes_load(&stand.cpu, &bus, &stand.walk), -EINVAL);
	memory_free(stand.memory);
}

Test(x86_edges, accumulated_user_bit__is_what_smep_and_smap_see)
{
	struct stand stand = stand_new(VMMU_HW_X86, &chain4, &chain4);

	stand.cpu.u.x86.cr4 |= 1 << 20 | 1 << 21;
	stand.cpu.u.x86.cr3 = HOST + 0x1000;
	guest_set(&stand, 0, (HOST + 0x2000) | 0x23); /* U clear at the top */
	guest_set(&stand, 1, (HOST + 0x3000) | 0x27);
	guest_set(&stand, 2, (HOST + 0x4000) | 0x27);
	cr_assert_eq(go(&stand, VMMU_READ)->status, VMMU_HW_OK);
	cr_assert_eq(go(&stand, VMMU_EXEC)->status, VMMU_HW_OK);
	guest_set(&stand, 0, (HOST + 0x2000) | 0x27);
	cr_assert_eq(go(&stand, VMMU_READ)->report.exception.error_code, 1);
	cr_assert_eq(go(&stand, VMMU_EXEC)->report.exception.error_code, 0x11);
	/* AC lets data through, but not for implicit accesses. */
	stand.cpu.u.x86.rflags = 1 << 18;
	cr_assert_eq(go(&stand, VMMU_READ)->status, VMMU_HW_OK);
	stand.access.flags = VMMU_HW_IMPLICIT | VMMU_HW_USER;
	cr_assert_eq(go(&stand, VMMU_READ)->report.exception.error_code, 1);
	memory_free(stand.memory);
}

Test(x86_edges, linear_address_masking__tags_do_not_reach_the_tables)
{
	struct stand stand = stand_new(VMMU_HW_EPT, &chain4, &chain4);

	stand.access.gva = GVA | UINT64_C(0x2a) << 57;
	cr_assert_eq(go(&stand, VMMU_READ)->report.exception.vector, 13);
	stand.cpu.u.x86.cr3 |= UINT64_C(1) << 61; /* LAM57 */
	cr_assert_eq(go(&stand, VMMU_READ)->combined.output, HOST + 0x5abc);
	cr_assert_eq(go(&stand, VMMU_EXEC)->report.exception.vector, 13);
	stand.access.gva = GVA | UINT64_C(1) << 48;
	cr_assert_eq(go(&stand, VMMU_READ)->report.exception.vector, 13);
	stand.cpu.u.x86.cr3 = 0x1000 | UINT64_C(1) << 62; /* LAM48 */
	cr_assert_eq(go(&stand, VMMU_READ)->combined.output, HOST + 0x5abc);
	/* CR3's bits are for the lower half; the upper one has CR4's. */
	stand.access.gva = UINT64_C(0xdfff800000000000);
	cr_assert_eq(go(&stand, VMMU_READ)->report.exception.vector, 13);
	stand.cpu.u.x86.cr4 |= 1 << 28;
	cr_assert_eq(go(&stand, VMMU_READ)->report.exception.vector, 14);
	cr_assert_eq(stand.walk.report.exception.cr2, UINT64_C(0xffff800000000000));
	stand.access.gva = UINT64_C(0xdfff000000000000);
	cr_assert_eq(go(&stand, VMMU_READ)->report.exception.vector, 13);
	memory_free(stand.memory);
}

Test(x86_edges, linear_address_masking_with_five_levels__six_tag_bits)
{
	struct stand stand = stand_new(VMMU_HW_X86, &chain5, &chain4);

	stand.cpu.u.x86.cr4 |= 1 << 28;
	stand.access.gva = UINT64_C(0x81f0000000000000);
	cr_assert_eq(go(&stand, VMMU_READ)->report.exception.vector, 14);
	cr_assert_eq(stand.walk.report.exception.cr2, UINT64_C(0xfff0000000000000));
	stand.access.gva = UINT64_C(0x80f0000000000000); /* bit 56 is not a tag */
	cr_assert_eq(go(&stand, VMMU_READ)->report.exception.vector, 13);
	memory_free(stand.memory);
}

Test(x86_edges, shadow_stack_access__only_to_its_own_pages)
{
	struct stand stand = stand_new(VMMU_HW_EPT, &chain4, &chain4);
	unsigned page;

	stand.access.flags = VMMU_HW_USER | VMMU_HW_SHADOW_STACK;
	cr_assert_eq(go(&stand, VMMU_WRITE)->report.exception.error_code, 0x47);
	guest_set(&stand, 3, 0x5065); /* read-only and dirty */
	cr_assert_eq(go(&stand, VMMU_WRITE)->status, VMMU_HW_OK);
	/* Both second stages say that it was one. */
	host_set(&stand, 0x5000, 0);
	expect_exit(go(&stand, VMMU_WRITE), 0x2182, 0x5abc);
	stand.cpu.arch = VMMU_HW_NPT;
	for (page = 1; page <= 4; page++)
		host_set(&stand, page * 0x1000, (HOST + page * 0x1000) | 0x67);
	cr_assert_eq(go(&stand, VMMU_WRITE)->report.svm.info1, 0x100000046);
	host_set(&stand, 0x4000, 0);
	cr_assert_eq(go(&stand, VMMU_WRITE)->report.svm.info1, 0x200000006);
	host_set(&stand, 0x4000, (HOST + 0x4000) | 0x67);
	host_set(&stand, 0x5000, (HOST + 0x5000) | 0x67);
	stand.access.flags = VMMU_HW_USER;
	cr_assert_eq(go(&stand, VMMU_WRITE)->report.exception.error_code, 7);
	cr_assert_eq(go(&stand, VMMU_READ)->status, VMMU_HW_OK);
	memory_free(stand.memory);
}

Test(x86_edges, tables_where_nothing_answers__no_exit_is_made_up)
{
	struct stand stand = stand_new(VMMU_HW_EPT, &chain4, &chain4);
	const struct vmmu_hw_walk *walk;
	struct vmmu_hw_bus bus;

	stand.memory->end = HOST + 0x2000;
	walk = go(&stand, VMMU_READ);
	cr_assert_eq(walk->status, VMMU_HW_FAULT_HOST);
	cr_assert_eq(walk->fault.cause, VMMU_HW_BUS);
	cr_assert_eq(walk->fault.stage, 1);
	cr_assert_eq(walk->fault.gpa, 0x2248);
	cr_assert_eq(walk->report.vmx.exit_reason, 0);
	stand.memory->end = 0x1000;
	walk = go(&stand, VMMU_READ);
	cr_assert_eq(walk->fault.stage, 2);
	cr_assert_eq(walk->fault.entry_hpa, ROOT);
	memory_free(stand.memory);
	/* Alone the guest takes a machine check; so does it while loading PAE entries. */
	stand = stand_new(VMMU_HW_X86, &chain4, &chain4);
	stand.memory->end = 0x1000;
	walk = go(&stand, VMMU_READ);
	cr_assert_eq(walk->status, VMMU_HW_FAULT_GUEST);
	cr_assert_eq(walk->report.exception.vector, 18);
	cr_assert_eq(walk->report.exception.cr2, 0);
	memory_free(stand.memory);
	stand = stand_new(VMMU_HW_X86, &chain_pae, &chain4);
	stand.memory->end = 0x1000;
	bus = memory_bus(stand.memory);
	cr_assert_eq(vmmu_hw_pdptes_load(&stand.cpu, &bus, &stand.walk), 0);
	cr_assert_eq(stand.walk.report.exception.vector, 18);
	cr_assert_eq(stand.walk.fault.cause, VMMU_HW_BUS);
	memory_free(stand.memory);
}

Test(x86_edges, requests_that_are_none__einval)
{
	struct stand stand = stand_new(VMMU_HW_EPT, &chain4, &chain4);
	struct vmmu_hw_bus bus = memory_bus(stand.memory), deaf = {0};
	struct vmmu_hw_access access = stand.access;
	struct vmmu_hw_gpa gpa = {0};
	struct vmmu_hw_cpu cpu = stand.cpu;

	cr_assert_eq(vmmu_hw_translate(NULL, &bus, &access, &stand.walk), -EINVAL);
	cr_assert_eq(vmmu_hw_translate(&cpu, NULL, &access, &stand.walk), -EINVAL);
	cr_assert_eq(vmmu_hw_translate(&cpu, &deaf, &access, &stand.walk), -EINVAL);
	cr_assert_eq(vmmu_hw_translate(&cpu, &bus, NULL, &stand.walk), -EINVAL);
	cr_assert_eq(vmmu_hw_translate(&cpu, &bus, &access, NULL), -EINVAL);
	access.access = VMMU_EXEC | VMMU_READ;
	cr_assert_eq(vmmu_hw_translate(&cpu, &bus, &access, &stand.walk), -EINVAL);
	access.access = 0;
	cr_assert_eq(vmmu_hw_translate(&cpu, &bus, &access, &stand.walk), -EINVAL);
	access = stand.access;
	access.bytes = 3;
	cr_assert_eq(vmmu_hw_translate(&cpu, &bus, &access, &stand.walk), -EINVAL);
	for (access.bytes = 1; access.bytes <= 64; access.bytes *= 2)
		cr_assert_eq(vmmu_hw_translate(&cpu, &bus, &access, &stand.walk), 0);
	access.bytes = 0;
	access.flags = 1u << 30;
	cr_assert_eq(vmmu_hw_translate(&cpu, &bus, &access, &stand.walk), -EINVAL);
	cpu.u.x86.eptp |= 1 << 7;
	cr_assert_eq(vmmu_hw_translate(&cpu, &bus, &stand.access, &stand.walk), -EINVAL);
	cpu.u.x86.eptp = ROOT | 6 | 2 << 3;
	cr_assert_eq(vmmu_hw_translate(&cpu, &bus, &stand.access, &stand.walk), -EINVAL);
	cpu = stand.cpu;
	cpu.u.x86.maxphyaddr = 32;
	cr_assert_eq(vmmu_hw_translate(&cpu, &bus, &stand.access, &stand.walk), 0);
	cpu.u.x86.maxphyaddr = 31;
	cr_assert_eq(vmmu_hw_translate(&cpu, &bus, &stand.access, &stand.walk), -EINVAL);
	cpu.u.x86.maxphyaddr = 53;
	cr_assert_eq(vmmu_hw_translate(&cpu, &bus, &stand.access, &stand.walk), -EINVAL);
	cpu = stand.cpu;
	gpa.purpose = VMMU_HW_PURPOSES;
	cr_assert_eq(vmmu_hw_translate_gpa(&cpu, &bus, &stand.access, &gpa, &stand.walk), -EINVAL);
	gpa.purpose = VMMU_HW_FINAL;
	cr_assert_eq(vmmu_hw_translate_gpa(&cpu, &bus, &stand.access, NULL, &stand.walk), -EINVAL);
	cr_assert_eq(vmmu_hw_translate_gpa(&cpu, &deaf, &stand.access, &gpa, &stand.walk), -EINVAL);
	cr_assert_eq(vmmu_hw_translate_gpa(&cpu, &bus, &stand.access, &gpa, &stand.walk), 0);
	gpa.guest_page = VMMU_HW_PAGE_FLAGS + 1;
	cr_assert_eq(vmmu_hw_translate_gpa(&cpu, &bus, &stand.access, &gpa, &stand.walk), -EINVAL);
	gpa.guest_page = 0;
	cpu.arch = VMMU_HW_X86;
	cr_assert_eq(vmmu_hw_translate_gpa(&cpu, &bus, &stand.access, &gpa, &stand.walk), -EINVAL);
	cr_assert_eq(vmmu_hw_pdptes_load(NULL, &bus, &stand.walk), -EINVAL);
	cpu.arch = VMMU_HW_RISCV;
	cr_assert_eq(vmmu_hw_pdptes_load(&cpu, &bus, &stand.walk), -EINVAL, "no such registers");
	cpu.arch = VMMU_HW_ARCHES;
	cr_assert_eq(vmmu_hw_translate(&cpu, &bus, &stand.access, &stand.walk), -EINVAL);
	cr_assert_eq(vmmu_hw_pdptes_load(&stand.cpu, &bus, &stand.walk), -EINVAL, "not PAE");
	memory_free(stand.memory);
}

/* Values that hypervisors write into EPT entries on purpose: what hardware makes of them. */
Test(x86_edges, software_markers_in_ept__misconfiguration_or_absent)
{
	struct stand stand = stand_new(VMMU_HW_EPT, &chain4, &chain4);

	host_set(&stand, 0x5000, UINT64_C(0x12300000fee0022e)); /* MMIO, generation 0x12345 */
	cr_assert_eq(go(&stand, VMMU_READ)->report.vmx.exit_reason, 49);
	cr_assert_eq(stand.walk.report.vmx.gpa, 0x5abc);
	/* Access-tracked R-X leaf: rights saved at 54 and 56, accessed and dirty bits off. */
	host_set(&stand, 0x5000, UINT64_C(0x140000012345030) | UINT64_C(1) << 52 | 1 << 11);
	expect_exit(go(&stand, VMMU_READ), 0x181, 0x5abc);
	memory_free(stand.memory);
}

Test(x86_edges, table_memory_that_refuses_updates__like_memory_that_does_not_answer)
{
	struct stand stand = stand_new(VMMU_HW_EPT, &chain4, &chain4);
	const struct vmmu_hw_walk *walk;

	stand.cpu.u.x86.eptp |= AD_ON;
	host_set(&stand, 0x5000, (HOST + 0x5000) | 0x37);
	stand.memory->read_only = ROOT + 0x3000;
	walk = go(&stand, VMMU_READ);
	cr_assert_eq(walk->status, VMMU_HW_FAULT_HOST);
	cr_assert_eq(walk->fault.cause, VMMU_HW_BUS);
	cr_assert_eq(walk->fault.level, 1);
	cr_assert_eq(walk->fault.gpa, 0x5abc);
	memory_free(stand.memory);
	stand = stand_new(VMMU_HW_NPT, &chain4, &chain4);
	memory_write(stand.memory, ROOT, 8, (ROOT + 0x1000) | 7);
	stand.memory->read_only = ROOT;
	walk = go(&stand, VMMU_READ);
	cr_assert_eq(walk->status, VMMU_HW_FAULT_HOST);
	cr_assert_eq(walk->fault.cause, VMMU_HW_BUS);
	cr_assert_eq(walk->fault.level, 4);
	/* The guest's own table, under a second stage that lets it be written. */
	stand.memory->read_only = HOST + 0x3000;
	guest_set(&stand, 2, 0x4007);
	walk = go(&stand, VMMU_READ);
	cr_assert_eq(walk->status, VMMU_HW_FAULT_HOST);
	cr_assert_eq(walk->fault.cause, VMMU_HW_BUS);
	cr_assert_eq(walk->fault.stage, 1);
	cr_assert_eq(walk->fault.level, 2);
	memory_free(stand.memory);
}
