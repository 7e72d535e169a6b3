/* SPDX-License-Identifier: MIT */
/*
 * Arm's hardware model, written from the manual alone, on the geometries that vmmu_format_find()
 * names: it accepts the very start levels and sizes that we call legal, and walks our tables to
 * where they lead.
 */
#include <stdio.h>
#include <vmmu/hw.h>

#include "base/bits.h"
#include "faults/bus.h"
#include "faults/harness.h"

/* A granule and layout. */
struct model {
	const char *name;
	unsigned granule;      /* lg2 bytes */
	unsigned tg0, ps;      /* fields of VTCR_EL2 */
	unsigned ds;           /* VTCR_EL2.DS */
	unsigned pamax;        /* bits */
	unsigned block_levels; /* ours, as a mask */
};

static const struct model models[] = {
	{"arm-s2-4k", 12, 0, 5, 0, 48, 1 << 2 | 1 << 3},
	{"arm-s2-16k", 14, 2, 5, 0, 48, 1 << 2},
	{"arm-s2-64k", 16, 1, 5, 0, 48, 1 << 2},
	{"arm-s2-4k-lpa2", 12, 0, 6, 1, 52, 1 << 2 | 1 << 3 | 1 << 4},
	{"arm-s2-16k-lpa2", 14, 2, 6, 1, 52, 1 << 2 | 1 << 3},
	{"arm-s2-64k-lpa", 16, 1, 6, 0, 52, 1 << 2 | 1 << 3},
	{"arm-s2-4k-cont", 12, 0, 5, 0, 48, 1 << 2 | 1 << 3},
	{"arm-s2-16k-cont", 14, 2, 5, 0, 48, 1 << 2},
	{"arm-s2-64k-cont", 16, 1, 5, 0, 48, 1 << 2},
};

/* Tables lie at the very top of what entries can hold. */
#define TABLES_BYTES (UINT64_C(1) << 26)

/* A VM of the embedder's mappings, and a CPU on its tables. */
struct arm {
	const struct model *model;
	struct vmmu_vm *vm;
	struct vmmu_hw_cpu cpu;
};

static enum vmmu_resolve_status no_page(void *ctx, const struct vmmu_page_request *request,
					struct vmmu_page *page)
{
	(void)ctx, (void)request, (void)page;
	return VMMU_RESOLVE_UNMAPPED;
}

static const struct vmmu_format *find(const struct model *model, unsigned ipa_bits, int start)
{
	char name[64];

	snprintf(name, sizeof(name), "%s-%u-l%d", model->name, ipa_bits, start);
	return vmmu_format_find(name);
}

/* VTCR_EL2.SL0 and SL2 (bit 33) that name the start level. */
static uint64_t start_bits(const struct model *model, int start)
{
	if (model->granule != 12)
		return (uint64_t)(3 - start) << 6;
	if (start == -1)
		return BIT64(33);
	return (start == 3 ? UINT64_C(3) : (uint64_t)(2 - start)) << 6;
}

static struct vmmu_hw_cpu cpu_for(const struct model *model, unsigned ipa_bits, int start)
{
	return (struct vmmu_hw_cpu){
		.arch = VMMU_HW_ARM64,
		.u.arm64 = {.features = VMMU_HW_ARM64_XNX | VMMU_HW_ARM64_TTST |
					(model->pamax == 52 ? VMMU_HW_ARM64_LPA2 | VMMU_HW_ARM64_LVA
							    : 0),
			    .pamax = (uint8_t)model->pamax,
			    .hcr_el2 = 1,
			    .vtcr_el2 = (uint64_t)model->ds << 32 | (uint64_t)model->ps << 16 |
					(uint64_t)model->tg0 << 14 | start_bits(model, start) |
					(64 - ipa_bits)},
	};
}

static int load_nothing(void *ctx, uint64_t hpa, unsigned bytes, uint64_t *value)
{
	(void)ctx, (void)hpa, (void)bytes;
	*value = 0;
	return 0;
}

/* Start level -1 and 0 are only tried where VTCR_EL2 can say so. */
static int first_start(const struct model *model)
{
	if (model->granule == 12)
		return model->ds ? -1 : 0;
	return model->ds ? 0 : 1;
}

static unsigned count_accepted(const struct model *model)
{
	struct vmmu_hw_bus bus = {.load = load_nothing};
	unsigned accepted = 0;

	for (int start = first_start(model); start < 4; start++) {
		for (unsigned bits = 1; bits <= 63; bits++) {
			struct vmmu_hw_cpu cpu = cpu_for(model, bits, start);
			struct vmmu_hw_walk result = bus_walk(&cpu, &bus, 0, VMMU_READ, 0);
			bool is_accepted = result.fault.cause == VMMU_HW_ABSENT;

			cr_expect(is_accepted || result.fault.cause == VMMU_HW_INPUT_SIZE);
			cr_expect_eq(find(model, bits, start) != NULL, is_accepted,
				     "%s: %u bits from level %d", model->name, bits, start);
			accepted += is_accepted;
		}
	}
	return accepted;
}

Test(arm_geometry, what_hardware_refuses__has_no_name)
{
	static const unsigned expected[] = {45, 41, 40, 53, 49, 44, 45, 41, 40};

	for (unsigned i = 0; i < ARRAY_COUNT(models); i++)
		cr_expect_eq(count_accepted(&models[i]), expected[i], "%s", models[i].name);
}

static void arm_init(struct arm *arm, unsigned ipa_bits, int start)
{
	struct vmmu_env env = {.size = sizeof(env), .resolve = no_page};
	struct vmmu_vm_options options = {.size = sizeof(options),
					  .format = find(arm->model, ipa_bits, start),
					  .env = &env,
					  .tables_hpa = BIT64(arm->model->pamax) - TABLES_BYTES,
					  .tables_bytes = TABLES_BYTES,
					  .mode = VMMU_MODE_RANGES};

	cr_assert_eq(vmmu_vm_create(&options, &arm->vm), 0, "%s-%u-l%d", arm->model->name, ipa_bits,
		     start);
	arm->cpu = cpu_for(arm->model, ipa_bits, start);
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

static struct vmmu_hw_walk walk_tables(struct arm *arm, uint64_t gpa, unsigned access)
{
	struct vmmu_hw_bus bus = bus_of(arm->vm);
	uint64_t root = bus_root(arm->vm);

	/* VTTBR_EL2 has address bits 51:48 in its bits 5:2. */
	arm->cpu.u.arm64.vttbr_el2 = (root & BITS64(47, 0)) | root >> 48 << 2;
	return bus_walk(&arm->cpu, &bus, gpa, access, 0);
}

static void expect_walk(struct arm *arm, uint64_t gpa, uint64_t hpa, unsigned level)
{
	struct vmmu_hw_walk result = walk_tables(arm, gpa, VMMU_WRITE);

	cr_expect_eq(result.status, VMMU_HW_OK, "%s: %#llx", arm->model->name,
		     (unsigned long long)gpa);
	cr_expect_eq(result.stage2.output, hpa, "%s: %#llx to %#llx", arm->model->name,
		     (unsigned long long)gpa, (unsigned long long)result.stage2.output);
	cr_expect_eq(result.stage2.level, level);
}

static void expect_absent(struct arm *arm, uint64_t gpa)
{
	cr_expect_eq(walk_tables(arm, gpa, VMMU_READ).fault.cause, VMMU_HW_ABSENT, "%s: %#llx",
		     arm->model->name, (unsigned long long)gpa);
}

/* Lg2 bytes of a block at LEVEL (ours) of the geometry; 0: it has none, or none that fits. */
static unsigned block_lg2(const struct arm *arm, unsigned ipa_bits, int start, unsigned level)
{
	unsigned lg2 = arm->model->granule + (arm->model->granule - 3) * (level - 1);

	if (!(arm->model->block_levels >> level & 1) || level > (unsigned)(4 - start))
		return 0;
	return lg2 + 2 <= ipa_bits ? lg2 : 0;
}

/* A block at (2^bits / 4), to an address with the highest bits that a block's can have. */
static void walk_block(struct arm *arm, unsigned ipa_bits, unsigned lg2, unsigned level)
{
	uint64_t gpa = BIT64(ipa_bits) / 4;
	uint64_t hpa = align_down(UINT64_C(0xdb6db6db6db6d) >> (52 - arm->model->pamax),
				  BIT64(lg2));

	map(arm, gpa, hpa, BIT64(lg2), VMMU_RWX);
	expect_walk(arm, gpa, hpa, level);
	expect_walk(arm, gpa + BIT64(lg2) - 1, hpa + BIT64(lg2) - 1, level);
	expect_absent(arm, gpa + BIT64(lg2));
}

/* A page at each end and one on each side of the middle, where root tables meet. */
static void walk_pages(struct arm *arm, unsigned bits)
{
	uint64_t end = BIT64(bits), page = BIT64(arm->model->granule);
	uint64_t high = BIT64(arm->model->pamax) - page, low = UINT64_C(0x123450000);

	map(arm, 0, low, page, VMMU_RWX);
	map(arm, end - page, high, page, VMMU_RWX);
	expect_walk(arm, 0xabc, low + 0xabc, 1);
	expect_walk(arm, end - 1, high + page - 1, 1);
	if (end == 2 * page)
		return;
	map(arm, end / 2, UINT64_C(0xa5a5a0000), page, VMMU_RWX);
	map(arm, end / 2 - page, UINT64_C(0x5a5a50000), page, VMMU_RWX);
	expect_walk(arm, end / 2, UINT64_C(0xa5a5a0000), 1);
	expect_walk(arm, end / 2 - page, UINT64_C(0x5a5a50000), 1);
	if (end == 4 * page)
		return;
	expect_absent(arm, page);
	expect_absent(arm, end / 2 + page);
	expect_absent(arm, end - 2 * page);
}

/* What is mapped at half of each size is the pages' above: blocks begin at a quarter. */
static void walk_geometry(const struct model *model, unsigned bits, int start)
{
	struct arm arm = {.model = model};

	for (unsigned level = 1; level <= 4; level++) {
		unsigned lg2 = level > 1 ? block_lg2(&arm, bits, start, level) : 0;

		if (level > 1 && !lg2)
			continue;
		arm_init(&arm, bits, start);
		if (level == 1)
			walk_pages(&arm, bits);
		else
			walk_block(&arm, bits, lg2, level);
		vmmu_vm_destroy(arm.vm);
	}
}

Test(arm_geometry, tables_that_we_build__lead_hardware_to_the_pages)
{
	unsigned count = 0;

	vmmu_thread_register();
	for (unsigned i = 0; i < ARRAY_COUNT(models); i++) {
		for (int start = -1; start < 4; start++) {
			for (unsigned bits = 1; bits < 64; bits++) {
				if (!find(&models[i], bits, start))
					continue;
				walk_geometry(&models[i], bits, start);
				count++;
			}
		}
	}
	cr_expect_eq(count, 398);
	vmmu_thread_unregister();
}
