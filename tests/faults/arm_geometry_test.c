/* SPDX-License-Identifier: MIT */
/*
 * Arm's hardware model, written from the manual alone, on the geometries that vmmu_format_find()
 * names: it accepts the very start levels and sizes that we call legal, and walks our tables to
 * where they lead.
 */
#include <stdio.h>
#include <vmmu/hw.h>

#include "base/bits.h"
#include "faults/harness.h"

/* A VM of the embedder's mappings, and a CPU on its tables. */
struct arm {
	struct vmmu_vm *vm;
	struct vmmu_hw_cpu cpu;
};

static enum vmmu_resolve_status no_page(void *ctx, const struct vmmu_page_request *request,
					struct vmmu_page *page)
{
	(void)ctx, (void)request, (void)page;
	return VMMU_RESOLVE_UNMAPPED;
}

static const struct vmmu_format *find(unsigned ipa_bits, unsigned start)
{
	char name[32];

	snprintf(name, sizeof(name), "arm-s2-4k-%u-l%u", ipa_bits, start);
	return vmmu_format_find(name);
}

/* VTCR_EL2: PS 48 bits, 4K granule; SL0 is 2 - level, 3 for level 3; T0SZ. */
static struct vmmu_hw_cpu cpu_for(unsigned ipa_bits, unsigned start)
{
	uint64_t sl0 = start == 3 ? 3 : 2 - start;

	return (struct vmmu_hw_cpu){
		.arch = VMMU_HW_ARM64,
		.u.arm64 = {.features = VMMU_HW_ARM64_XNX | VMMU_HW_ARM64_TTST,
			    .pamax = 48,
			    .hcr_el2 = 1,
			    .vtcr_el2 = UINT64_C(5) << 16 | sl0 << 6 | (64 - ipa_bits)},
	};
}

struct load {
	uint64_t hpa, value;
	bool is_done;
};

static int load_frame(void *ctx, const struct vmmu_table_frame *frame)
{
	struct load *load = ctx;

	if (load->hpa - frame->hpa >= frame->bytes)
		return 0;
	load->value = *(const uint64_t *)((const char *)frame->data + (load->hpa - frame->hpa));
	load->is_done = true;
	return 1;
}

static int load_from_tables(void *ctx, uint64_t hpa, unsigned bytes, uint64_t *value)
{
	struct load load = {.hpa = hpa};

	cr_assert_eq(bytes, 8);
	vmmu_tables(ctx, load_frame, &load);
	*value = load.value;
	return load.is_done ? 0 : -1;
}

static int load_nothing(void *ctx, uint64_t hpa, unsigned bytes, uint64_t *value)
{
	(void)ctx, (void)hpa, (void)bytes;
	*value = 0;
	return 0;
}

static struct vmmu_hw_walk walk(const struct vmmu_hw_cpu *cpu, const struct vmmu_hw_bus *bus,
				uint64_t gpa, unsigned access)
{
	struct vmmu_hw_access what = {.access = access};
	struct vmmu_hw_gpa where = {.gpa = gpa, .purpose = VMMU_HW_FINAL};
	struct vmmu_hw_walk result;

	cr_assert_eq(vmmu_hw_translate_gpa(cpu, bus, &what, &where, &result), 0);
	return result;
}

Test(arm_geometry, what_hardware_refuses__has_no_name)
{
	struct vmmu_hw_bus bus = {.load = load_nothing};
	unsigned accepted = 0;

	for (unsigned start = 0; start < 4; start++) {
		for (unsigned bits = 25; bits <= 48; bits++) {
			struct vmmu_hw_cpu cpu = cpu_for(bits, start);
			struct vmmu_hw_walk result = walk(&cpu, &bus, 0, VMMU_READ);
			bool is_accepted = result.fault.cause == VMMU_HW_ABSENT;

			cr_expect(is_accepted || result.fault.cause == VMMU_HW_INPUT_SIZE);
			cr_expect_eq(find(bits, start) != NULL, is_accepted,
				     "%u bits from level %u", bits, start);
			accepted += is_accepted;
		}
	}
	cr_expect_eq(accepted, 33);
}

static void arm_init(struct arm *arm, unsigned ipa_bits, unsigned start)
{
	struct vmmu_env env = {.size = sizeof(env), .resolve = no_page};
	struct vmmu_vm_options options = {.size = sizeof(options),
					  .format = find(ipa_bits, start),
					  .env = &env,
					  .mode = VMMU_MODE_RANGES};

	cr_assert_eq(vmmu_vm_create(&options, &arm->vm), 0);
	arm->cpu = cpu_for(ipa_bits, start);
}

static void map(struct arm *arm, uint64_t gpa, uint64_t hpa, uint64_t bytes, unsigned access)
{
	struct vmmu_update update;
	struct vmmu_attr attr;

	cr_assert_eq(vmmu_attr_make(arm->vm, access, VMMU_MEM_WRITEBACK, &attr), 0);
	cr_assert_eq(vmmu_update_begin(arm->vm, 0, &update), 0);
	cr_assert_eq(vmmu_map(&update, gpa, hpa, bytes, &attr, NULL), 0);
	vmmu_update_end(&update);
}

static int root_hpa(void *ctx, const struct vmmu_table_frame *frame)
{
	if (frame->root)
		*(uint64_t *)ctx = frame->hpa;
	return 0;
}

static void expect_walk(struct arm *arm, uint64_t gpa, uint64_t hpa, unsigned level)
{
	struct vmmu_hw_bus bus = {.ctx = arm->vm, .load = load_from_tables};
	struct vmmu_hw_walk result = walk(&arm->cpu, &bus, gpa, VMMU_WRITE);

	cr_expect_eq(result.status, VMMU_HW_OK, "%#llx", (unsigned long long)gpa);
	cr_expect_eq(result.stage2.output, hpa, "%#llx", (unsigned long long)gpa);
	cr_expect_eq(result.stage2.level, level);
}

static void expect_absent(struct arm *arm, uint64_t gpa)
{
	struct vmmu_hw_bus bus = {.ctx = arm->vm, .load = load_from_tables};

	cr_expect_eq(walk(&arm->cpu, &bus, gpa, VMMU_READ).status, VMMU_HW_FAULT_HOST);
}

/*
 * A page at each end and one in the middle, where root tables meet; a 2M block where there is one;
 * a 1G one too.
 */
static void walk_geometry(unsigned bits, unsigned start)
{
	uint64_t end = BIT64(bits), large = start < 3 ? BIT64(21) : 0;
	struct arm arm;

	arm_init(&arm, bits, start);
	map(&arm, 0, 0x123456000, 0x1000, VMMU_RWX);
	map(&arm, end - 0x1000, 0x7edcba987000, 0x1000, VMMU_RWX);
	map(&arm, end / 2, 0xa5a5a5000, 0x1000, VMMU_RWX);
	map(&arm, end / 2 - 0x1000, 0x5a5a5a000, 0x1000, VMMU_RWX);
	if (large)
		map(&arm, end / 4, 0x600000000, large, VMMU_RWX);
	if (start < 2 && bits > 33)
		map(&arm, end / 8, 0x40000000, BIT64(30), VMMU_RWX);
	vmmu_tables(arm.vm, root_hpa, &arm.cpu.u.arm64.vttbr_el2);
	expect_walk(&arm, 0xabc, 0x123456abc, 1);
	expect_walk(&arm, end - 1, 0x7edcba987fff, 1);
	expect_walk(&arm, end / 2, 0xa5a5a5000, 1);
	expect_walk(&arm, end / 2 - 0x1000, 0x5a5a5a000, 1);
	expect_absent(&arm, 0x1000);
	expect_absent(&arm, end / 2 + 0x1000);
	expect_absent(&arm, end - 0x2000);
	if (large)
		expect_walk(&arm, end / 4 + 0x12345, 0x600012345, 2);
	if (start < 2 && bits > 33)
		expect_walk(&arm, end / 8 + 0x3456789, 0x43456789, 3);
	vmmu_vm_destroy(arm.vm);
}

Test(arm_geometry, tables_that_we_build__lead_hardware_to_the_pages)
{
	vmmu_thread_register();
	for (unsigned start = 0; start < 4; start++)
		for (unsigned bits = 25; bits <= 48; bits++)
			if (find(bits, start))
				walk_geometry(bits, start);
	vmmu_thread_unregister();
}
