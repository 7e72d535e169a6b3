// SPDX-License-Identifier: MIT
/* x86: what a walk tells for a TLB to keep, beyond the address. */
#include "hw/x86_stand.h"

#include <criterion/criterion.h>
#include <errno.h>

Test(x86_mapping, references__carry_the_values_read)
{
	struct stand stand = stand_new(VMMU_HW_EPT, &chain4, &chain4);
	const struct vmmu_hw_walk *walk = go(&stand, VMMU_READ);
	unsigned i;

	for (i = 0; i < walk->ref_count; i++) {
		cr_assert_eq(walk->ref[i].bytes, 8);
		cr_assert_eq(walk->ref[i].value, memory_read(stand.memory, walk->ref[i].hpa, 8));
		cr_assert_not(walk->ref[i].is_update);
	}
	cr_assert_eq(walk->ref[3].value, (HOST + 0x1000) | 0x337);
	cr_assert_eq(walk->ref[4].value, 0x2027);
	memory_free(stand.memory);
}

Test(x86_mapping, memory_type__pat_bit_where_the_page_size_has_it)
{
	struct stand stand = stand_new(VMMU_HW_NPT, &chain4, &chain4);

	guest_set(&stand, 3, 0x5067 | 0x88); /* PAT (bit 7) and PWT */
	host_set(&stand, 0x5000, (HOST + 0x5000) | 0x77);
	cr_assert_eq(go(&stand, VMMU_READ)->stage1.memtype, 5);
	cr_assert_eq(stand.walk.stage2.memtype, 2);
	cr_assert_eq(stand.walk.combined.memtype, 0);
	/* 2M at 0, PAT at bit 12, PCD: the guest's tables map themselves there. */
	guest_set(&stand, 2, 0x10f7);
	host_set(&stand, 0x189000, (HOST + 0x5000) | 0x67);
	cr_assert_eq(go(&stand, VMMU_READ)->status, VMMU_HW_OK);
	cr_assert_eq(stand.walk.stage1.memtype, 6);
	cr_assert_eq(stand.walk.stage1.output, 0x189abc);
	memory_free(stand.memory);
	stand = stand_new(VMMU_HW_EPT, &chain4, &chain4);
	host_set(&stand, 0x5000, (HOST + 0x5000) | 0x367); /* WT, ignore guest's */
	cr_assert_eq(go(&stand, VMMU_READ)->stage2.memtype, 0xc);
	memory_free(stand.memory);
}

Test(x86_mapping, global_and_dirty__from_the_leaf)
{
	struct stand stand = stand_new(VMMU_HW_NPT, &chain4, &chain4);

	guest_set(&stand, 3, 0x5067 | 0x100);
	host_set(&stand, 0x5000, (HOST + 0x5000) | 0x167);
	cr_assert(go(&stand, VMMU_READ)->combined.global);
	cr_assert_not(stand.walk.stage2.global, "bit 8 means nothing to nested tables");
	cr_assert(stand.walk.combined.dirty);
	guest_set(&stand, 3, 0x5027);
	cr_assert_not(go(&stand, VMMU_READ)->combined.global);
	cr_assert_not(stand.walk.stage1.dirty);
	cr_assert(stand.walk.stage2.dirty);
	cr_assert_not(stand.walk.combined.dirty);
	memory_free(stand.memory);
}

/* The guest's page as the advanced exit information tells it, each bit by itself. */
Test(x86_mapping, guest_page__reaches_the_qualification)
{
	static const struct {
		uint64_t leaf;
		unsigned page;
		uint64_t bits;
	} pages[] = {
		{0x61, 0, 0},
		{0x65, VMMU_HW_PAGE_USER, 0x200},
		{0x63, VMMU_HW_PAGE_WRITABLE, 0x400},
		{NX | 0x61, VMMU_HW_PAGE_NX, 0x800},
	};
	unsigned i;

	for (i = 0; i < 4; i++) {
		struct stand stand = stand_new(VMMU_HW_EPT, &chain4, &chain4);

		stand.cpu.u.x86.features |= VMMU_HW_EPT_ADVANCED;
		guest_set(&stand, 3, 0x5000 | pages[i].leaf);
		cr_assert_eq(go(&stand, VMMU_READ)->combined.guest_page, pages[i].page);
		host_set(&stand, 0x5000, 0);
		expect_exit(go(&stand, VMMU_READ), 0x181 | pages[i].bits, 0x5abc);
		if (!(pages[i].page & VMMU_HW_PAGE_NX))
			expect_exit(go(&stand, VMMU_EXEC), 0x184 | pages[i].bits, 0x5abc);
		memory_free(stand.memory);
	}
}

Test(x86_mapping, guest_without_paging__writable_executable_user_page)
{
	struct stand stand = stand_new(VMMU_HW_EPT, &chain4, &chain4);

	stand.cpu.u.x86.cr0 = 0;
	stand.cpu.u.x86.features |= VMMU_HW_EPT_ADVANCED;
	stand.access.gva = UINT64_C(0x100005abc); /* cut to 32 bits */
	cr_assert_eq(go(&stand, VMMU_READ)->combined.output, HOST + 0x5abc);
	cr_assert_eq(stand.walk.load_count, 4);
	host_set(&stand, 0x5000, 0);
	cr_assert_eq(go(&stand, VMMU_READ)->report.vmx.qualification, 0x781);
	cr_assert_eq(stand.walk.report.vmx.gla, 0x5abc);
	memory_free(stand.memory);
}

Test(x86_mapping, second_stage_alone__judged_by_the_page_given)
{
	struct stand stand = stand_new(VMMU_HW_EPT, &chain4, &chain4);
	struct vmmu_hw_bus bus = memory_bus(stand.memory);
	struct vmmu_hw_gpa gpa = {.gpa = 0x5abc, .guest_page = VMMU_HW_PAGE_USER};

	stand.cpu.u.x86.features |= VMMU_HW_EPT_MBE;
	stand.host_upper = 0x507;
	host_set(&stand, 0x5000, (HOST + 0x5000) | 0x431);
	cr_assert_eq(vmmu_hw_translate_gpa(&stand.cpu, &bus, &stand.access, &gpa, &stand.walk), 0);
	cr_assert_eq(stand.walk.stage2.kernel_access, VMMU_READ);
	cr_assert_eq(stand.walk.stage2.user_access, VMMU_READ | VMMU_EXEC);
	cr_assert_eq(stand.walk.combined.kernel_access, VMMU_READ | VMMU_EXEC);
	gpa.guest_page = 0;
	cr_assert_eq(vmmu_hw_translate_gpa(&stand.cpu, &bus, &stand.access, &gpa, &stand.walk), 0);
	cr_assert_eq(stand.walk.combined.user_access, VMMU_READ);
	stand.cpu.arch = VMMU_HW_NPT;
	gpa.purpose = VMMU_HW_PDPTE_LOAD;
	cr_assert_eq(vmmu_hw_translate_gpa(&stand.cpu, &bus, &stand.access, &gpa, &stand.walk),
		     -EINVAL);
	memory_free(stand.memory);
}

Test(x86_mapping, rights_by_mode__under_the_current_control_registers)
{
	struct stand stand = stand_new(VMMU_HW_X86, &chain4, &chain4);
	struct vmmu_hw_x86 *x86 = &stand.cpu.u.x86;
	unsigned level;

	x86->cr3 = HOST + 0x1000;
	for (level = 0; level < 3; level++)
		guest_set(&stand, level, (HOST + 0x1000 * (level + 2)) | 0x27);
	guest_set(&stand, 3, 0x5065);
	cr_assert_eq(go(&stand, VMMU_READ)->combined.kernel_access, 5);
	cr_assert_eq(stand.walk.combined.user_access, 5);
	x86->cr0 &= ~UINT64_C(0x10000); /* WP */
	cr_assert_eq(go(&stand, VMMU_READ)->combined.kernel_access, 7);
	cr_assert_eq(stand.walk.combined.user_access, 5);
	x86->cr4 |= 1 << 20; /* SMEP */
	cr_assert_eq(go(&stand, VMMU_READ)->combined.kernel_access, 3);
	stand.access.flags = VMMU_HW_USER;
	x86->cr4 |= 1 << 21; /* SMAP */
	cr_assert_eq(go(&stand, VMMU_READ)->combined.kernel_access, 0);
	cr_assert_eq(stand.walk.combined.user_access, 5);
	guest_set(&stand, 3, 0x5063);
	stand.access.flags = 0;
	cr_assert_eq(go(&stand, VMMU_READ)->combined.user_access, 0);
	memory_free(stand.memory);
}

Test(x86_mapping, protection_keys__by_page_mode_and_write_protect)
{
	struct stand stand = stand_new(VMMU_HW_EPT, &chain4, &chain4);
	struct vmmu_hw_x86 *x86 = &stand.cpu.u.x86;
	uint64_t key = UINT64_C(3) << 59;

	x86->cr4 |= 1 << 22;
	x86->pkru = 2 << 6; /* key 3: no writes */
	x86->pkrs = 1 << 6; /* key 3: nothing, for supervisor pages once PKS is on */
	guest_set(&stand, 3, 0x5067 | key);
	cr_assert_eq(go(&stand, VMMU_WRITE)->report.exception.error_code, 0x23);
	x86->cr0 &= ~UINT64_C(0x10000);
	cr_assert_eq(go(&stand, VMMU_WRITE)->status, VMMU_HW_OK, "the kernel without WP");
	stand.access.flags = VMMU_HW_USER;
	cr_assert_eq(go(&stand, VMMU_WRITE)->report.exception.error_code, 0x27);
	x86->pkru = 1 << 6;
	cr_assert_eq(go(&stand, VMMU_EXEC)->status, VMMU_HW_OK, "fetches have no key");
	stand.access.flags = 0;
	guest_set(&stand, 3, 0x5063 | key);
	cr_assert_eq(go(&stand, VMMU_READ)->status, VMMU_HW_OK, "PKRU is for user pages");
	x86->cr4 |= 1 << 24;
	cr_assert_eq(go(&stand, VMMU_READ)->report.exception.error_code, 0x21);
	x86->cr4 &= ~(UINT64_C(1) << 22 | UINT64_C(1) << 24);
	guest_set(&stand, 3, 0x5067 | key);
	cr_assert_eq(go(&stand, VMMU_READ)->status, VMMU_HW_OK, "ignored with both off");
	memory_free(stand.memory);
}

/* W and U are and-ed, NX is or-ed, over every level: of the guest's tables and of nested ones. */
Test(x86_mapping, rights_of_upper_levels__limit_the_leaf)
{
	static const struct {
		uint64_t flip;
		unsigned access;
		uint32_t code; /* the error code's low bits, and EXITINFO1's */
	} limits[] = {{2, VMMU_WRITE, 7}, {4, VMMU_READ, 5}, {NX, VMMU_EXEC, 0x15}};
	unsigned i, at;

	for (i = 0; i < 3; i++) {
		for (at = 0; at < 4; at++) {
			struct stand stand = stand_new(VMMU_HW_NPT, &chain4, &chain4);
			struct vmmu_hw_bus bus = memory_bus(stand.memory);
			struct chain_entry place = host_place(&stand, 0x5abc);
			struct vmmu_hw_gpa gpa = {.gpa = 0x5abc};
			uint64_t entry = guest_get(&stand, at), hpa = chain_address(&place, at);

			stand.access.flags = VMMU_HW_USER;
			cr_assert_eq(go(&stand, limits[i].access)->status, VMMU_HW_OK);
			guest_set(&stand, at, entry ^ limits[i].flip);
			cr_assert_eq(go(&stand, limits[i].access)->report.exception.error_code,
				     limits[i].code, "guest table %u", at);
			memory_write(stand.memory, hpa, 8,
				     memory_read(stand.memory, hpa, 8) ^ limits[i].flip);
			cr_assert_eq(vmmu_hw_translate_gpa(&stand.cpu, &bus, &stand.access, &gpa,
							   &stand.walk),
				     0);
			cr_assert_eq(stand.walk.report.svm.info1,
				     UINT64_C(0x100000000) | limits[i].code, "nested table %u", at);
			memory_free(stand.memory);
		}
	}
}
