/* SPDX-License-Identifier: MIT */
/*
 * The hardware model, written from the manuals alone, on tables of formats that use an option of
 * their architecture: it must find there what the engine meant.
 */
#include <vmmu/hw.h>

#include "base/bits.h"
#include "faults/bus.h"
#include "faults/harness.h"

/* ---- EPT ---- */

static struct machine *machine_of(const char *format, const struct machine_options *options)
{
	struct machine *machine = machine_create(outside_index(format), options);

	machine_slot(machine, 0, 32, 32, 0, 0);
	return machine;
}

/* A four-level walk of write-back tables. */
static struct vmmu_hw_walk ept_access(const struct machine *machine, unsigned more_features,
				      uint64_t gpa, unsigned access, unsigned flags)
{
	struct vmmu_hw_bus bus = bus_of(machine->vm);
	bool has_ad = machine->info->caps & VMMU_CAP_HW_DIRTY;
	struct vmmu_hw_cpu cpu = {
		.arch = VMMU_HW_EPT,
		.u.x86 = {.features = VMMU_HW_EPT_2M | VMMU_HW_EPT_1G | more_features,
			  .maxphyaddr = 52,
			  .eptp = bus_root(machine->vm) | 3 << 3 | 6 | (has_ad ? 1 << 6 : 0)},
	};

	return bus_walk(&cpu, &bus, gpa, access, flags);
}

/* What hardware reported, handed to the engine. Returns the outcome. */
static int serve(struct machine *machine, const struct vmmu_hw_walk *walk, struct vmmu_fault *fault)
{
	struct vmmu_syndrome syndrome = {
		.gpa = walk->report.vmx.gpa,
		.reg = {walk->report.vmx.exit_reason, walk->report.vmx.qualification}};

	cr_assert_eq(walk->status, VMMU_HW_FAULT_HOST);
	cr_assert_eq(vmmu_fault_decode("x86-ept", &syndrome, fault), 0);
	model_note_access(machine, 0, fault->gpa >> machine->page_shift, fault->access);
	return vmmu_fault(machine->vcpu[0].vcpu, fault);
}

static int age_everything(struct machine *machine)
{
	struct vmmu_hva_range all = {machine_hva(machine, 0), machine_hva(machine, 64)};

	return vmmu_age(machine->vm, &all);
}

static const unsigned kinds[] = {VMMU_READ, VMMU_WRITE, VMMU_EXEC};

/* Without A/D bits: what is aged faults whatever the access is, and comes back without the lock. */
Test(ept_noad, aged_page__is_a_violation_that_gives_all_back)
{
	struct machine *machine = machine_of("ept4-noad", NULL);
	uint64_t gpa = machine_gpa(machine, 35) + 0x123;
	struct vmmu_hw_walk walk;
	struct vmmu_fault fault;

	machine_touch(machine, 35, VMMU_WRITE);
	for (unsigned i = 0; i < ARRAY_COUNT(kinds); i++) {
		cr_expect_eq(ept_access(machine, 0, gpa, VMMU_WRITE, 0).status, VMMU_HW_OK);
		cr_expect_eq(age_everything(machine), 1);
		walk = ept_access(machine, 0, gpa, kinds[i], 0);
		cr_expect_eq(walk.report.vmx.exit_reason, 48);
		cr_expect_eq(walk.report.vmx.qualification & 0x38, 0, "no rights left");
		cr_expect_eq(serve(machine, &walk, &fault), VMMU_FIXED);
		cr_expect(fault.fast);
		walk = ept_access(machine, 0, gpa, kinds[i], 0);
		cr_expect_eq(walk.status, VMMU_HW_OK);
		cr_expect_eq(walk.stage2.output, ((uint64_t)HOST_PFN + 3) * 4096 + 0x123);
	}
	machine_destroy(machine);
}

/* Protected for the dirty log while aged: a read does not bring WRITE back, a write is logged. */
Test(ept_noad, protected_while_aged__reads_stay_reads)
{
	struct machine *machine = machine_of("ept4-noad", NULL);
	uint64_t gpa = machine_gpa(machine, 35);
	struct vmmu_hw_walk walk;
	struct vmmu_fault fault;

	machine_slot(machine, 0, 32, 32, 0, VMMU_SLOT_LOG_DIRTY);
	machine_touch(machine, 35, VMMU_WRITE);
	cr_expect_eq(age_everything(machine), 1);
	cr_expect_eq(machine_dirty_get(machine, 0, 0), 1);
	walk = ept_access(machine, 0, gpa, VMMU_READ, 0);
	cr_expect_eq(serve(machine, &walk, &fault), VMMU_FIXED);
	cr_expect_eq(ept_access(machine, 0, gpa, VMMU_READ, 0).status, VMMU_HW_OK);
	walk = ept_access(machine, 0, gpa, VMMU_WRITE, 0);
	cr_expect_eq(walk.report.vmx.qualification & 0x38, 0x28, "read and execute");
	cr_expect_eq(machine_dirty_get(machine, 0, 0), 0);
	cr_expect_eq(serve(machine, &walk, &fault), VMMU_FIXED);
	cr_expect(fault.fast);
	cr_expect_eq(ept_access(machine, 0, gpa, VMMU_WRITE, 0).status, VMMU_HW_OK);
	cr_expect_eq(machine_dirty_get(machine, 0, 0), 1);
	machine_destroy(machine);
}

/* Mode-based execute control: EXEC is for both modes, and so is its absence. */
Test(ept_mbe, execute__is_for_both_modes)
{
	struct machine_options options = {.rest_level = 2, .nx_huge = true};
	struct machine *machine = machine_create(outside_index("ept4-mbe"), &options);
	static const unsigned modes[] = {0, VMMU_HW_USER};
	uint64_t block = machine_pages(machine, 2);

	machine_slot(machine, 0, 2 * block, 2 * block, 2 * block, 0);
	machine_touch(machine, 2 * block, VMMU_EXEC);
	machine_touch(machine, 3 * block, VMMU_READ);
	for (unsigned i = 0; i < ARRAY_COUNT(modes); i++) {
		struct vmmu_hw_walk small = ept_access(machine, VMMU_HW_EPT_MBE,
						       machine_gpa(machine, 2 * block), VMMU_EXEC,
						       modes[i]);
		struct vmmu_hw_walk large = ept_access(machine, VMMU_HW_EPT_MBE,
						       machine_gpa(machine, 3 * block), VMMU_EXEC,
						       modes[i]);

		cr_expect_eq(small.status, VMMU_HW_OK, "mode %u", i);
		cr_expect_eq(small.stage2.level, 1);
		cr_expect_eq(large.fault.cause, VMMU_HW_PERMISSION, "mode %u", i);
		cr_expect_eq(large.fault.level, 2);
	}
	machine_destroy(machine);
}

static int check_suppressed(void *ctx, const struct vmmu_table_frame *frame)
{
	const uint64_t *entries = frame->data;

	for (uint64_t i = 0; i < frame->bytes / 8; i++) {
		bool is_mmio = (entries[i] & 7) == 6;

		cr_assert(is_mmio || entries[i] >> 63, "entry %#llx at level %u",
			  (unsigned long long)entries[i], frame->level);
		++*(unsigned *)ctx;
	}
	return 0;
}

/*
 * Where #VE is in use, a violation is an exit only where bit 63 of the last entry is set. MMIO
 * entries misconfigure, which exits always.
 */
Test(ept_ve, every_entry__exits)
{
	struct machine *machine = machine_of("ept4-ve", NULL);
	struct vmmu_hw_walk walk;
	struct vmmu_fault fault;
	unsigned entries = 0;

	machine_touch(machine, 35, VMMU_WRITE);
	machine_touch(machine, 36, VMMU_READ);
	machine_access(machine, 0, machine_gpa(machine, 7), VMMU_READ);
	cr_expect_eq(machine_invalidate_begin(machine, 4, 1), 0);
	cr_expect_eq(machine_invalidate_end(machine, 4, 1), 0);
	vmmu_tables(machine->vm, check_suppressed, &entries);
	cr_expect_eq(entries, 4 * 512);
	cr_expect_eq(ept_access(machine, 0, machine_gpa(machine, 35), VMMU_WRITE, 0).status,
		     VMMU_HW_OK);
	cr_expect_eq(ept_access(machine, 0, machine_gpa(machine, 36), VMMU_READ, 0).fault.cause,
		     VMMU_HW_ABSENT);
	walk = ept_access(machine, 0, machine_gpa(machine, 7), VMMU_READ, 0);
	cr_expect_eq(walk.report.vmx.exit_reason, 49);
	cr_expect_eq(serve(machine, &walk, &fault), VMMU_EMULATE);
	machine_destroy(machine);
}

/* ---- memory types ---- */

static enum vmmu_resolve_status no_page(void *ctx, const struct vmmu_page_request *request,
					struct vmmu_page *page)
{
	(void)ctx, (void)request, (void)page;
	return VMMU_RESOLVE_UNMAPPED;
}

/* Page N, of N memory types, at N pages. */
static struct vmmu_vm *vm_of_types(const char *format)
{
	struct vmmu_env env = {.size = sizeof(env), .resolve = no_page};
	struct vmmu_vm_options options = {.size = sizeof(options),
					  .format = vmmu_format_find(format),
					  .env = &env,
					  .mode = VMMU_MODE_RANGES};
	uint64_t page = BIT64(vmmu_format_info(options.format)->geometry->page_shift);
	struct vmmu_update update;
	struct vmmu_attr attr;
	struct vmmu_vm *vm;

	cr_assert_eq(vmmu_vm_create(&options, &vm), 0);
	cr_assert_eq(vmmu_update_begin(vm, 0, &update), 0);
	for (unsigned type = 0; type <= VMMU_MEM_DEVICE; type++) {
		cr_assert_eq(vmmu_attr_make(vm, VMMU_READ | VMMU_WRITE, type, &attr), 0);
		cr_assert_eq(vmmu_map(&update, type * page, type * page, page, &attr, NULL), 0);
	}
	vmmu_update_end(&update);
	return vm;
}

#define PBMTE BIT64(62)

static struct vmmu_hw_cpu riscv_cpu(struct vmmu_vm *vm, unsigned mode, uint64_t menvcfg)
{
	return (struct vmmu_hw_cpu){
		.arch = VMMU_HW_RISCV,
		.u.riscv = {.features = VMMU_HW_RISCV_SVPBMT,
			    .xlen = 64,
			    .vsxlen = 64,
			    .pa_bits = 56,
			    .hgatp = (uint64_t)mode << 60 | bus_root(vm) >> 12,
			    .menvcfg = menvcfg},
	};
}

/* Svpbmt: 0 as the memory is, 1 non-cacheable, 2 I/O. */
Test(memory_types, riscv__are_svpbmts)
{
	static const struct {
		const char *format;
		unsigned mode;
	} formats[] = {{"sv39x4", 8}, {"sv48x4", 9}, {"sv57x4", 10}};

	vmmu_thread_register();
	for (unsigned i = 0; i < ARRAY_COUNT(formats); i++) {
		struct vmmu_vm *vm = vm_of_types(formats[i].format);
		struct vmmu_hw_bus bus = bus_of(vm);
		struct vmmu_hw_cpu with = riscv_cpu(vm, formats[i].mode, PBMTE);
		struct vmmu_hw_cpu without = riscv_cpu(vm, formats[i].mode, 0);

		for (unsigned type = 0; type < 3; type++) {
			struct vmmu_hw_walk walk = bus_walk(&with, &bus, type * 4096, VMMU_WRITE,
							    0);

			cr_expect_eq(walk.status, VMMU_HW_OK);
			cr_expect_eq(walk.stage2.memtype, type, "%s", formats[i].format);
			/* where PBMTE is off, the types but the first are reserved bits */
			walk = bus_walk(&without, &bus, type * 4096, VMMU_WRITE, 0);
			cr_expect_eq(walk.status, type ? VMMU_HW_FAULT_HOST : VMMU_HW_OK);
		}
		vmmu_vm_destroy(vm);
	}
	vmmu_thread_unregister();
}

/* EPT: write-back, the guest's PAT ignored; write-combining; uncached. */
Test(memory_types, ept__are_the_manuals)
{
	static const unsigned expected[] = {6 | 1 << 3, 1, 0};
	static const char *const formats[] = {"ept4", "ept4-noad", "ept4-mbe", "ept4-ve"};

	vmmu_thread_register();
	for (unsigned i = 0; i < ARRAY_COUNT(formats); i++) {
		struct vmmu_vm *vm = vm_of_types(formats[i]);
		struct vmmu_hw_bus bus = bus_of(vm);
		struct vmmu_hw_cpu cpu = {
			.arch = VMMU_HW_EPT,
			.u.x86 = {.maxphyaddr = 52, .eptp = bus_root(vm) | 3 << 3 | 6}};

		for (unsigned type = 0; type < 3; type++) {
			struct vmmu_hw_walk walk = bus_walk(&cpu, &bus, type * 4096, VMMU_WRITE, 0);

			cr_expect_eq(walk.status, VMMU_HW_OK);
			cr_expect_eq(walk.stage2.memtype, expected[type], "%s", formats[i]);
		}
		vmmu_vm_destroy(vm);
	}
	vmmu_thread_unregister();
}
