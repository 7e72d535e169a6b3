// SPDX-License-Identifier: MIT
#include "hw/arm64_stand.h"

#include <criterion/criterion.h>

/* Tables down to level 3 for so many input bits, 4K. */
static struct chain chain_of(unsigned bits)
{
	unsigned count = (bits - 12 + 8) / 9;

	return (struct chain){count, 12, 9, bits - 12 - 9 * (count - 1), 8};
}

static struct chain_entry host_place(const struct stand *stand, uint64_t ipa)
{
	return (struct chain_entry){.chain = &stand->host,
				    .root = ROOT,
				    .stride = 0x1000,
				    .input = ipa,
				    .at = stand->host.count - 1,
				    .upper = 3};
}

void host_set(struct stand *stand, uint64_t ipa, uint64_t descriptor)
{
	struct chain_entry place = host_place(stand, ipa);

	place.entry = descriptor;
	memory_chain(stand->memory, &place);
}

uint64_t host_get(const struct stand *stand, uint64_t ipa)
{
	struct chain_entry place = host_place(stand, ipa);

	return memory_read(stand->memory, chain_address(&place, place.at), 8);
}

static struct chain_entry guest_place(const struct stand *stand)
{
	return (struct chain_entry){.chain = &stand->guest,
				    .root = 0x1000,
				    .stride = 0x1000,
				    .input = stand->access.gva,
				    .upper = 3,
				    .offset = HOST};
}

void guest_set(struct stand *stand, unsigned at, uint64_t descriptor)
{
	struct chain_entry place = guest_place(stand);

	memory_write(stand->memory, chain_address(&place, at) + HOST, 8, descriptor);
}

uint64_t guest_get(const struct stand *stand, unsigned at)
{
	struct chain_entry place = guest_place(stand);

	return memory_read(stand->memory, chain_address(&place, at) + HOST, 8);
}

static void stand_registers(struct stand *stand, unsigned guest_bits, unsigned host_bits)
{
	struct vmmu_hw_arm64 *arm = &stand->cpu.u.arm64;
	bool is_big = guest_bits > 48 || host_bits > 48;
	int start = 4 - (int)stand->host.count;

	arm->features = VMMU_HW_ARM64_FEATURES & ~(is_big ? 0 : VMMU_HW_ARM64_LPA2);
	arm->pamax = is_big ? 52 : 48;
	arm->hcr_el2 = 1;
	arm->vtcr_el2 = (64 - host_bits) | (is_big ? UINT64_C(6) : UINT64_C(5)) << 16;
	arm->vtcr_el2 |= is_big ? BIT(32) : 0;
	arm->vtcr_el2 |= start < 0 ? BIT(33) : (uint64_t)(2 - start) << 6;
	arm->vttbr_el2 = ROOT;
	arm->sctlr_el1 = 1;
	arm->tcr_el1 = (64 - guest_bits) | (is_big ? UINT64_C(6) : UINT64_C(5)) << 32;
	arm->tcr_el1 |= is_big ? BIT(59) : 0;
	arm->ttbr0_el1 = 0x1000;
	arm->mair_el1 = UINT64_C(0x00000000000000ff); /* 0: Normal, others Device */
}

struct stand stand_new(unsigned guest_bits, unsigned host_bits)
{
	struct stand stand = {.guest = chain_of(guest_bits), .host = chain_of(host_bits)};
	uint64_t sh = guest_bits > 48 ? 0x300 : 0; /* address bits there */
	struct chain_entry place;
	unsigned i;

	stand.memory = memory_new();
	stand.cpu.arch = VMMU_HW_ARM64;
	stand_registers(&stand, guest_bits, host_bits);
	stand.access =
		(struct vmmu_hw_access){.gva = GVA, .access = VMMU_READ, .flags = VMMU_HW_USER};
	place = guest_place(&stand);
	place.at = stand.guest.count - 1;
	place.entry = (0x1000 * (stand.guest.count + 1)) | (S1_RW & ~sh);
	memory_chain(stand.memory, &place);
	for (i = 1; i <= stand.guest.count + 1; i++)
		host_set(&stand, i * 0x1000, (HOST + i * 0x1000) | (S2_ALL & ~sh));
	return stand;
}

const struct vmmu_hw_walk *go(struct stand *stand, unsigned access)
{
	struct vmmu_hw_bus bus = memory_bus(stand->memory);

	stand->access.access = access;
	cr_assert_eq(vmmu_hw_translate(&stand->cpu, &bus, &stand->access, &stand->walk), 0);
	return &stand->walk;
}

void expect_esr(const struct vmmu_hw_walk *walk, unsigned el, uint64_t esr)
{
	cr_assert_eq(walk->status, el == 2 ? VMMU_HW_FAULT_HOST : VMMU_HW_FAULT_GUEST);
	cr_assert_eq(walk->report.arm64.el, el);
	cr_assert_eq(walk->report.arm64.esr, esr, "%#lx", (unsigned long)walk->report.arm64.esr);
}

void expect_hpfar(const struct vmmu_hw_walk *walk, uint64_t esr, uint64_t hpfar)
{
	expect_esr(walk, 2, esr);
	cr_assert(walk->report.arm64.hpfar_valid);
	cr_assert_eq(walk->report.arm64.hpfar, hpfar, "%#lx",
		     (unsigned long)walk->report.arm64.hpfar);
}
