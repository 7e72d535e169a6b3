// SPDX-License-Identifier: MIT
/* QEMU's RISC-V with the hypervisor extension. */
#include "oracle/oracle.h"

#define ENVCFG_ADUE (UINT64_C(1) << 61)
#define SATP_SV39   (UINT64_C(8) << 60)
#define HGATP_VMID  (UINT64_C(1) << 44)
#define LEAF_SUPER  UINT64_C(0xcf) /* V R W X A D: the supervisor's */
#define TINST_GVA   (UINT64_C(1) << 63)

enum riscv_cause {
	CAUSE_USER_CALL = 8,
	CAUSE_GUEST_CALL = 10,
	CAUSE_LOAD = 21,
};

static const char *const riscv_gaps[] = {
	"accessed and dirty faults (Svade): QEMU 7.2 always sets A and D itself",
	"the upper half of the guest-physical range: QEMU 7.2 sign-extends these addresses",
	"Svnapot, Svpbmt: QEMU 7.2 stops checking reserved bits with them on",
	"refused atomics: QEMU 7.2 does the load first, and reports that",
	"HLVX, MXR: QEMU 7.2 applies them to the wrong stage",
	"tables outside RAM: QEMU 7.2 reports a page fault in place of an access fault",
	"accessed and dirty updates of guest tables: QEMU 7.2 does not ask the second stage",
	NULL,
};

/* The same registers, another cause. */
static bool riscv_differs_in_cause(const struct oracle_expectation *expectation,
				   const struct job_result *got, uint64_t cause)
{
	const struct job_result *want = &expectation->wanted.want;

	return got->what == cause && got->reg[0] == want->reg[0] && got->reg[1] == want->reg[1] &&
	       got->reg[2] == want->reg[2];
}

static bool riscv_table_walk_is_load(const struct oracle_expectation *expectation,
				     const struct job_result *got)
{
	return expectation->status == VMMU_HW_FAULT_HOST &&
	       expectation->fault.purpose == VMMU_HW_TABLE_READ &&
	       riscv_differs_in_cause(expectation, got, CAUSE_LOAD);
}

static const struct oracle_defect riscv_defects[] = {
	{"a fault on the walk of the guest's tables is a load's (21) also for stores and fetches",
	 riscv_table_walk_is_load},
	{NULL, NULL},
};

static const char *riscv_refuses(const struct vmmu_format_info *info)
{
	return info->geometry->group_lg2[1]
		       ? "Svnapot, with which QEMU 7.2 stops checking reserved bits"
		       : NULL;
}

static void riscv_root(const struct oracle_stage *stage, struct random_state *random,
		       struct oracle_root *root)
{
	uint64_t mode = stage->info->geometry->levels + 5u;
	struct vmmu_hw_riscv *rv = &root->cpu.u.riscv;

	*root = (struct oracle_root){.cpu.arch = VMMU_HW_RISCV};
	root->has_guest = !random_below(random, 4);
	*rv = (struct vmmu_hw_riscv){
		.features = VMMU_HW_RISCV_SVADU,
		.xlen = 64,
		.vsxlen = 64,
		.pa_bits = 56,
		.hgatp = mode << 60 | HGATP_VMID | stage->root_hpa >> 12,
		.menvcfg = ENVCFG_ADUE,
		.henvcfg = ENVCFG_ADUE,
	};
	if (root->has_guest)
		rv->vsatp = SATP_SV39 | (stage->window_gpa + stage->window_stride) >> 12;
	root->arg[0] = rv->hgatp;
	root->arg[1] = rv->vsatp;
}

static uint64_t riscv_guest_leaf(uint64_t gpa)
{
	return (gpa >> ORACLE_GUEST_LEAF_LG2) << 28 | LEAF_SUPER;
}

/* One table: the lowest gigabyte is itself. */
static uint64_t riscv_guest_entry(const struct oracle_stage *stage, unsigned table, unsigned index)
{
	(void)stage;
	return table == 1 && index == 0 ? riscv_guest_leaf(0) : 0;
}

static void riscv_want_fault(const struct vmmu_hw_walk *walk, struct oracle_wanted *wanted)
{
	wanted->want.what = walk->report.riscv.cause;
	wanted->want.reg[0] = walk->report.riscv.tval;
	wanted->want.reg[1] = walk->report.riscv.tval2;
	wanted->want.reg[2] = walk->report.riscv.tinst | (walk->report.riscv.gva ? TINST_GVA : 0);
	wanted->mask = (struct job_result){UINT64_MAX, {UINT64_MAX, UINT64_MAX, UINT64_MAX}, 0, 0};
}

static void riscv_want(const struct oracle_probe *probe, const struct vmmu_hw_walk *walk,
		       bool is_proved, struct oracle_wanted *wanted)
{
	unsigned kind = probe->kind & 0xf;
	uint64_t output = walk->combined.output;

	if (walk->status != VMMU_HW_OK) {
		riscv_want_fault(walk, wanted);
		return;
	}
	wanted->mask.what = UINT64_MAX;
	wanted->want.what = probe->kind & JOB_USER ? CAUSE_USER_CALL : CAUSE_GUEST_CALL;
	if (kind >= JOB_ASIDE_LOAD)
		wanted->want.what = UINT64_MAX;
	if (!is_proved || kind == JOB_STORE || kind == JOB_ASIDE_STORE)
		return;
	wanted->mask.value = UINT64_MAX;
	wanted->want.value = job_tag_riscv(output);
	if (kind == JOB_FETCH)
		wanted->want.value = (uint64_t)(int64_t)(int32_t)(output & 0xfffff000);
}

static const char *riscv_excludes(const struct oracle_root *root, const struct oracle_probe *probe,
				  const struct vmmu_hw_walk *walk)
{
	(void)root;
	if ((probe->kind & 0xf) == JOB_RMW && walk->status != VMMU_HW_OK)
		return "a refused atomic";
	return NULL;
}

static void riscv_registers(const struct vmmu_hw_walk *walk, struct vmmu_syndrome *syndrome)
{
	syndrome->reg[0] = walk->report.riscv.cause;
	syndrome->reg[1] = walk->report.riscv.tval;
	syndrome->reg[2] = walk->report.riscv.tval2;
	syndrome->reg[3] = walk->report.riscv.tinst;
}

static const char *const riscv_arguments[] = {
	"-M",
	"virt",
	"-cpu",
	"rv64,h=true",
	"-m",
	"1G",
	"-bios",
	"none",
	"-display",
	"none",
	"-serial",
	"none",
	"-monitor",
	"none",
	"-nodefaults",
	"-semihosting-config",
	"enable=on,target=native",
	"-device",
	"loader,file=job,addr=0x88000000,force-raw=on",
	"-device",
	"loader,file=@/oracle-riscv.bin,addr=0x80000000,force-raw=on",
	NULL,
};

#define RISCV_ACCESSES (1u << JOB_LOAD | 1u << JOB_STORE | 1u << JOB_FETCH | 1u << JOB_RMW)
#define RISCV_ASIDES   (1u << JOB_ASIDE_LOAD | 1u << JOB_ASIDE_STORE)

const struct oracle_emulator oracle_qemu_riscv = {
	.name = "QEMU 7.2, RISC-V H",
	.command = "qemu-system-riscv64",
	.programs = {"oracle-riscv.bin"},
	.gaps = riscv_gaps,
	.defects = riscv_defects,
	.layout =
		{
			.ram_start = 0x80000000,
			.ram_end = 0xc0000000,
			.program_hpa = 0x80000000,
			.window_hpa = 0x80100000,
			.job_hpa = 0x88000000,
			.job_bytes = 0x4000000,
			.result_hpa = 0x8c000000,
			.result_bytes = 0x4000000,
			.tables_hpa = 0x90000000,
			.tables_bytes = 0x200000,
			.tag_hpa = 0xb0000000,
			.tag_bytes = 0x4000000,
		},
	.kinds = (RISCV_ACCESSES | RISCV_ASIDES) * 0x10001u,
	.kinds_guest = RISCV_ACCESSES,
	.stale_kind = JOB_ASIDE_LOAD,
	.gpa_bits = 64,
	.gpa_bits_lost = 1,
	.tag = job_tag_riscv,
	.refuses = riscv_refuses,
	.root = riscv_root,
	.guest_entry = riscv_guest_entry,
	.guest_leaf = riscv_guest_leaf,
	.guest_leaf_table = 1,
	.want = riscv_want,
	.excludes = riscv_excludes,
	.registers = riscv_registers,
	.arguments = riscv_arguments,
};
