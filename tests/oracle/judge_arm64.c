// SPDX-License-Identifier: MIT
/* QEMU's Arm with EL2. */
#include "oracle/oracle.h"

#define HCR_VM  (UINT64_C(1) << 0)
#define HCR_RW  (UINT64_C(1) << 31)
#define VTCR_HA (UINT64_C(1) << 21)
#define VTCR_HD (UINT64_C(1) << 22)
/* Walks cached write-back, inner shareable; RES1. */
#define VTCR_CACHED (UINT64_C(1) << 8 | UINT64_C(1) << 10 | UINT64_C(3) << 12 | UINT64_C(1) << 31)
#define VTTBR_VMID  (UINT64_C(1) << 48)
/* Stage 1: 39 bits, 4K granule, TTBR1 off, 48 bits of output. */
#define TCR_GUEST                                                                  \
	(UINT64_C(25) | UINT64_C(1) << 8 | UINT64_C(1) << 10 | UINT64_C(3) << 12 | \
	 UINT64_C(1) << 23 | UINT64_C(5) << 32)
#define SCTLR_OFF   UINT64_C(0x30d00800)
#define MAIR_WB     UINT64_C(0xff)
#define BLOCK_GUEST UINT64_C(0x701) /* AF, inner shareable, EL1 reads, writes and executes */

#define ESR_EC_BRK   (UINT64_C(0x3c) << 26)
#define ESR_EC       (UINT64_C(0x3f) << 26)
#define ESR_ISV      (UINT32_C(1) << 24)
#define ESR_SAS_64   (UINT32_C(3) << 22)
#define ESR_SF       (UINT32_C(1) << 15)
#define ESR_SRT      16
#define ESR_S1PTW    (UINT64_C(1) << 7)
#define PAR_F        UINT64_C(1)
#define PAR_FST      1
#define PAR_PTW      (UINT64_C(1) << 8)
#define PAR_S        (UINT64_C(1) << 9)
#define PAR_PA       UINT64_C(0x000ffffffffff000)
#define FSC          UINT64_C(0x3f)
#define FSC_LEVEL    UINT64_C(3)
#define FSC_EXTERNAL UINT64_C(0x10)
#define BRK_EL1      UINT64_C(0xffff)

#define ACCESS_FLAG (UINT64_C(1) << 10)
#define CONTIGUOUS  (UINT64_C(1) << 52)

static const char *const arm64_gaps[] = {
	"52-bit addresses (LPA2, 64K with LPA): no registers are set up for them here",
	"memory attributes: PAR_EL1 does not show stage 2's with stage 1 off",
	"break-before-make misuse, TLB conflicts: not modelled by QEMU 7.2",
	"64K pages with VTCR_EL2.PS below 52 bits: QEMU 7.2 reads descriptors by PS",
	"VTCR_EL2.PS below the input size: QEMU 7.2 takes it for the size that is implemented",
	"nT, reserved TG0, misaligned VTTBR: ignored by QEMU 7.2",
	"HPFAR_EL2 of permission faults: UNKNOWN by the architecture",
	NULL,
};

static bool arm64_is_at(const struct oracle_expectation *expectation)
{
	return (expectation->probe.kind & 0xf) >= JOB_ASIDE_LOAD;
}

/* Did the access go through? */
static bool arm64_is_through(const struct oracle_expectation *expectation,
			     const struct job_result *got)
{
	if (arm64_is_at(expectation))
		return !(got->what & PAR_F);
	return (got->what & ESR_EC) == ESR_EC_BRK;
}

static bool arm64_wide_block(const struct oracle_expectation *expectation,
			     const struct job_result *got)
{
	const struct vmmu_hw_fault *fault = &expectation->fault;

	(void)got;
	return expectation->status == VMMU_HW_FAULT_HOST && fault->cause == VMMU_HW_ABSENT &&
	       fault->stage == 2 && (fault->entry & 3) == 1 && fault->level >= 3;
}

static bool arm64_contiguous(const struct oracle_expectation *expectation,
			     const struct job_result *got)
{
	return expectation->status == VMMU_HW_OK && (expectation->leaf & CONTIGUOUS) &&
	       expectation->stage2.range_lg2 > expectation->stage2.page_lg2 &&
	       arm64_is_through(expectation, got);
}

static bool arm64_table_level(const struct oracle_expectation *expectation,
			      const struct job_result *got)
{
	uint64_t level = FSC_LEVEL << (arm64_is_at(expectation) ? PAR_FST : 0);

	return expectation->status == VMMU_HW_FAULT_HOST &&
	       expectation->fault.purpose != VMMU_HW_FINAL &&
	       !((got->what ^ expectation->wanted.want.what) & expectation->wanted.mask.what &
		 ~level);
}

/* EL1's handler in the window says so, and ESR_EL1 that memory did not answer. */
static bool arm64_atomic_load(const struct oracle_expectation *expectation,
			      const struct job_result *got)
{
	return (expectation->probe.kind & 0xf) == JOB_RMW &&
	       expectation->status == VMMU_HW_FAULT_HOST &&
	       expectation->fault.cause == VMMU_HW_PERMISSION &&
	       (got->what & ESR_EC) == ESR_EC_BRK && (got->what & 0xffff) == BRK_EL1 &&
	       (got->reg[2] & FSC) == FSC_EXTERNAL;
}

/* The architecture allows it; the model does not do it. */
static bool arm64_early_flag(const struct oracle_expectation *expectation,
			     const struct job_result *got)
{
	return expectation->is_read && expectation->status == VMMU_HW_FAULT_HOST &&
	       expectation->fault.cause == VMMU_HW_PERMISSION &&
	       (expectation->root_arg[1] & VTCR_HA) &&
	       got->value == (expectation->wanted.want.value | ACCESS_FLAG);
}

static const struct oracle_defect arm64_defects[] = {
	{"the access flag is set although the access is refused (allowed)", arm64_early_flag},
	{"an atomic that may not write does its load first, which meets no memory",
	 arm64_atomic_load},

	{"blocks are accepted at levels where the granule has none", arm64_wide_block},
	{"the contiguous bit is ignored: address bits inside the group come from the descriptor",
	 arm64_contiguous},
	{"the level in a fault on stage-1 tables is stage 1's", arm64_table_level},
	{NULL, NULL},
};

static const char *arm64_refuses(const struct vmmu_format_info *info)
{
	return info->geometry->pa_bits > 48 ? "52-bit addresses are not set up here" : NULL;
}

/* SL0 for a start level by granule. */
static uint64_t arm64_sl0(const struct vmmu_geometry *geometry)
{
	int start = 4 - geometry->levels;

	if (geometry->page_shift != 12)
		return (uint64_t)(3 - start);
	return start == 3 ? 3 : (uint64_t)(2 - start);
}

static uint64_t arm64_vtcr(const struct vmmu_geometry *geometry)
{
	uint64_t tg0 = geometry->page_shift == 12 ? 0 : geometry->page_shift == 14 ? 2 : 1;

	return (64 - (uint64_t)geometry->gpa_bits) | arm64_sl0(geometry) << 6 | tg0 << 14 |
	       VTCR_CACHED;
}

/*
 * Output sizes that leave the input possible: QEMU takes VTCR_EL2.PS for what is implemented, and
 * refuses start levels and input sizes by it. With 64K pages it also takes bits 15:12 of
 * descriptors for address bits by PS, where the manual's pseudocode goes by what is implemented:
 * always 52.
 */
static uint64_t arm64_ps(const struct oracle_stage *stage, struct random_state *random)
{
	static const uint8_t sizes[] = {32, 36, 40, 42, 44, 48};
	const struct vmmu_geometry *geometry = stage->info->geometry;
	uint64_t ps = 5;

	if (geometry->page_shift == 16)
		return 6;
	if (stage->is_wild && !random_below(random, 3))
		ps = random_below(random, 6);
	while (ps < 5 &&
	       (sizes[ps] < geometry->gpa_bits || (sizes[ps] < 44 && geometry->levels > 2)))
		ps++;
	return ps;
}

static void arm64_root(const struct oracle_stage *stage, struct random_state *random,
		       struct oracle_root *root)
{
	struct vmmu_hw_arm64 *arm = &root->cpu.u.arm64;

	*root = (struct oracle_root){.cpu.arch = VMMU_HW_ARM64};
	root->has_guest = !random_below(random, 4);
	*arm = (struct vmmu_hw_arm64){
		.features = VMMU_HW_ARM64_FEATURES,
		.pamax = 52,
		.hcr_el2 = HCR_RW | HCR_VM,
		.vtcr_el2 = arm64_vtcr(stage->info->geometry) | arm64_ps(stage, random) << 16,
		.vttbr_el2 = stage->root_hpa | VTTBR_VMID,
		.sctlr_el1 = SCTLR_OFF | root->has_guest,
		.tcr_el1 = root->has_guest ? TCR_GUEST : 0,
		.ttbr0_el1 = stage->window_gpa + stage->window_stride,
		.mair_el1 = MAIR_WB,
	};
	if (stage->is_wild)
		arm->vtcr_el2 |= random_u64(random) & (VTCR_HA | VTCR_HD);
	root->arg[0] = arm->vttbr_el2;
	root->arg[1] = arm->vtcr_el2;
	root->arg[2] = arm->tcr_el1;
}

static uint64_t arm64_guest_leaf(uint64_t gpa)
{
	return (gpa & ~(ORACLE_AIMED - 1)) | BLOCK_GUEST;
}

/* One table: the lowest gigabyte is itself. */
static uint64_t arm64_guest_entry(const struct oracle_stage *stage, unsigned table, unsigned index)
{
	(void)stage;
	return table == 1 && index == 0 ? arm64_guest_leaf(0) : 0;
}

/* LDR X0 and STR X2 have a syndrome, the others none. */
static uint32_t arm64_syndrome(unsigned kind)
{
	if (kind == JOB_LOAD)
		return ESR_ISV | ESR_SAS_64 | ESR_SF;
	if (kind == JOB_STORE)
		return ESR_ISV | ESR_SAS_64 | ESR_SF | 2 << ESR_SRT;
	return 0;
}

static void arm64_want_at(const struct vmmu_hw_walk *walk, struct oracle_wanted *wanted)
{
	uint64_t esr = walk->report.arm64.esr;

	if (walk->status == VMMU_HW_OK) {
		wanted->want.what = walk->combined.output & PAR_PA;
		wanted->mask.what = PAR_PA | PAR_F;
		return;
	}
	wanted->want.what = PAR_F | PAR_S | (esr & 0x3f) << PAR_FST |
			    (esr & ESR_S1PTW ? PAR_PTW : 0);
	wanted->mask.what = PAR_F | PAR_S | UINT64_C(0x3f) << PAR_FST | PAR_PTW;
}

static void arm64_want(const struct oracle_probe *probe, const struct vmmu_hw_walk *walk,
		       bool is_proved, struct oracle_wanted *wanted)
{
	unsigned kind = probe->kind & 0xf;
	uint64_t output = walk->combined.output;

	if (kind >= JOB_ASIDE_LOAD) {
		arm64_want_at(walk, wanted);
		return;
	}
	if (walk->status != VMMU_HW_OK) {
		wanted->want.what = walk->report.arm64.esr;
		wanted->mask.what = UINT64_MAX;
		wanted->want.reg[0] = walk->report.arm64.far;
		wanted->mask.reg[0] = UINT64_MAX;
		wanted->want.reg[1] = walk->report.arm64.hpfar;
		wanted->mask.reg[1] = walk->report.arm64.hpfar_valid ? UINT64_MAX : 0;
		return;
	}
	wanted->want.what = ESR_EC_BRK | (kind == JOB_FETCH ? output >> 12 & 0xffff : 0);
	wanted->mask.what = ESR_EC | 0xffff;
	if (!is_proved || kind == JOB_STORE || kind == JOB_FETCH)
		return;
	wanted->want.value = job_tag_arm64(output);
	wanted->mask.value = UINT64_MAX;
}

static const char *arm64_excludes(const struct oracle_root *root, const struct oracle_probe *probe,
				  const struct vmmu_hw_walk *walk)
{
	uint64_t both = VTCR_HA | VTCR_HD;
	unsigned kind = probe->kind & 0xf;
	bool is_block = walk->status != VMMU_HW_OK && walk->fault.cause == VMMU_HW_ABSENT &&
			(walk->fault.entry & 3) == 1 && walk->fault.level >= 3;
	bool is_group = walk->status == VMMU_HW_OK &&
			walk->stage2.range_lg2 > walk->stage2.page_lg2;

	/* Neither code nor stores where nobody looks; AT is harmless. */
	if ((is_block || is_group) && kind < JOB_ASIDE_LOAD &&
	    (kind != JOB_LOAD || probe->is_at_code))
		return "an access that a known defect lets through to another page";
	if ((probe->kind & 0xf) == JOB_ASIDE_STORE && (root->cpu.u.arm64.vtcr_el2 & both) == both)
		return "AT makes nothing dirty";
	return NULL;
}

static void arm64_registers(const struct vmmu_hw_walk *walk, struct vmmu_syndrome *syndrome)
{
	syndrome->reg[0] = walk->report.arm64.esr;
	syndrome->reg[1] = walk->report.arm64.far;
	syndrome->reg[2] = walk->report.arm64.hpfar;
}

static const char *const arm64_arguments[] = {
	"-M",
	"virt,virtualization=on,gic-version=3",
	"-cpu",
	"max",
	"-m",
	"1G",
	"-display",
	"none",
	"-serial",
	"none",
	"-monitor",
	"none",
	"-nodefaults",
	"-net",
	"none",
	"-semihosting-config",
	"enable=on,target=native",
	"-device",
	"loader,addr=0x40200000,cpu-num=0",
	"-device",
	"loader,file=job,addr=0x48000000,force-raw=on",
	"-device",
	"loader,file=@/oracle-arm64.bin,addr=0x40200000,force-raw=on",
	NULL,
};

#define ARM64_KINDS ((1u << JOB_KINDS) - 1)

const struct oracle_emulator oracle_qemu_arm64 = {
	.name = "QEMU 7.2, Arm EL2",
	.command = "qemu-system-aarch64",
	.programs = {"oracle-arm64.bin"},
	.gaps = arm64_gaps,
	.defects = arm64_defects,
	.layout =
		{
			.ram_start = 0x40000000,
			.ram_end = 0x80000000,
			.program_hpa = 0x40200000,
			.window_hpa = 0x40300000,
			.job_hpa = 0x48000000,
			.job_bytes = 0x4000000,
			.result_hpa = 0x4c000000,
			.result_bytes = 0x4000000,
			.tables_hpa = 0x50000000,
			.tables_bytes = 0x800000,
			.tag_hpa = 0x70000000,
			.tag_bytes = 0x4000000,
		},
	.kinds = ARM64_KINDS * 0x10001u,
	.kinds_guest = ARM64_KINDS,
	.stale_kind = JOB_LOAD,
	.gpa_bits = 48,
	.has_memtypes = true,
	.tag = job_tag_arm64,
	.refuses = arm64_refuses,
	.root = arm64_root,
	.guest_entry = arm64_guest_entry,
	.guest_leaf = arm64_guest_leaf,
	.guest_leaf_table = 1,
	.syndrome = arm64_syndrome,
	.want = arm64_want,
	.excludes = arm64_excludes,
	.registers = arm64_registers,
	.arguments = arm64_arguments,
};
