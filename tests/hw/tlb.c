// SPDX-License-Identifier: MIT
/*
 * The TLB by itself, on tables written by hand: what each architecture keeps, what serves what,
 * and what each flush operation removes.
 */
#include <vmmu/tlb.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "hw/memory.h"

#define ROOT  UINT64_C(0x100000)
#define PAGE  UINT64_C(0x40080000)
#define GPA   UINT64_C(0x5678)
#define SPACE 3

/* One CPU with guest paging off, its second stage and its TLB. */
struct bench {
	struct memory *memory;
	struct vmmu_hw_bus bus;
	struct vmmu_hw_cpu cpu;
	struct vmmu_tlb *tlb;
	struct vmmu_hw_walk walk;
	uint64_t table; /* entry of an upper table: address 0, flags */
	bool is_ppn;
	struct chain chain;
};

static void bench_registers(struct bench *bench, enum vmmu_hw_arch arch)
{
	struct vmmu_hw_cpu *cpu = &bench->cpu;

	cpu->arch = arch;
	bench->chain = (struct chain){4, 12, 9, 9, 8};
	switch (arch) {
	case VMMU_HW_EPT:
		cpu->u.x86 = (struct vmmu_hw_x86){.features = VMMU_HW_EPT_2M,
						  .maxphyaddr = 46,
						  .eptp = ROOT | 6 | 3 << 3 | 1 << 6,
						  .vpid = 9};
		bench->table = 0x107;
		break;
	case VMMU_HW_NPT:
		cpu->u.x86 = (struct vmmu_hw_x86){
			.maxphyaddr = 46, .ncr3 = ROOT, .host_efer = 1 << 10 | 1 << 11, .asid = 7};
		bench->table = 0x27;
		break;
	case VMMU_HW_RISCV:
		cpu->u.riscv = (struct vmmu_hw_riscv){.xlen = 64,
						      .vsxlen = 64,
						      .pa_bits = 56,
						      .hgatp = UINT64_C(8) << 60 |
							       UINT64_C(7) << 44 | ROOT >> 12};
		bench->chain = (struct chain){3, 12, 9, 11, 8};
		bench->table = 1;
		bench->is_ppn = true;
		break;
	default:
		cpu->u.arm64 = (struct vmmu_hw_arm64){.pamax = 48,
						      .hcr_el2 = 1,
						      /* 39 bits, start at level 1, 48-bit output */
						      .vtcr_el2 = 25 | 1 << 6 | 5 << 16,
						      .vttbr_el2 = UINT64_C(7) << 48 | ROOT};
		bench->chain = (struct chain){3, 12, 9, 9, 8};
		bench->table = 3;
	}
}

static uint64_t bench_place(struct bench *bench, uint64_t gpa, unsigned level, uint64_t entry)
{
	struct chain_entry place = {.chain = &bench->chain,
				    .root = ROOT,
				    .stride = 0x4000,
				    .input = gpa,
				    .at = bench->chain.count - level,
				    .entry = entry,
				    .upper = bench->table,
				    .is_ppn = bench->is_ppn};

	return memory_chain(bench->memory, &place);
}

static void bench_open(struct bench *bench, enum vmmu_hw_arch arch)
{
	const struct vmmu_tlb_options options = {.size = sizeof(options), .arch = arch};

	memset(bench, 0, sizeof(*bench));
	bench->memory = memory_new();
	bench->bus = memory_bus(bench->memory);
	bench_registers(bench, arch);
	cr_assert_eq(vmmu_tlb_create(&options, &bench->tlb), 0);
}

static void bench_close(struct bench *bench)
{
	vmmu_tlb_destroy(bench->tlb);
	memory_free(bench->memory);
}

/* What the entry PAGE grants everything with, A and D set. */
static uint64_t full_leaf(const struct bench *bench)
{
	switch (bench->cpu.arch) {
	case VMMU_HW_EPT:
		return PAGE | 0x337;
	case VMMU_HW_NPT:
		return PAGE | 0x67;
	case VMMU_HW_RISCV:
		return PAGE >> 2 | 0xdf;
	default:
		return PAGE | 0x7ff;
	}
}

static enum vmmu_hw_status go(struct bench *bench, uint64_t gva, unsigned access)
{
	struct vmmu_hw_access asked = {.gva = gva, .access = access};

	cr_assert_eq(vmmu_tlb_translate(bench->tlb, &bench->cpu, &bench->bus, SPACE, &asked,
					&bench->walk),
		     0);
	return bench->walk.status;
}

struct count {
	unsigned kinds[VMMU_TLB_KINDS];
	struct vmmu_tlb_entry last;
};

static int count_entry(void *ctx, const struct vmmu_tlb_entry *entry)
{
	struct count *count = ctx;

	count->kinds[entry->kind]++;
	count->last = *entry;
	return 0;
}

static struct count held(const struct bench *bench)
{
	struct count count = {0};

	cr_assert_eq(vmmu_tlb_visit(bench->tlb, count_entry, &count), 0);
	return count;
}

static const enum vmmu_hw_arch arches[] = {VMMU_HW_EPT, VMMU_HW_NPT, VMMU_HW_RISCV, VMMU_HW_ARM64};

#define FOR_EACH_ARCH(bench)                                                            \
	for (unsigned arch_ = 0; arch_ < 4 && (bench_open(bench, arches[arch_]), true); \
	     bench_close(bench), arch_++)

Test(tlb, second_access_of_a_page__reads_no_memory)
{
	struct bench bench;

	FOR_EACH_ARCH(&bench)
	{
		unsigned levels = bench.chain.count;

		bench_place(&bench, GPA, 1, full_leaf(&bench));
		cr_assert_eq(go(&bench, GPA, VMMU_READ), VMMU_HW_OK);
		cr_assert_eq(bench.walk.load_count, levels);
		cr_assert_eq(held(&bench).kinds[VMMU_TLB_LEAF], 1);
		cr_assert_eq(held(&bench).kinds[VMMU_TLB_TABLE], levels - 1);
		/* gone from memory, kept by the TLB */
		bench_place(&bench, GPA, 1, 0);
		cr_assert_eq(go(&bench, GPA + 0x100, VMMU_READ), VMMU_HW_OK);
		cr_assert_eq(bench.walk.load_count, 0);
		cr_assert_eq(bench.walk.combined.output, PAGE | 0x778);
		/* the neighbour is served down to the last table */
		cr_assert_eq(go(&bench, GPA + 0x1000, VMMU_READ), VMMU_HW_FAULT_HOST);
		cr_assert_eq(bench.walk.load_count, 1);
	}
}

Test(tlb, an_entry_that_is_not_there__is_kept_on_riscv_alone)
{
	struct bench bench;

	FOR_EACH_ARCH(&bench)
	{
		bool is_riscv = bench.cpu.arch == VMMU_HW_RISCV;

		bench_place(&bench, GPA, 1, 0);
		cr_assert_eq(go(&bench, GPA, VMMU_READ), VMMU_HW_FAULT_HOST);
		cr_assert_eq(held(&bench).kinds[VMMU_TLB_ABSENT], is_riscv);
		cr_assert_eq(held(&bench).kinds[VMMU_TLB_LEAF], 0);
		bench_place(&bench, GPA, 1, full_leaf(&bench));
		cr_assert_eq(go(&bench, GPA, VMMU_READ),
			     is_riscv ? VMMU_HW_FAULT_HOST : VMMU_HW_OK);
		if (is_riscv)
			cr_assert_eq(bench.walk.report.riscv.cause, 21);
	}
}

Test(tlb, a_page_not_accessed_that_hardware_cannot_mark__is_kept_on_riscv_alone)
{
	struct bench bench;

	FOR_EACH_ARCH(&bench)
	{
		bool is_riscv = bench.cpu.arch == VMMU_HW_RISCV;

		if (bench.cpu.arch <= VMMU_HW_NPT)
			continue;
		bench_place(&bench, GPA, 1,
			    full_leaf(&bench) & ~(is_riscv ? UINT64_C(0x40) : UINT64_C(0x400)));
		cr_assert_eq(go(&bench, GPA, VMMU_READ), VMMU_HW_FAULT_HOST);
		cr_assert_eq(bench.walk.fault.cause, VMMU_HW_ACCESSED);
		cr_assert_eq(held(&bench).kinds[VMMU_TLB_ABSENT] +
				     held(&bench).kinds[VMMU_TLB_LEAF],
			     is_riscv);
	}
}

/* Maintenance does not mind AF=0, and leaves nothing behind that would. */
Test(tlb, maintenance_of_a_page_not_accessed__keeps_nothing_on_arm)
{
	struct vmmu_hw_access clean = {.gva = GPA, .access = VMMU_READ, .flags = VMMU_HW_CACHE_OP};
	struct bench bench;

	bench_open(&bench, VMMU_HW_ARM64);
	bench_place(&bench, GPA, 1, full_leaf(&bench) & ~UINT64_C(0x400));
	cr_assert_eq(
		vmmu_tlb_translate(bench.tlb, &bench.cpu, &bench.bus, SPACE, &clean, &bench.walk),
		0);
	cr_assert_eq(bench.walk.status, VMMU_HW_OK);
	cr_assert_eq(held(&bench).kinds[VMMU_TLB_LEAF], 0);
	bench_place(&bench, GPA, 1, full_leaf(&bench));
	cr_assert_eq(go(&bench, GPA, VMMU_READ), VMMU_HW_OK);
	bench_close(&bench);
}

Test(tlb, a_right_that_was_missing__is_remembered_until_x86_faults_and_others_are_told)
{
	struct bench bench;

	FOR_EACH_ARCH(&bench)
	{
		uint64_t write = bench.cpu.arch == VMMU_HW_RISCV   ? 4
				 : bench.cpu.arch == VMMU_HW_ARM64 ? 0x80
								   : 2;
		bool is_x86 = bench.cpu.arch <= VMMU_HW_NPT;

		bench_place(&bench, GPA, 1, full_leaf(&bench) & ~write);
		cr_assert_eq(go(&bench, GPA, VMMU_READ), VMMU_HW_OK);
		bench_place(&bench, GPA, 1, full_leaf(&bench));
		cr_assert_eq(go(&bench, GPA, VMMU_WRITE), VMMU_HW_FAULT_HOST);
		cr_assert_eq(bench.walk.fault.cause, VMMU_HW_PERMISSION);
		cr_assert_eq(go(&bench, GPA, VMMU_WRITE), is_x86 ? VMMU_HW_OK : VMMU_HW_FAULT_HOST);
	}
}

Test(tlb, a_page_kept_as_clean__is_looked_up_again_for_the_write)
{
	struct bench bench;
	uint64_t place;

	bench_open(&bench, VMMU_HW_EPT);
	place = bench_place(&bench, GPA, 1, PAGE | 0x37);
	cr_assert_eq(go(&bench, GPA, VMMU_READ), VMMU_HW_OK);
	cr_assert_eq(memory_read(bench.memory, place, 8), PAGE | 0x137);
	cr_assert_eq(go(&bench, GPA, VMMU_WRITE), VMMU_HW_OK);
	cr_assert_eq(memory_read(bench.memory, place, 8), PAGE | 0x337);
	/* not by what it remembers: another page stands there now */
	bench_place(&bench, GPA + 0x1000, 1, PAGE | 0x137);
	cr_assert_eq(go(&bench, GPA + 0x1000, VMMU_READ), VMMU_HW_OK);
	bench_place(&bench, GPA + 0x1000, 1, (PAGE + 0x3000) | 0x137);
	cr_assert_eq(go(&bench, GPA + 0x1000, VMMU_WRITE), VMMU_HW_OK);
	cr_assert_eq(bench.walk.combined.output, (PAGE + 0x3000) | 0x678);
	bench_close(&bench);
}

Test(tlb, other_tags__nothing_is_served)
{
	struct bench bench;

	FOR_EACH_ARCH(&bench)
	{
		bench_place(&bench, GPA, 1, full_leaf(&bench));
		cr_assert_eq(go(&bench, GPA, VMMU_READ), VMMU_HW_OK);
		if (bench.cpu.arch == VMMU_HW_EPT)
			bench.cpu.u.x86.eptp += 0x1000000;
		else if (bench.cpu.arch == VMMU_HW_NPT)
			bench.cpu.u.x86.asid++;
		else if (bench.cpu.arch == VMMU_HW_RISCV)
			bench.cpu.u.riscv.hgatp += UINT64_C(1) << 44;
		else
			bench.cpu.u.arm64.vttbr_el2 += UINT64_C(1) << 48;
		go(&bench, GPA, VMMU_READ);
		cr_assert_geq(bench.walk.load_count, 1);
	}
}

Test(tlb, a_contiguous_group__is_served_by_one_entry)
{
	struct bench bench;

	bench_open(&bench, VMMU_HW_ARM64);
	bench_place(&bench, GPA, 1, UINT64_C(1) << 52 | full_leaf(&bench));
	cr_assert_eq(go(&bench, GPA, VMMU_READ), VMMU_HW_OK);
	cr_assert_eq(held(&bench).kinds[VMMU_TLB_LEAF], 1);
	/* its neighbour in the group of 16, which is not in memory */
	cr_assert_eq(go(&bench, GPA + 0x3000, VMMU_READ), VMMU_HW_OK);
	cr_assert_eq(bench.walk.combined.output, PAGE | 0x8678);
	cr_assert_eq(go(&bench, GPA + 0x10000, VMMU_READ), VMMU_HW_FAULT_HOST);
	bench_close(&bench);
}

/* Removed by an operation: leaves, ways to tables. */
struct removal {
	enum vmmu_hw_arch arch;
	struct vmmu_tlb_flush flush;
	unsigned leaf_goes, tables_go; /* true or false */
};

#define EVERYWHERE 0, VMMU_TLB_ANY
#define OTHER_PAGE 0x9000, 0xa000

static const struct removal removals[] = {
	{VMMU_HW_EPT, {VMMU_TLB_INVEPT_SINGLE, ROOT, 0, 0, EVERYWHERE}, true, true},
	{VMMU_HW_EPT, {VMMU_TLB_INVEPT_SINGLE, ROOT + 4096, 0, 0, EVERYWHERE}, false, false},
	{VMMU_HW_EPT, {VMMU_TLB_INVEPT_ALL, 0, 0, 0, EVERYWHERE}, true, true},
	/* guest-physical mappings are no VPID's */
	{VMMU_HW_EPT, {VMMU_TLB_INVVPID_ALL, 0, 0, 0, EVERYWHERE}, false, false},
	{VMMU_HW_EPT, {VMMU_TLB_INVVPID_SINGLE, 0, 9, 0, EVERYWHERE}, false, false},
	{VMMU_HW_NPT, {VMMU_TLB_SVM_FLUSH_ALL, 0, 0, 0, EVERYWHERE}, true, true},
	{VMMU_HW_NPT, {VMMU_TLB_SVM_FLUSH_ASID, 7, 0, 0, EVERYWHERE}, true, true},
	{VMMU_HW_NPT, {VMMU_TLB_SVM_FLUSH_ASID, 8, 0, 0, EVERYWHERE}, false, false},
	{VMMU_HW_RISCV, {VMMU_TLB_HFENCE_GVMA, 7, 0, 0, EVERYWHERE}, true, true},
	{VMMU_HW_RISCV, {VMMU_TLB_HFENCE_GVMA, VMMU_TLB_ANY, 0, 0, EVERYWHERE}, true, true},
	{VMMU_HW_RISCV, {VMMU_TLB_HFENCE_GVMA, 8, 0, 0, EVERYWHERE}, false, false},
	/* one address: the leaf alone */
	{VMMU_HW_RISCV, {VMMU_TLB_HFENCE_GVMA, 7, 0, 0, 0x5000, 0x6000}, true, false},
	{VMMU_HW_RISCV, {VMMU_TLB_HFENCE_GVMA, 7, 0, 0, OTHER_PAGE}, false, false},
	{VMMU_HW_RISCV, {VMMU_TLB_HFENCE_VVMA, 7, 0, 0, EVERYWHERE}, false, false},
	{VMMU_HW_ARM64, {VMMU_TLB_TLBI_IPAS2E1, 7, 0, 0, 0x5000, 0x6000}, true, true},
	{VMMU_HW_ARM64, {VMMU_TLB_TLBI_IPAS2E1, 8, 0, 0, 0x5000, 0x6000}, false, false},
	{VMMU_HW_ARM64, {VMMU_TLB_TLBI_IPAS2LE1, 7, 0, 0, 0x5000, 0x6000}, true, false},
	{VMMU_HW_ARM64, {VMMU_TLB_TLBI_IPAS2LE1, 7, 0, 0, OTHER_PAGE}, false, false},
	/* first-stage and combined entries only */
	{VMMU_HW_ARM64, {VMMU_TLB_TLBI_VMALLE1, 7, 0, 0, EVERYWHERE}, false, false},
	{VMMU_HW_ARM64, {VMMU_TLB_TLBI_VMALLS12E1, 7, 0, 0, EVERYWHERE}, true, true},
	{VMMU_HW_ARM64, {VMMU_TLB_TLBI_ALLE1, 0, 0, 0, EVERYWHERE}, true, true},
};

Test(tlb, each_flush_of_the_second_stage__removes_what_the_manual_says)
{
	for (unsigned i = 0; i < sizeof(removals) / sizeof(removals[0]); i++) {
		const struct removal *removal = &removals[i];
		struct bench bench;
		struct count count;

		bench_open(&bench, removal->arch);
		bench_place(&bench, GPA, 1, full_leaf(&bench));
		cr_assert_eq(go(&bench, GPA, VMMU_READ), VMMU_HW_OK);
		cr_assert_eq(vmmu_tlb_flush(bench.tlb, &removal->flush), 0);
		count = held(&bench);
		cr_assert_eq(count.kinds[VMMU_TLB_LEAF], !removal->leaf_goes, "row %u", i);
		cr_assert_eq(count.kinds[VMMU_TLB_TABLE],
			     removal->tables_go ? 0 : bench.chain.count - 1, "row %u", i);
		bench_close(&bench);
	}
}

Test(tlb, forget__leaves_that_touch_and_tables_that_lie_within)
{
	struct bench bench;

	FOR_EACH_ARCH(&bench)
	{
		unsigned tables = bench.chain.count - 1;

		bench_place(&bench, GPA, 1, full_leaf(&bench));
		cr_assert_eq(go(&bench, GPA, VMMU_READ), VMMU_HW_OK);
		vmmu_tlb_forget(bench.tlb, SPACE + 1, 0, VMMU_TLB_ANY);
		vmmu_tlb_forget(bench.tlb, SPACE, 0x4000, 0x5000);
		vmmu_tlb_forget(bench.tlb, SPACE, 0x6000, 0x7000);
		cr_assert_eq(held(&bench).kinds[VMMU_TLB_LEAF], 1);
		vmmu_tlb_forget(bench.tlb, SPACE, 0x5fff, 0x6000);
		cr_assert_eq(held(&bench).kinds[VMMU_TLB_LEAF], 0);
		cr_assert_eq(held(&bench).kinds[VMMU_TLB_TABLE], tables);
		vmmu_tlb_forget(bench.tlb, SPACE, 0, 0x200000 - 1);
		cr_assert_eq(held(&bench).kinds[VMMU_TLB_TABLE], tables);
		vmmu_tlb_forget(bench.tlb, SPACE, 0, 0x200000);
		cr_assert_eq(held(&bench).kinds[VMMU_TLB_TABLE], tables - 1);
		vmmu_tlb_clear(bench.tlb);
		cr_assert_eq(held(&bench).kinds[VMMU_TLB_TABLE], 0);
	}
}

Test(tlb, more_pages_than_entries__old_ones_make_room)
{
	struct vmmu_tlb_options options = {
		.size = sizeof(options), .arch = VMMU_HW_EPT, .leaves = 8, .tables = 4, .ways = 2};
	struct bench bench;

	bench_open(&bench, VMMU_HW_EPT);
	vmmu_tlb_destroy(bench.tlb);
	cr_assert_eq(vmmu_tlb_create(&options, &bench.tlb), 0);
	for (uint64_t page = 0; page < 64; page++) {
		bench_place(&bench, page << 12, 1, full_leaf(&bench));
		cr_assert_eq(go(&bench, page << 12, VMMU_READ), VMMU_HW_OK);
	}
	cr_assert_eq(held(&bench).kinds[VMMU_TLB_LEAF], 8);
	cr_assert_leq(held(&bench).kinds[VMMU_TLB_TABLE], 4);
	bench_close(&bench);
}

Test(tlb, pml__pages_that_turn_dirty_are_listed_until_the_log_is_full)
{
	struct bench bench;
	uint64_t place;

	bench_open(&bench, VMMU_HW_EPT);
	bench.cpu.u.x86.has_pml = true;
	bench.cpu.u.x86.pml_index = 0;
	place = bench_place(&bench, GPA, 1, PAGE | 0x37);
	cr_assert_eq(go(&bench, GPA, VMMU_READ), VMMU_HW_OK);
	cr_assert_eq(bench.walk.log_count, 0);
	cr_assert_eq(go(&bench, GPA, VMMU_WRITE), VMMU_HW_OK);
	cr_assert_eq(bench.walk.log_count, 1);
	cr_assert_eq(bench.walk.log[0], 0x5000);
	/* dirty already: nothing to log, full or not */
	bench.cpu.u.x86.pml_index = 0xffff;
	cr_assert_eq(go(&bench, GPA, VMMU_WRITE), VMMU_HW_OK);
	bench_place(&bench, GPA, 1, PAGE | 0x137);
	vmmu_tlb_clear(bench.tlb);
	cr_assert_eq(go(&bench, GPA, VMMU_WRITE), VMMU_HW_FAULT_HOST);
	cr_assert_eq(bench.walk.report.vmx.exit_reason, 62);
	cr_assert_eq(bench.walk.fault.cause, VMMU_HW_LOG_FULL);
	cr_assert_eq(memory_read(bench.memory, place, 8), PAGE | 0x137, "not dirty yet");
	bench_close(&bench);
}

Test(tlb, arguments_that_are_none__refused)
{
	struct vmmu_tlb_options options = {.size = sizeof(options), .arch = VMMU_HW_ARCHES};
	struct vmmu_tlb_flush flush = {.op = VMMU_TLB_HFENCE_GVMA};
	struct vmmu_hw_access access = {.access = VMMU_READ};
	struct vmmu_tlb_stats stats;
	struct vmmu_tlb *tlb;
	struct bench bench;

	cr_assert_eq(vmmu_tlb_create(&options, &tlb), -EINVAL);
	options.arch = VMMU_HW_EPT;
	options.leaves = VMMU_TLB_ENTRIES_MAX + 1;
	cr_assert_eq(vmmu_tlb_create(&options, &tlb), -EINVAL);
	cr_assert_eq(vmmu_tlb_create(NULL, &tlb), -EINVAL);
	bench_open(&bench, VMMU_HW_EPT);
	cr_assert_eq(vmmu_tlb_flush(bench.tlb, &flush), -EINVAL, "another architecture's");
	flush.op = VMMU_TLB_OPS;
	cr_assert_eq(vmmu_tlb_flush(bench.tlb, &flush), -EINVAL);
	cr_assert_eq(vmmu_tlb_flush(NULL, &flush), -EINVAL);
	cr_assert_eq(vmmu_tlb_visit(bench.tlb, NULL, NULL), -EINVAL);
	bench.cpu.arch = VMMU_HW_NPT;
	cr_assert_eq(vmmu_tlb_translate(bench.tlb, &bench.cpu, &bench.bus, 0, &access, &bench.walk),
		     -EINVAL);
	vmmu_tlb_stats(NULL, &stats);
	cr_assert_eq(stats.walks, 0);
	vmmu_tlb_destroy(NULL);
	vmmu_tlb_clear(NULL);
	vmmu_tlb_forget(NULL, 0, 0, 1);
	bench_close(&bench);
}
