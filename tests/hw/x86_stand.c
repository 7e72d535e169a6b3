// SPDX-License-Identifier: MIT
#include "hw/x86_stand.h"

#include <criterion/criterion.h>

const struct chain chain4 = {4, 12, 9, 9, 8}, chain5 = {5, 12, 9, 9, 8};
const struct chain chain_pae = {3, 12, 9, 2, 8}, chain32 = {2, 12, 10, 10, 4};

struct chain_entry host_place(const struct stand *stand, uint64_t gpa)
{
	return (struct chain_entry){.chain = stand->host,
				    .root = ROOT,
				    .stride = 0x1000,
				    .input = gpa,
				    .at = stand->host->count - 1,
				    .upper = stand->host_upper};
}

void host_set(struct stand *stand, uint64_t gpa, uint64_t entry)
{
	struct chain_entry place = host_place(stand, gpa);

	place.entry = entry;
	memory_chain(stand->memory, &place);
}

uint64_t host_get(const struct stand *stand, uint64_t gpa)
{
	struct chain_entry place = host_place(stand, gpa);

	return memory_read(stand->memory, chain_address(&place, place.at), 8);
}

/* Guest entry number AT of the walk to GVA. */
static struct chain_entry guest_place(const struct stand *stand, unsigned at)
{
	return (struct chain_entry){.chain = stand->guest,
				    .root = 0x1000,
				    .stride = 0x1000,
				    .input = stand->access.gva,
				    .at = at,
				    .offset = HOST};
}

void guest_set(struct stand *stand, unsigned at, uint64_t entry)
{
	struct chain_entry place = guest_place(stand, at);

	memory_write(stand->memory, chain_address(&place, at) + HOST, stand->guest->bytes, entry);
}

uint64_t guest_get(const struct stand *stand, unsigned at)
{
	struct chain_entry place = guest_place(stand, at);

	return memory_read(stand->memory, chain_address(&place, at) + HOST, stand->guest->bytes);
}

struct stand stand_new(enum vmmu_hw_arch arch, const struct chain *guest, const struct chain *host)
{
	struct stand stand = {.guest = guest, .host = host};
	struct vmmu_hw_x86 *x86 = &stand.cpu.u.x86;
	uint64_t leaf = arch == VMMU_HW_EPT ? 0x337 : 0x67;
	struct chain_entry place;
	unsigned i;

	stand.memory = memory_new();
	stand.host_upper = arch == VMMU_HW_EPT ? 0x107 : 0x27;
	stand.cpu.arch = arch;
	x86->features = VMMU_HW_X86_1G | VMMU_HW_EPT_EXEC_ONLY | VMMU_HW_EPT_2M | VMMU_HW_EPT_1G;
	x86->maxphyaddr = 46;
	x86->cr0 = UINT64_C(1) << 31 | 1 << 16;
	x86->cr3 = 0x1000;
	x86->cr4 = 1 << 4 | (guest == &chain32 ? 0 : 1 << 5) | (guest == &chain5 ? 1 << 12 : 0);
	x86->efer = guest == &chain4 || guest == &chain5 ? EFER64 : 1 << 11;
	x86->eptp = ROOT | 6 | (host == &chain5 ? 4 << 3 : 3 << 3);
	x86->ncr3 = ROOT;
	x86->host_efer = EFER64;
	x86->host_cr4 = host == &chain5 ? 1 << 12 : 0;
	stand.access = (struct vmmu_hw_access){
		.gva = guest->bytes == 8 && guest != &chain_pae ? GVA : 0x56789abc,
		.access = VMMU_READ};
	place = guest_place(&stand, guest->count - 1);
	place.upper = 0x27;
	place.entry = (0x1000 * (guest->count + 1)) | 0x67;
	memory_chain(stand.memory, &place);
	if (guest == &chain_pae)
		guest_set(&stand, 0, 0x2001);
	for (i = 1; arch != VMMU_HW_X86 && i <= guest->count + 1; i++)
		host_set(&stand, i * 0x1000, (HOST + i * 0x1000) | leaf);
	return stand;
}

const struct vmmu_hw_walk *go(struct stand *stand, unsigned access)
{
	struct vmmu_hw_bus bus = memory_bus(stand->memory);

	stand->access.access = access;
	cr_assert_eq(vmmu_hw_translate(&stand->cpu, &bus, &stand->access, &stand->walk), 0);
	return &stand->walk;
}

void expect_exit(const struct vmmu_hw_walk *walk, uint64_t qualification, uint64_t gpa)
{
	cr_assert_eq(walk->status, VMMU_HW_FAULT_HOST);
	cr_assert_eq(walk->report.vmx.exit_reason, 48);
	cr_assert_eq(walk->report.vmx.qualification, qualification, "%#lx",
		     (unsigned long)walk->report.vmx.qualification);
	cr_assert_eq(walk->report.vmx.gpa, gpa);
	cr_assert_eq(walk->report.vmx.gla, GVA);
	cr_assert(walk->report.vmx.gla_valid);
}
