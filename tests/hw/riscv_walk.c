// SPDX-License-Identifier: MIT
/* RISC-V accesses through both stages. */
#include "hw/memory.h"

#include <criterion/criterion.h>
#include <errno.h>

#define ROOT UINT64_C(0x10000)
#define HOST UINT64_C(0x100000) /* guest-physical pages lie here in memory */
#define GVA  UINT64_C(0x3f12345abc)

#define ADUE   (UINT64_C(1) << 61)
#define PBMTE  (UINT64_C(1) << 62)
#define SSE    (UINT64_C(1) << 3)
#define MXR    (UINT64_C(1) << 19)
#define ALL    0xdf /* V R W X U A D */
#define KERNEL 0xcf

static const struct chain sv39 = {3, 12, 9, 9, 8}, sv39x4 = {3, 12, 9, 11, 8};
static const struct chain sv48 = {4, 12, 9, 9, 8}, sv48x4 = {4, 12, 9, 11, 8};
static const struct chain sv57 = {5, 12, 9, 9, 8}, sv57x4 = {5, 12, 9, 11, 8};
static const struct chain sv32 = {2, 12, 10, 10, 4}, sv32x4 = {2, 12, 10, 12, 4};

struct stand {
	struct memory *memory;
	struct vmmu_hw_cpu cpu;
	struct vmmu_hw_access access;
	struct vmmu_hw_walk walk;
	const struct chain *guest, *host;
};

static uint64_t pte(uint64_t address, uint64_t bits)
{
	return address >> 2 | bits;
}

static struct chain_entry host_place(const struct stand *stand, uint64_t gpa)
{
	return (struct chain_entry){.chain = stand->host,
				    .root = ROOT,
				    .stride = 0x4000,
				    .input = gpa,
				    .at = stand->host->count - 1,
				    .upper = 1,
				    .is_ppn = true};
}

static void host_set(struct stand *stand, uint64_t gpa, uint64_t entry)
{
	struct chain_entry place = host_place(stand, gpa);

	place.entry = entry;
	memory_chain(stand->memory, &place);
}

static uint64_t host_get(const struct stand *stand, uint64_t gpa)
{
	struct chain_entry place = host_place(stand, gpa);

	return memory_read(stand->memory, chain_address(&place, place.at), place.chain->bytes);
}

static uint64_t guest_hpa(const struct stand *stand, unsigned at)
{
	struct chain_entry place = {.chain = stand->guest,
				    .root = 0x1000,
				    .stride = 0x1000,
				    .input = stand->access.gva};

	return chain_address(&place, at) + HOST;
}

/* The VS-stage leaf. */
static void guest_set(struct stand *stand, uint64_t entry)
{
	memory_write(stand->memory, guest_hpa(stand, stand->guest->count - 1), stand->guest->bytes,
		     entry);
}

static uint64_t guest_get(const struct stand *stand)
{
	return memory_read(stand->memory, guest_hpa(stand, stand->guest->count - 1),
			   stand->guest->bytes);
}

static uint64_t atp(const struct chain *chain, uint64_t root)
{
	if (chain->bytes == 4)
		return UINT64_C(1) << 31 | root >> 12;
	return (uint64_t)(chain->count + 5) << 60 | root >> 12;
}

/* Tables of the guest at 0x1000, 0x2000 ..., then the page; nothing left to update. */
static struct stand stand_new(const struct chain *guest, const struct chain *host)
{
	struct stand stand = {.guest = guest, .host = host};
	struct vmmu_hw_riscv *rv = &stand.cpu.u.riscv;
	struct chain_entry place = {.chain = guest,
				    .root = 0x1000,
				    .stride = 0x1000,
				    .upper = 1,
				    .offset = HOST,
				    .is_ppn = true};
	unsigned i;

	stand.memory = memory_new();
	stand.cpu.arch = VMMU_HW_RISCV;
	*rv = (struct vmmu_hw_riscv){.features = VMMU_HW_RISCV_FEATURES &
						 ~VMMU_HW_RISCV_SVRSW60T59B};
	rv->xlen = host->bytes == 4 ? 32 : 64;
	rv->vsxlen = guest->bytes == 4 ? 32 : 64;
	rv->pa_bits = 56;
	rv->hgatp = atp(host, ROOT);
	rv->vsatp = atp(guest, 0x1000);
	stand.access = (struct vmmu_hw_access){.gva = guest->bytes == 4 ? 0x12345abc : GVA,
					       .access = VMMU_READ};
	place.input = stand.access.gva;
	place.at = guest->count - 1;
	place.entry = pte(0x1000 * (guest->count + 1), KERNEL);
	memory_chain(stand.memory, &place);
	for (i = 1; i <= guest->count + 1; i++)
		host_set(&stand, i * 0x1000, pte(HOST + i * 0x1000, ALL));
	return stand;
}

static const struct vmmu_hw_walk *go(struct stand *stand, unsigned access)
{
	struct vmmu_hw_bus bus = memory_bus(stand->memory);

	stand->access.access = access;
	cr_assert_eq(vmmu_hw_translate(&stand->cpu, &bus, &stand->access, &stand->walk), 0);
	return &stand->walk;
}

static void expect_trap(const struct vmmu_hw_walk *walk, uint64_t cause, uint64_t htval,
			uint64_t htinst)
{
	cr_assert_neq(walk->status, VMMU_HW_OK);
	cr_assert_eq(walk->report.riscv.cause, cause, "%lu",
		     (unsigned long)walk->report.riscv.cause);
	cr_assert_eq(walk->report.riscv.tval2, htval, "%#lx",
		     (unsigned long)walk->report.riscv.tval2);
	cr_assert_eq(walk->report.riscv.tinst, htinst, "%#lx",
		     (unsigned long)walk->report.riscv.tinst);
}

static void expect_loads(const struct chain *guest, const struct chain *host, unsigned loads)
{
	struct stand stand = stand_new(guest, host);
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

Test(riscv_walk, two_dimensions__as_many_references_as_the_manual_counts)
{
	expect_loads(&sv39, &sv39x4, 15);
	expect_loads(&sv48, &sv48x4, 24);
	expect_loads(&sv57, &sv57x4, 35);
	expect_loads(&sv39, &sv57x4, 23);
	expect_loads(&sv32, &sv32x4, 8);
	expect_loads(&sv32, &sv39x4, 11);
}

Test(riscv_walk, bare_at_either_stage__the_other_alone)
{
	struct stand stand = stand_new(&sv39, &sv39x4);

	stand.cpu.u.riscv.vsatp = 0;
	stand.access.gva = 0x4abc;
	cr_assert_eq(go(&stand, VMMU_READ)->combined.output, HOST + 0x4abc);
	cr_assert_eq(stand.walk.load_count, 3);
	cr_assert_eq(stand.walk.stage1.level, 0);
	stand.access.gva = UINT64_C(1) << 41;
	expect_trap(go(&stand, VMMU_READ), 21, UINT64_C(1) << 39, 0);
	stand.cpu.u.riscv.hgatp = 0;
	cr_assert_eq(go(&stand, VMMU_READ)->combined.output, UINT64_C(1) << 41);
	cr_assert_eq(stand.walk.load_count, 0);
	cr_assert_eq(stand.walk.combined.page_lg2, 64);
	cr_assert_eq(stand.walk.combined.range_lg2, 64);
	stand.cpu.u.riscv.vsatp = atp(&sv39, HOST + 0x1000);
	stand.access.gva = GVA;
	go(&stand, VMMU_READ);
	cr_assert_eq(stand.walk.ref[0].hpa, HOST + 0x17e0);
	memory_free(stand.memory);
}

/* The example of the sheet. */
Test(riscv_walk, two_dimensions__example_with_its_registers)
{
	static const uint64_t gpas[] = {0x17e0, 0x2488, 0x3a28, 0x4abc};
	struct stand stand = stand_new(&sv39, &sv39x4);
	const struct vmmu_hw_walk *walk = go(&stand, VMMU_WRITE);
	unsigned step;

	for (step = 0; step < 4; step++) {
		cr_assert_eq(walk->ref[4 * step].input, gpas[step]);
		cr_assert_eq(walk->ref[4 * step].stage, 2);
		if (step == 3)
			break;
		cr_assert_eq(walk->ref[4 * step + 3].stage, 1);
		cr_assert_eq(walk->ref[4 * step + 3].gpa, gpas[step]);
		cr_assert_eq(walk->ref[4 * step + 3].level, 3 - step);
	}
	host_set(&stand, 0x2000, 0);
	expect_trap(go(&stand, VMMU_WRITE), 23, 0x922, 0x3000);
	cr_assert_eq(stand.walk.report.riscv.tval, GVA);
	host_set(&stand, 0x2000, pte(HOST + 0x2000, ALL));
	/* Hardware updates for VS-stage, and a read-only page under the last table. */
	stand.cpu.u.riscv.menvcfg = stand.cpu.u.riscv.henvcfg = ADUE;
	guest_set(&stand, pte(0x4000, 0x8f));
	host_set(&stand, 0x3000, pte(HOST + 0x3000, 0xd3));
	expect_trap(go(&stand, VMMU_WRITE), 23, 0xe8a, 0x3020);
	expect_trap(go(&stand, VMMU_READ), 21, 0xe8a, 0x3020);
	guest_set(&stand, 0);
	expect_trap(go(&stand, VMMU_WRITE), 15, 0, 0);
	cr_assert_eq(stand.walk.status, VMMU_HW_FAULT_GUEST);
	memory_free(stand.memory);
}

Test(riscv_walk, implicit_access_of_a_32bit_guest__its_own_pseudoinstructions)
{
	struct stand stand = stand_new(&sv32, &sv32x4);
	uint64_t gpa = guest_hpa(&stand, 1) - HOST;

	/* RV32 has no ADUE in the low half of menvcfg: what the model takes is the 64-bit value. */
	stand.cpu.u.riscv.menvcfg = stand.cpu.u.riscv.henvcfg = ADUE;
	guest_set(&stand, pte(0x3000, 0x8f));
	host_set(&stand, 0x2000, pte(HOST + 0x2000, 0xd3));
	expect_trap(go(&stand, VMMU_WRITE), 23, gpa >> 2, 0x2020);
	host_set(&stand, 0x2000, 0);
	expect_trap(go(&stand, VMMU_EXEC), 20, gpa >> 2, 0x2000);
	memory_free(stand.memory);
}

Test(riscv_walk, upper_half_of_a_32bit_guest__is_as_good_as_the_lower)
{
	struct stand stand = stand_new(&sv32, &sv32x4);

	stand.access.gva = UINT64_C(0xffffffff80345abc); /* as a 64-bit register may hold it */
	go(&stand, VMMU_READ);
	expect_trap(&stand.walk, 13, 0, 0);
	cr_assert_eq(stand.walk.report.riscv.tval, 0x80345abc);
	memory_write(stand.memory, HOST + 0x1000 + 0x200 * 4, 4, (uint32_t)pte(0x2000, 1));
	memory_write(stand.memory, HOST + 0x2000 + 0x345 * 4, 4, (uint32_t)pte(0x3000, KERNEL));
	cr_assert_eq(go(&stand, VMMU_READ)->combined.output, HOST + 0x3abc);
	memory_free(stand.memory);
}

Test(riscv_walk, highest_physical_bit__reaches_the_output)
{
	struct stand stand = stand_new(&sv39, &sv39x4);

	host_set(&stand, 0x4000, pte(UINT64_C(0x80000000004000), ALL));
	cr_assert_eq(go(&stand, VMMU_READ)->combined.output, UINT64_C(0x80000000004abc));
	memory_free(stand.memory);
}

Test(riscv_walk, adue_of_each_stage__is_its_own)
{
	struct stand stand = stand_new(&sv39, &sv39x4);

	/* menvcfg alone: G-stage is updated, VS-stage faults. */
	stand.cpu.u.riscv.menvcfg = ADUE;
	host_set(&stand, 0x4000, pte(HOST + 0x4000, 0x1f));
	cr_assert_eq(go(&stand, VMMU_READ)->status, VMMU_HW_OK);
	cr_assert_eq(host_get(&stand, 0x4000), pte(HOST + 0x4000, 0x5f));
	cr_assert_not(stand.walk.combined.dirty);
	cr_assert_eq(go(&stand, VMMU_WRITE)->status, VMMU_HW_OK);
	cr_assert_eq(host_get(&stand, 0x4000), pte(HOST + 0x4000, 0xdf));
	cr_assert(stand.walk.combined.dirty);
	guest_set(&stand, pte(0x4000, 0x0f));
	expect_trap(go(&stand, VMMU_READ), 13, 0, 0);
	cr_assert_eq(stand.walk.fault.cause, VMMU_HW_ACCESSED);
	stand.cpu.u.riscv.henvcfg = ADUE;
	cr_assert_eq(go(&stand, VMMU_READ)->status, VMMU_HW_OK);
	cr_assert_eq(guest_get(&stand), pte(0x4000, 0x4f));
	/* Without the extension the bits do nothing. */
	stand.cpu.u.riscv.features &= ~(unsigned)VMMU_HW_RISCV_SVADU;
	expect_trap(go(&stand, VMMU_WRITE), 15, 0, 0);
	memory_free(stand.memory);
}

Test(riscv_walk, vs_stage_entries__read_with_accessed_written_with_dirty)
{
	struct stand stand = stand_new(&sv39, &sv39x4);

	stand.cpu.u.riscv.menvcfg = stand.cpu.u.riscv.henvcfg = ADUE;
	host_set(&stand, 0x3000, pte(HOST + 0x3000, 0x1f));
	cr_assert_eq(go(&stand, VMMU_READ)->status, VMMU_HW_OK);
	cr_assert_eq(host_get(&stand, 0x3000), pte(HOST + 0x3000, 0x5f));
	guest_set(&stand, pte(0x4000, 0x0f));
	cr_assert_eq(go(&stand, VMMU_READ)->status, VMMU_HW_OK);
	cr_assert_eq(host_get(&stand, 0x3000), pte(HOST + 0x3000, 0xdf));
	/* The guest's bits are set even if the page itself is not there. */
	host_set(&stand, 0x4000, 0);
	expect_trap(go(&stand, VMMU_WRITE), 23, 0x4abc >> 2, 0);
	cr_assert_eq(guest_get(&stand), pte(0x4000, 0xcf));
	memory_free(stand.memory);
}

Test(riscv_walk, guest_denial__before_the_absent_page)
{
	struct stand stand = stand_new(&sv39, &sv39x4);

	host_set(&stand, 0x4000, 0);
	guest_set(&stand, pte(0x4000, 0x43));
	expect_trap(go(&stand, VMMU_WRITE), 15, 0, 0);
	memory_free(stand.memory);
}

Test(riscv_walk, mxr__by_stage_and_never_for_tables)
{
	struct stand stand = stand_new(&sv39, &sv39x4);

	host_set(&stand, 0x4000, pte(HOST + 0x4000, 0x59)); /* X alone */
	stand.cpu.u.riscv.vsstatus = MXR;
	expect_trap(go(&stand, VMMU_READ), 21, 0x4abc >> 2, 0);
	stand.cpu.u.riscv.vsstatus = 0;
	stand.cpu.u.riscv.sstatus = MXR;
	cr_assert_eq(go(&stand, VMMU_READ)->status, VMMU_HW_OK);
	guest_set(&stand, pte(0x4000, 0x49));
	cr_assert_eq(go(&stand, VMMU_READ)->status, VMMU_HW_OK, "HS-level MXR holds for both");
	host_set(&stand, 0x3000, pte(HOST + 0x3000, 0x59));
	expect_trap(go(&stand, VMMU_READ), 21, 0xe8a, 0x3000);
	memory_free(stand.memory);
}

Test(riscv_walk, hlvx__execute_instead_of_read_in_both_stages)
{
	struct stand stand = stand_new(&sv39, &sv39x4);

	stand.access.flags = VMMU_HW_HLVX;
	host_set(&stand, 0x4000, pte(HOST + 0x4000, 0x59));
	guest_set(&stand, pte(0x4000, 0x49));
	cr_assert_eq(go(&stand, VMMU_READ)->status, VMMU_HW_OK);
	host_set(&stand, 0x4000, pte(HOST + 0x4000, 0x53));
	expect_trap(go(&stand, VMMU_READ), 21, 0x4abc >> 2, 0);
	host_set(&stand, 0x4000, pte(HOST + 0x4000, 0x59));
	guest_set(&stand, pte(0x4000, 0x43));
	expect_trap(go(&stand, VMMU_READ), 13, 0, 0);
	memory_free(stand.memory);
}

Test(riscv_walk, memory_that_does_not_answer__access_fault_of_the_original_access)
{
	struct stand stand = stand_new(&sv39, &sv39x4);

	stand.memory->end = HOST + 0x2000; /* the second VS-stage table */
	expect_trap(go(&stand, VMMU_EXEC), 1, 0, 0);
	expect_trap(go(&stand, VMMU_READ), 5, 0, 0);
	expect_trap(go(&stand, VMMU_WRITE), 7, 0, 0);
	cr_assert_eq(stand.walk.report.riscv.tval, GVA);
	cr_assert_eq(stand.walk.fault.cause, VMMU_HW_BUS);
	stand.memory->end = ROOT + 0x1000; /* a G-stage table */
	expect_trap(go(&stand, VMMU_WRITE), 7, 0, 0);
	stand.memory->end = 0;
	/* The page beyond what the CPU has, then a G-stage pointer. */
	stand.cpu.u.riscv.pa_bits = 40;
	host_set(&stand, 0x4000, pte(UINT64_C(1) << 40, ALL));
	expect_trap(go(&stand, VMMU_READ), 5, 0, 0);
	cr_assert_eq(stand.walk.fault.cause, VMMU_HW_ADDRESS_SIZE);
	memory_write(stand.memory, ROOT, 8, pte(UINT64_C(1) << 41, 1));
	expect_trap(go(&stand, VMMU_EXEC), 1, 0, 0);
	memory_free(stand.memory);
}

Test(riscv_walk, table_memory_that_refuses_updates__access_fault)
{
	struct stand stand = stand_new(&sv39, &sv39x4);

	stand.cpu.u.riscv.menvcfg = stand.cpu.u.riscv.henvcfg = ADUE;
	guest_set(&stand, pte(0x4000, 0x0f));
	stand.memory->read_only = HOST + 0x3000;
	expect_trap(go(&stand, VMMU_READ), 5, 0, 0);
	cr_assert_eq(guest_get(&stand), pte(0x4000, 0x0f));
	memory_free(stand.memory);
}

Test(riscv_walk, shadow_stacks__where_access_and_page_meet)
{
	struct stand stand = stand_new(&sv39, &sv39x4);

	stand.cpu.u.riscv.menvcfg = stand.cpu.u.riscv.henvcfg = SSE;
	stand.access.flags = VMMU_HW_SHADOW_STACK;
	expect_trap(go(&stand, VMMU_WRITE), 7, 0, 0); /* a writable page */
	guest_set(&stand, pte(0x4000, 0x43));
	expect_trap(go(&stand, VMMU_READ), 15, 0, 0); /* a read-only one */
	guest_set(&stand, pte(0x4000, 0xc5));
	cr_assert_eq(go(&stand, VMMU_WRITE)->status, VMMU_HW_OK);
	host_set(&stand, 0x4000, pte(HOST + 0x4000, 0xd3)); /* G-stage: read and write needed */
	expect_trap(go(&stand, VMMU_READ), 23, 0x4abc >> 2, 0);
	stand.access.flags = 0;
	cr_assert_eq(go(&stand, VMMU_READ)->status, VMMU_HW_OK);
	expect_trap(go(&stand, VMMU_EXEC), 1, 0, 0);
	/* henvcfg alone decides nothing. */
	stand.cpu.u.riscv.menvcfg = 0;
	expect_trap(go(&stand, VMMU_READ), 13, 0, 0);
	memory_free(stand.memory);
}

Test(riscv_walk, rights_of_both_stages__and_together)
{
	static const unsigned sets[] = {1, 3, 4, 5, 7};
	unsigned g, h, access;

	for (g = 0; g < 5; g++) {
		for (h = 0; h < 5; h++) {
			struct stand stand = stand_new(&sv39, &sv39x4);
			unsigned rights = sets[g] & sets[h];

			guest_set(&stand, pte(0x4000, 0xc1 | sets[g] << 1));
			host_set(&stand, 0x4000, pte(HOST + 0x4000, 0xd1 | sets[h] << 1));
			for (access = 1; access < 8; access <<= 1) {
				go(&stand, access);
				cr_assert_eq(stand.walk.status == VMMU_HW_OK, !!(rights & access));
				if (!(sets[g] & access))
					cr_assert_eq(stand.walk.status, VMMU_HW_FAULT_GUEST);
				if (stand.walk.status == VMMU_HW_OK) {
					cr_assert_eq(stand.walk.combined.kernel_access, rights);
					cr_assert_eq(stand.walk.combined.user_access, 0);
					cr_assert_eq(stand.walk.stage2.user_access, sets[h]);
				}
			}
			memory_free(stand.memory);
		}
	}
}

Test(riscv_walk, leaf_attributes__reach_the_mapping)
{
	struct stand stand = stand_new(&sv39, &sv39x4);
	const struct vmmu_hw_walk *walk;

	stand.cpu.u.riscv.menvcfg = PBMTE;
	/* 64K NAPOT in G-stage, IO; global in VS-stage. */
	host_set(&stand, 0x4000, pte(HOST + 0x8000, ALL) | UINT64_C(1) << 63 | UINT64_C(2) << 61);
	guest_set(&stand, pte(0x4000, KERNEL | 0x20));
	walk = go(&stand, VMMU_READ);
	cr_assert_eq(walk->status, VMMU_HW_OK);
	cr_assert_eq(walk->combined.output, HOST + 0x4abc);
	cr_assert_eq(walk->stage2.page_lg2, 12);
	cr_assert_eq(walk->stage2.range_lg2, 16);
	cr_assert_eq(walk->combined.range_lg2, 12);
	cr_assert_eq(walk->stage2.memtype, 2);
	cr_assert(walk->combined.global);
	cr_assert_not(walk->stage2.global);
	/* VS-stage has its own enable. */
	guest_set(&stand, pte(0x4000, KERNEL) | UINT64_C(1) << 61);
	expect_trap(go(&stand, VMMU_READ), 13, 0, 0);
	stand.cpu.u.riscv.henvcfg = PBMTE;
	cr_assert_eq(go(&stand, VMMU_READ)->stage1.memtype, 1);
	memory_free(stand.memory);
}

Test(riscv_walk, root_of_hgatp__low_bits_read_zero)
{
	struct stand stand = stand_new(&sv39, &sv39x4);

	stand.cpu.u.riscv.hgatp |= 3;
	cr_assert_eq(go(&stand, VMMU_READ)->status, VMMU_HW_OK);
	memory_free(stand.memory);
	/* Above the page number stands the VMID, the ASID. */
	stand = stand_new(&sv32, &sv32x4);
	stand.cpu.u.riscv.hgatp |= UINT64_C(0x1fc00000);
	stand.cpu.u.riscv.vsatp |= UINT64_C(0x7fc00000);
	cr_assert_eq(go(&stand, VMMU_READ)->status, VMMU_HW_OK);
	memory_free(stand.memory);
	stand = stand_new(&sv39, &sv39x4);
	stand.cpu.u.riscv.hgatp |= UINT64_C(0x3fff) << 44;
	stand.cpu.u.riscv.vsatp |= UINT64_C(0xffff) << 44;
	cr_assert_eq(go(&stand, VMMU_READ)->status, VMMU_HW_OK);
	memory_free(stand.memory);
}

Test(riscv_walk, big_leaf_with_low_bits__misaligned)
{
	struct stand stand = stand_new(&sv48, &sv48x4);
	struct chain_entry place = host_place(&stand, UINT64_C(1) << 39);

	place.at = 0;
	place.entry = pte(UINT64_C(1) << 39, ALL);
	memory_chain(stand.memory, &place);
	stand.cpu.u.riscv.vsatp = 0;
	stand.access.gva = UINT64_C(1) << 39 | 0x12345678;
	cr_assert_eq(go(&stand, VMMU_READ)->combined.page_lg2, 39);
	cr_assert_eq(stand.walk.combined.output, stand.access.gva);
	place.entry = pte(UINT64_C(1) << 39 | UINT64_C(1) << 30, ALL);
	memory_chain(stand.memory, &place);
	expect_trap(go(&stand, VMMU_READ), 21, stand.access.gva >> 2, 0);
	cr_assert_eq(stand.walk.fault.cause, VMMU_HW_RESERVED);
	memory_free(stand.memory);
}

Test(riscv_walk, registers_that_cannot_be__einval)
{
	struct stand stand = stand_new(&sv39, &sv39x4);
	struct vmmu_hw_bus bus = memory_bus(stand.memory);
	struct vmmu_hw_cpu cpu = stand.cpu;

	cpu.u.riscv.hgatp = UINT64_C(1) << 60;
	cr_assert_eq(vmmu_hw_translate(&cpu, &bus, &stand.access, &stand.walk), -EINVAL);
	cpu = stand.cpu;
	cpu.u.riscv.vsatp = UINT64_C(11) << 60;
	cr_assert_eq(vmmu_hw_translate(&cpu, &bus, &stand.access, &stand.walk), -EINVAL);
	cpu = stand.cpu;
	cpu.u.riscv.xlen = 32;
	cr_assert_eq(vmmu_hw_translate(&cpu, &bus, &stand.access, &stand.walk), -EINVAL);
	cpu = stand.cpu;
	cpu.u.riscv.xlen = cpu.u.riscv.vsxlen = 32; /* registers are 32 bits wide */
	cpu.u.riscv.vsatp = 0;
	cr_assert_eq(vmmu_hw_translate(&cpu, &bus, &stand.access, &stand.walk), -EINVAL);
	cpu.u.riscv.hgatp = UINT32_MAX;
	cr_assert_eq(vmmu_hw_translate(&cpu, &bus, &stand.access, &stand.walk), 0);
	cpu = stand.cpu;
	cpu.u.riscv.features |= 1u << 31;
	cr_assert_eq(vmmu_hw_translate(&cpu, &bus, &stand.access, &stand.walk), -EINVAL);
	cpu = stand.cpu;
	cpu.u.riscv.vsxlen = 128;
	cr_assert_eq(vmmu_hw_translate(&cpu, &bus, &stand.access, &stand.walk), -EINVAL);
	cpu = stand.cpu;
	cpu.u.riscv.pa_bits = 31;
	cr_assert_eq(vmmu_hw_translate(&cpu, &bus, &stand.access, &stand.walk), -EINVAL);
	cpu.u.riscv.pa_bits = 32;
	cr_assert_eq(vmmu_hw_translate(&cpu, &bus, &stand.access, &stand.walk), 0);
	cpu.u.riscv.pa_bits = 57;
	cr_assert_eq(vmmu_hw_translate(&cpu, &bus, &stand.access, &stand.walk), -EINVAL);
	memory_free(stand.memory);
}
