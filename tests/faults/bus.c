/* SPDX-License-Identifier: MIT */
#include "faults/bus.h"

#include <criterion/criterion.h>
#include <vmmu/vmmu.h>

/* The entry at ->hpa. */
struct find {
	uint64_t hpa;
	uint64_t *entry;
};

static int find_in_frame(void *ctx, const struct vmmu_table_frame *frame)
{
	struct find *find = ctx;

	if (find->hpa - frame->hpa >= frame->bytes)
		return 0;
	find->entry = (uint64_t *)((uintptr_t)frame->data + (find->hpa - frame->hpa));
	return 1;
}

static uint64_t *entry_at(struct vmmu_vm *vm, uint64_t hpa)
{
	struct find find = {.hpa = hpa};

	vmmu_tables(vm, find_in_frame, &find);
	return find.entry;
}

static int bus_load(void *ctx, uint64_t hpa, unsigned bytes, uint64_t *value)
{
	const uint64_t *entry = entry_at(ctx, hpa);

	cr_assert_eq(bytes, 8);
	*value = entry ? __atomic_load_n(entry, __ATOMIC_ACQUIRE) : 0;
	return entry ? 0 : -1;
}

static int bus_swap(void *ctx, uint64_t hpa, unsigned bytes, uint64_t old_value, uint64_t new_value)
{
	uint64_t *entry = entry_at(ctx, hpa);

	cr_assert_eq(bytes, 8);
	if (!entry)
		return -1;
	return !__atomic_compare_exchange_n(entry, &old_value, new_value, false, __ATOMIC_SEQ_CST,
					    __ATOMIC_SEQ_CST);
}

struct vmmu_hw_bus bus_of(struct vmmu_vm *vm)
{
	return (struct vmmu_hw_bus){.ctx = vm, .load = bus_load, .swap = bus_swap};
}

static int root_hpa(void *ctx, const struct vmmu_table_frame *frame)
{
	if (frame->root && !frame->as_id)
		*(uint64_t *)ctx = frame->hpa;
	return 0;
}

uint64_t bus_root(struct vmmu_vm *vm)
{
	uint64_t root = 0;

	vmmu_tables(vm, root_hpa, &root);
	return root;
}

struct vmmu_hw_walk bus_walk(const struct vmmu_hw_cpu *cpu, const struct vmmu_hw_bus *bus,
			     uint64_t gpa, unsigned access, unsigned flags)
{
	struct vmmu_hw_access what = {.access = access, .flags = flags};
	struct vmmu_hw_gpa where = {.gpa = gpa,
				    .purpose = VMMU_HW_FINAL,
				    .guest_page = flags & VMMU_HW_USER ? VMMU_HW_PAGE_USER : 0};
	struct vmmu_hw_walk result;

	cr_assert_eq(vmmu_hw_translate_gpa(cpu, bus, &what, &where, &result), 0);
	return result;
}
