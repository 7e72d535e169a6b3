// SPDX-License-Identifier: MIT
/*
 * Invented bytes as tables and registers: every walk ends, stays in bounds, and says something
 * consistent.
 */
#include "hw/walks.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <vmmu/tlb.h>

/* Words of memory that are remembered: more than one access reads and updates. */
#define WRITTEN_MAX 320

/* What stands in memory where nobody wrote. */
enum filling {
	NOISE,
	PRESENT_NOISE,
	SELF_MAP,
	CYCLE,
	HOLES,
	DRAWN, /* entry by entry as they are read */
	FILLINGS
};

struct memory {
	struct draw *draw;
	uint64_t seed;
	enum filling filling;
	uint64_t bits; /* or-ed into entries, so that walks go on: present, readable ... */
	struct {
		uint64_t hpa, value;
	} written[WRITTEN_MAX];
	unsigned written_count;
	unsigned update_count;
	unsigned calls;
	bool is_calm; /* no races, no refusals */
};

static void memory_remember(struct memory *memory, uint64_t hpa, uint64_t value)
{
	unsigned i = 0;

	while (i < memory->written_count && memory->written[i].hpa != hpa)
		i++;
	memory->written[i].hpa = hpa;
	memory->written[i].value = value;
	if (i == memory->written_count)
		memory->written_count++;
}

static uint64_t memory_value(struct memory *memory, uint64_t hpa)
{
	uint64_t noise = draw_mix(hpa ^ memory->seed);
	unsigned i;

	for (i = 0; i < memory->written_count; i++) {
		if (memory->written[i].hpa == hpa)
			return memory->written[i].value;
	}
	switch (memory->filling) {
	case SELF_MAP:
		return (hpa & ~UINT64_C(0xfff)) | memory->bits;
	case CYCLE:
		return ((hpa & ~UINT64_C(0xfff)) ^ 0x1000) | memory->bits;
	case PRESENT_NOISE:
		return (noise & UINT64_C(0x3fffffffff)) | memory->bits;
	case DRAWN:
		if (memory->written_count == WRITTEN_MAX)
			return 0;
		memory_remember(memory, hpa, draw_word(memory->draw) ^ memory->bits);
		return memory->written[memory->written_count - 1].value;
	default:
		return noise;
	}
}

static int memory_load(void *ctx, uint64_t hpa, unsigned bytes, uint64_t *value)
{
	struct memory *memory = ctx;

	memory->calls++;
	cr_assert(bytes == 4 || bytes == 8);
	cr_assert_eq(hpa % bytes, 0);
	if (memory->filling == HOLES && draw_mix(hpa >> 12 ^ memory->seed) % 4 == 0)
		return -1;
	/* Both halves are given: a narrow read must not look at the upper one. */
	*value = memory_value(memory, hpa);
	return 0;
}

static int memory_swap(void *ctx, uint64_t hpa, unsigned bytes, uint64_t old_value,
		       uint64_t new_value)
{
	struct memory *memory = ctx;
	uint64_t value = memory_value(memory, hpa);

	memory->calls++;
	cr_assert_neq(old_value, new_value, "an update that changes nothing");
	/* A walk may have changed an entry that it also read as another level's. */
	if ((bytes == 4 ? (uint32_t)value : value) != old_value)
		return 1;
	if (memory->written_count == WRITTEN_MAX)
		return -1;
	if (!memory->is_calm && draw_below(memory->draw, 64) < 2)
		return draw_below(memory->draw, 2) ? 1 : -1;
	memory_remember(memory, hpa, new_value);
	memory->update_count++;
	return 0;
}

static void draw_x86(struct draw *draw, struct vmmu_hw_cpu *cpu)
{
	struct vmmu_hw_x86 *x86 = &cpu->u.x86;
	unsigned i;

	x86->features = (unsigned)draw_below(draw, VMMU_HW_X86_FEATURES + 1);
	x86->maxphyaddr = (uint8_t)(32 + draw_below(draw, 21));
	x86->cr0 = draw_word(draw) | UINT64_C(1) << 31;
	if (!draw_below(draw, 16))
		x86->cr0 = 0;
	x86->cr3 = draw_word(draw);
	x86->cr4 = draw_word(draw);
	x86->efer = draw_word(draw);
	x86->rflags = draw_word(draw);
	x86->pkru = (uint32_t)draw_word(draw);
	x86->pkrs = (uint32_t)draw_word(draw);
	for (i = 0; i < 4; i++)
		x86->pdpte[i] = draw_word(draw) & ((UINT64_C(1) << 40) - 1);
	x86->eptp = (draw_word(draw) & ((UINT64_C(1) << x86->maxphyaddr) - 0x1000)) | 6;
	x86->eptp |= draw_below(draw, 2) ? 3 << 3 : 4 << 3;
	x86->eptp |= draw_below(draw, 2) << 6;
	x86->ncr3 = draw_word(draw);
	x86->host_cr4 = draw_word(draw);
	x86->host_efer = draw_word(draw) | (draw_below(draw, 4) ? 1 << 10 : 0);
}

static uint64_t draw_atp(struct draw *draw, unsigned xlen)
{
	static const uint64_t modes[] = {0, 8, 9, 10};

	if (xlen == 32)
		return (uint32_t)draw_word(draw);
	return modes[draw_below(draw, 4)] << 60 | draw_word(draw) >> 4;
}

static void draw_riscv(struct draw *draw, struct vmmu_hw_cpu *cpu)
{
	struct vmmu_hw_riscv *rv = &cpu->u.riscv;

	rv->features = (unsigned)draw_below(draw, VMMU_HW_RISCV_FEATURES + 1);
	rv->xlen = draw_below(draw, 4) ? 64 : 32;
	rv->vsxlen = draw_below(draw, 4) ? rv->xlen : 32;
	rv->pa_bits = (uint8_t)(32 + draw_below(draw, 25));
	rv->hgatp = draw_atp(draw, rv->xlen);
	rv->vsatp = draw_atp(draw, rv->vsxlen);
	rv->sstatus = draw_word(draw);
	rv->vsstatus = draw_word(draw);
	rv->menvcfg = draw_word(draw);
	rv->henvcfg = draw_word(draw);
}

static void draw_arm(struct draw *draw, struct vmmu_hw_cpu *cpu)
{
	static const uint8_t sizes[] = {32, 36, 40, 42, 44, 48, 48, 52};
	struct vmmu_hw_arm64 *arm = &cpu->u.arm64;
	uint64_t t0sz = draw_below(draw, 4) ? 16 + draw_below(draw, 24) : draw_below(draw, 64);

	arm->features = (unsigned)draw_below(draw, VMMU_HW_ARM64_FEATURES + 1);
	arm->pamax = sizes[draw_below(draw, 8)];
	arm->bbm_level = (uint8_t)draw_below(draw, 3);
	arm->hcr_el2 = draw_word(draw) | (draw_below(draw, 4) ? 1 : 0);
	arm->vtcr_el2 = (draw_word(draw) & ~UINT64_C(0x3f)) | t0sz;
	if (draw_below(draw,
		       2)) /* registers that translate something: 4K, 40 bits, start level 1 */
		arm->vtcr_el2 = 24 | 1 << 6 | 5 << 16 | (draw_sparse(draw) & 3 << 21);
	arm->vttbr_el2 = draw_sparse(draw) & UINT64_C(0xffffffffff);
	arm->sctlr_el1 = draw_word(draw) | 1;
	arm->tcr_el1 = draw_sparse(draw) | UINT64_C(5) << 32;
	arm->tcr_el1 |= (16 + draw_below(draw, 24)) | (16 + draw_below(draw, 24)) << 16;
	arm->ttbr0_el1 = draw_sparse(draw) & UINT64_C(0xffffffffff);
	arm->ttbr1_el1 = draw_sparse(draw) & UINT64_C(0xffffffffff);
	arm->mair_el1 = draw_word(draw);
	arm->pan = draw_below(draw, 2);
}

/* Bits that let a walk of this architecture go on: some with leaves, some without. */
static uint64_t draw_marks(struct draw *draw, enum vmmu_hw_arch arch)
{
	static const uint64_t choices[VMMU_HW_ARCHES][4] = {
		[VMMU_HW_X86] = {0x27, 0x7, 0x67, 0x87},
		[VMMU_HW_EPT] = {0x7, 0x107, 0x37, 0xb7},
		[VMMU_HW_NPT] = {0x27, 0x7, 0x67, 0x87},
		[VMMU_HW_RISCV] = {0x1, 0x1, 0xdf, 0xcf},
		[VMMU_HW_ARM64] = {0x3, 0x7ff, 0x743, 0x7fd},
	};

	return choices[arch][draw_below(draw, 4)];
}

static void draw_access(struct draw *draw, struct vmmu_hw_access *access)
{
	static const unsigned kinds[] = {VMMU_READ, VMMU_WRITE, VMMU_READ | VMMU_WRITE, VMMU_EXEC};

	access->gva = draw_word(draw);
	if (draw_below(draw, 4)) /* an address that some mode can translate */
		access->gva = (uint64_t)((int64_t)(access->gva << 25) >> 25 >>
					 draw_below(draw, 16));
	access->access = kinds[draw_below(draw, 4)];
	access->flags = (unsigned)draw_sparse(draw) & VMMU_HW_ACCESS_FLAGS;
	access->bytes = 1u << draw_below(draw, 5);
	access->syndrome = (uint32_t)draw_word(draw);
}

static void check_fault(const struct vmmu_hw_cpu *cpu, const struct vmmu_hw_walk *walk)
{
	const struct vmmu_hw_report *report = &walk->report;

	cr_assert_neq(walk->fault.cause, VMMU_HW_NO_CAUSE);
	cr_assert(walk->fault.stage == 1 || walk->fault.stage == 2);
	cr_assert_eq(walk->combined.page_lg2, 0, "nothing to cache");
	cr_assert_eq(walk->stage2.page_lg2, 0);
	if (walk->fault.cause == VMMU_HW_BUS && cpu->arch <= VMMU_HW_NPT)
		return;
	cr_assert(report->exception.vector || report->vmx.exit_reason || report->svm.exit_code ||
		  report->riscv.cause || report->arm64.esr);
}

/* A translation: the page holds the access, the rights allow it. */
static void check_mapping(const struct vmmu_hw_access *access, const struct vmmu_hw_walk *walk)
{
	const struct vmmu_hw_mapping *mapping = &walk->combined;
	uint64_t mask = mapping->page_lg2 == 64 ? ~UINT64_C(0)
						: (UINT64_C(1) << mapping->page_lg2) - 1;
	unsigned rights = access->flags & VMMU_HW_USER ? mapping->user_access
						       : mapping->kernel_access;

	cr_assert_eq(walk->fault.cause, VMMU_HW_NO_CAUSE);
	if (mapping->page_lg2 < 32)
		cr_assert_eq(mapping->input & mask, mapping->output & mask);
	cr_assert_geq(mapping->range_lg2, mapping->page_lg2);
	if (access->flags & ~(unsigned)VMMU_HW_USER)
		return; /* rights are those of ordinary accesses */
	cr_assert_eq(rights & access->access, access->access);
	if (access->access & VMMU_WRITE)
		cr_assert(mapping->dirty);
}

static void check_walk(const struct vmmu_hw_cpu *cpu, const struct vmmu_hw_access *access,
		       const struct vmmu_hw_walk *walk)
{
	cr_assert_lt(walk->ref_count, VMMU_HW_REFS_MAX, "the bound is never reached");
	cr_assert_leq(walk->load_count, walk->ref_count);
	cr_assert_leq(walk->table_count, VMMU_LEVELS_MAX);
	if (walk->status == VMMU_HW_OK)
		check_mapping(access, walk);
	else
		check_fault(cpu, walk);
}

/*
 * Did the walk mark an entry that it also read as one of another table? Random memory has such;
 * what the mark makes of that other entry is anybody's guess.
 */
static bool has_marked_its_tables(const struct vmmu_hw_walk *walk)
{
	for (unsigned i = 0; i < walk->ref_count; i++)
		for (unsigned k = 0; walk->ref[i].is_update && k < walk->ref_count; k++) {
			const struct vmmu_hw_ref *mark = &walk->ref[i], *read = &walk->ref[k];

			if (mark->hpa >> 3 == read->hpa >> 3 &&
			    (mark->stage != read->stage || mark->level != read->level))
				return true;
		}
	return false;
}

/* Once more in the same memory: the same translation, and nothing is left to update. */
static void check_repeat(const struct vmmu_hw_cpu *cpu, const struct vmmu_hw_bus *bus,
			 const struct vmmu_hw_access *access, const struct vmmu_hw_walk *first)
{
	static struct vmmu_hw_walk again;
	struct memory *memory = bus->ctx;
	unsigned updates = memory->update_count;

	memory->is_calm = true;
	cr_assert_eq(vmmu_hw_translate(cpu, bus, access, &again), 0);
	cr_assert_eq(again.status, VMMU_HW_OK);
	cr_assert_eq(again.combined.output, first->combined.output);
	cr_assert_eq(memory->update_count, updates);
	cr_assert_eq(again.ref_count, again.load_count);
}

static void check_same(const struct vmmu_hw_walk *served, const struct vmmu_hw_walk *walked)
{
	/* All of a report is set, what lies between its members too. */
	const void *served_report = &served->report, *walked_report = &walked->report;

	cr_assert_eq(served->status, walked->status);
	cr_assert_eq(served->fault.cause, walked->fault.cause);
	cr_assert_eq(served->combined.output, walked->combined.output);
	cr_assert_eq(memcmp(served_report, walked_report, sizeof(walked->report)), 0);
	cr_assert_leq(served->load_count, walked->load_count);
}

/*
 * Did the walk read an entry that says to be one of a group of alike ones (Arm's contiguous bit,
 * RISC-V's N)? In random memory the others are not, and then a TLB may believe either: Arm calls it
 * misprogramming of the Contiguous bit; Svnapot wants all entries of a group alike.
 */
static bool has_group(const struct vmmu_hw_cpu *cpu, const struct vmmu_hw_walk *walk)
{
	unsigned bit = cpu->arch == VMMU_HW_ARM64 ? 52 : 63;

	for (unsigned i = 0; cpu->arch >= VMMU_HW_RISCV && i < walk->ref_count; i++)
		if (walk->ref[i].value >> bit & 1)
			return true;
	return false;
}

/*
 * Through a TLB, empty and then full of this very access: the same, down to the fault registers, as
 * long as memory stands still.
 */
static void check_tlb(const struct vmmu_hw_cpu *cpu, const struct vmmu_hw_bus *bus,
		      const struct vmmu_hw_access *access)
{
	const struct vmmu_tlb_options options = {.size = sizeof(options),
						 .arch = cpu->arch,
						 .combined = 4,
						 .leaves = 16,
						 .tables = 32};
	static struct vmmu_hw_walk walked, served;
	struct memory *memory = bus->ctx;
	struct vmmu_tlb *tlb;

	memory->is_calm = true;
	/* what is left to mark is marked now */
	cr_assert_eq(vmmu_hw_translate(cpu, bus, access, &walked), 0);
	if (has_marked_its_tables(&walked))
		return;
	cr_assert_eq(vmmu_hw_translate(cpu, bus, access, &walked), 0);
	if (has_group(cpu, &walked))
		return;
	cr_assert_eq(vmmu_tlb_create(&options, &tlb), 0);
	for (unsigned i = 0; i < 3; i++) {
		cr_assert_eq(vmmu_tlb_translate(tlb, cpu, bus, 0, access, &served), 0);
		check_same(&served, &walked);
	}
	/* others may use entries that are not kept: of Arm's maintenance, PAE's upper ones */
	if (walked.status == VMMU_HW_OK && !(access->flags & ~(unsigned)VMMU_HW_USER))
		cr_assert_eq(served.load_count, 0);
	vmmu_tlb_destroy(tlb);
}

void walks_one(struct draw *draw, enum vmmu_hw_arch arch, struct walks_tally *tally)
{
	static struct vmmu_hw_walk walk;
	struct vmmu_hw_cpu cpu = {.arch = arch};
	struct memory memory = {.draw = draw, .seed = draw_word(draw)};
	struct vmmu_hw_bus bus = {&memory, memory_load, memory_swap};
	struct vmmu_hw_access access = {0};
	int error;

	memory.filling = (enum filling)draw_below(draw, FILLINGS);
	memory.bits = draw_marks(draw, arch);
	if (arch <= VMMU_HW_NPT)
		draw_x86(draw, &cpu);
	else if (arch == VMMU_HW_RISCV)
		draw_riscv(draw, &cpu);
	else
		draw_arm(draw, &cpu);
	draw_access(draw, &access);
	error = vmmu_hw_translate(&cpu, &bus, &access, &walk);
	cr_assert_leq(memory.calls, VMMU_HW_REFS_MAX * VMMU_HW_RESTARTS_MAX);
	cr_assert(!error || error == -EINVAL || error == -EAGAIN);
	tally->refused += error == -EINVAL;
	tally->lost += error == -EAGAIN;
	if (error)
		return;
	check_walk(&cpu, &access, &walk);
	tally->ok += walk.status == VMMU_HW_OK;
	tally->guest += walk.status == VMMU_HW_FAULT_GUEST;
	tally->host += walk.status == VMMU_HW_FAULT_HOST;
	/* A walk that went through its own tables may have changed what it had read. */
	if (memory.filling == SELF_MAP || memory.filling == CYCLE || has_marked_its_tables(&walk))
		return;
	if (walk.status == VMMU_HW_OK)
		check_repeat(&cpu, &bus, &access, &walk);
	check_tlb(&cpu, &bus, &access);
}
