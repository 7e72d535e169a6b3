// SPDX-License-Identifier: MIT
/* x86: nested paging under QEMU, EPT under Bochs. One bare-metal program serves both. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "oracle/oracle.h"

#define CR0_GUEST     UINT64_C(0x80000031) /* PG NE ET PE */
#define CR4_GUEST     UINT64_C(0x620)      /* PAE OSFXSR OSXMMEXCPT */
#define CR4_LA57      (UINT64_C(1) << 12)
#define EFER_LONG     UINT64_C(0xd00) /* LME LMA NXE */
#define PHYSICAL_BITS 40              /* both emulators' */

#define EPTP_WRITE_BACK 6
#define EPTP_LEVELS     3 /* levels - 1 from here on */
#define EPTP_AD         (UINT64_C(1) << 6)
#define ENTRY_ACCESSED  (UINT64_C(1) << 5)
#define ENTRY_LARGE     (UINT64_C(1) << 7)
#define ENTRY_BIT12     (UINT64_C(1) << 12)
#define TABLE_ENTRY     UINT64_C(0x27) /* P W U A */
#define LEAF_ENTRY      UINT64_C(0xe7) /* and PS D */

#define EXIT_HLT_VMX       12
#define EXIT_VIOLATION     48
#define EXIT_MISCONFIG     49
#define EXIT_HLT_SVM       0x78
#define QUALIFICATION_READ UINT64_C(1)
#define ERROR_PRESENT      UINT64_C(1)

static uint64_t x86_guest_leaf(uint64_t gpa)
{
	return (gpa & ~(ORACLE_AIMED - 1)) | LEAF_ENTRY;
}

/* PML4 and PDPT; the lowest gigabyte is itself. */
static uint64_t x86_guest_entry(const struct oracle_stage *stage, unsigned table, unsigned index)
{
	if (index)
		return table == 2 ? x86_guest_leaf(0) : 0;
	if (table == 2)
		return x86_guest_leaf(0);
	return (stage->window_gpa + 2 * stage->window_stride) | TABLE_ENTRY;
}

static void x86_guest(const struct oracle_stage *stage, struct oracle_root *root)
{
	struct vmmu_hw_x86 *x86 = &root->cpu.u.x86;

	root->has_guest = true;
	x86->features = VMMU_HW_X86_1G | VMMU_HW_EPT_EXEC_ONLY | VMMU_HW_EPT_2M | VMMU_HW_EPT_1G;
	x86->maxphyaddr = PHYSICAL_BITS;
	x86->cr0 = CR0_GUEST;
	x86->cr3 = stage->window_gpa + stage->window_stride;
	x86->cr4 = CR4_GUEST;
	x86->efer = EFER_LONG;
}

/* What a guest that came through leaves behind. */
static void x86_want_through(const struct oracle_probe *probe, uint64_t output, bool is_proved,
			     struct oracle_wanted *wanted)
{
	if (!is_proved || probe->kind == JOB_STORE)
		return;
	wanted->mask.value = UINT64_MAX;
	wanted->want.value = probe->kind == JOB_FETCH ? output >> 3 : job_tag_x86(output);
}

static const char *const npt_gaps[] = {
	"guest-physical addresses above 40 bits: QEMU 7.2 has 40 physical bits",
	"P of EXITINFO1 in reserved-bit faults: QEMU 7.2 leaves it clear; not compared",
	"bit 8 of level-4 and level-5 entries: QEMU 7.2 does not reserve it",
	"refused atomics: QEMU 7.2 does the load first, and reports that",
	"missing flushes: QEMU 7.2 keeps nothing across VMRUN",
	"GMET, SME, RMP: QEMU 7.2 has none",
	NULL,
};

/* The architecture allows it; the model does not do it. */
static bool npt_early_accessed(const struct oracle_expectation *expectation,
			       const struct job_result *got)
{
	return expectation->is_read && expectation->status == VMMU_HW_FAULT_HOST &&
	       expectation->fault.level >= 3 && expectation->hpa == expectation->fault.entry_hpa &&
	       got->value == (expectation->wanted.want.value | ENTRY_ACCESSED);
}

static const struct oracle_defect npt_defects[] = {
	{"accessed is set in entries of levels 3 to 5 before they are judged (allowed)",
	 npt_early_accessed},
	{NULL, NULL},
};

static void npt_root(const struct oracle_stage *stage, struct random_state *random,
		     struct oracle_root *root)
{
	struct vmmu_hw_x86 *x86 = &root->cpu.u.x86;

	(void)random;
	*root = (struct oracle_root){.cpu.arch = VMMU_HW_NPT};
	x86_guest(stage, root);
	x86->ncr3 = stage->root_hpa;
	x86->host_efer = EFER_LONG;
	x86->host_cr4 = CR4_GUEST | (stage->info->geometry->levels == 5 ? CR4_LA57 : 0);
	root->arg[0] = x86->ncr3;
}

static void npt_want(const struct oracle_probe *probe, const struct vmmu_hw_walk *walk,
		     bool is_proved, struct oracle_wanted *wanted)
{
	wanted->mask.what = UINT64_MAX;
	if (walk->status == VMMU_HW_OK) {
		wanted->want.what = EXIT_HLT_SVM;
		x86_want_through(probe, walk->combined.output, is_proved, wanted);
		return;
	}
	wanted->want.what = walk->report.svm.exit_code;
	wanted->want.reg[0] = walk->report.svm.info1;
	wanted->mask.reg[0] = UINT64_MAX;
	if (walk->fault.cause == VMMU_HW_RESERVED)
		wanted->mask.reg[0] &= ~ERROR_PRESENT;
	wanted->want.reg[1] = walk->report.svm.info2;
	wanted->mask.reg[1] = UINT64_MAX;
}

static const char *npt_excludes(const struct oracle_root *root, const struct oracle_probe *probe,
				const struct vmmu_hw_walk *walk)
{
	(void)root;
	if (probe->kind == JOB_RMW && walk->status != VMMU_HW_OK)
		return "a refused atomic";
	return NULL;
}

static void npt_registers(const struct vmmu_hw_walk *walk, struct vmmu_syndrome *syndrome)
{
	syndrome->gpa = walk->report.svm.info2;
	syndrome->reg[0] = walk->report.svm.info1;
}

static uint64_t npt_job_mode(const struct vmmu_format_info *info)
{
	return info->geometry->levels == 5 ? JOB_LA57 : 0;
}

static const char *const npt_arguments[] = {
	"-accel",      "tcg",
	"-M",          "pc",
	"-cpu",        "max,+svm",
	"-m",          "256",
	"-bios",       "@/oracle-rom.bin",
	"-display",    "none",
	"-serial",     "none",
	"-parallel",   "none",
	"-monitor",    "none",
	"-nodefaults", "-net",
	"none",        "-no-reboot",
	"-device",     "isa-debugcon,iobase=0xe9,chardev=out",
	"-chardev",    "file,id=out,path=result",
	"-device",     "isa-debug-exit,iobase=0xf4",
	"-device",     "loader,file=@/oracle-x86.bin,addr=0x100000,force-raw=on",
	"-device",     "loader,file=job,addr=0x2000000,force-raw=on",
	NULL,
};

static const char *const ept_gaps[] = {
	"5-level EPT: Bochs 2.7 has none (ept5 is not judged)",
	"mode-based execute, advanced information: not in Bochs 2.7; #VE, SPP, PML: not tried",
	"guest-physical addresses above 40 bits: Bochs 2.7 has 40 physical bits",
	"missing flushes: Bochs 2.7 keeps nothing across VM entries",
	"bit 0 of the qualification of a read-modify-write: the CPU's choice, not compared",
	NULL,
};

static bool ept_is_bit12(const struct vmmu_hw_fault *fault)
{
	return fault->cause == VMMU_HW_RESERVED && (fault->level == 2 || fault->level == 3) &&
	       (fault->entry & ENTRY_LARGE) && (fault->entry & ENTRY_BIT12);
}

static bool ept_large_bit12(const struct oracle_expectation *expectation,
			    const struct job_result *got)
{
	return ept_is_bit12(&expectation->fault) && got->what != EXIT_MISCONFIG;
}

static bool ept_table_is_write(const struct oracle_expectation *expectation,
			       const struct job_result *got)
{
	const struct job_result *want = &expectation->wanted.want;

	return expectation->status == VMMU_HW_FAULT_HOST &&
	       expectation->fault.purpose != VMMU_HW_FINAL && got->what == EXIT_VIOLATION &&
	       got->what == want->what && (got->reg[0] ^ want->reg[0]) == QUALIFICATION_READ &&
	       got->reg[1] == want->reg[1] && got->reg[2] == want->reg[2];
}

static const struct oracle_defect ept_defects[] = {
	{"bit 12 of 2M and 1G leaves is not reserved", ept_large_bit12},
	{"a refused access to the guest's tables with A/D on is reported as a write alone",
	 ept_table_is_write},
	{NULL, NULL},
};

static const char *ept_excludes(const struct oracle_root *root, const struct oracle_probe *probe,
				const struct vmmu_hw_walk *walk)
{
	(void)root;
	/* Neither code nor stores where nobody looks. */
	if (ept_is_bit12(&walk->fault) && (probe->kind != JOB_LOAD || probe->is_at_code))
		return "an access that a known defect lets through to another page";
	return NULL;
}

static const char *ept_refuses(const struct vmmu_format_info *info)
{
	return info->geometry->levels == 5 ? "Bochs 2.7 has no 5-level EPT" : NULL;
}

static void ept_root(const struct oracle_stage *stage, struct random_state *random,
		     struct oracle_root *root)
{
	struct vmmu_hw_x86 *x86 = &root->cpu.u.x86;

	*root = (struct oracle_root){.cpu.arch = VMMU_HW_EPT};
	x86_guest(stage, root);
	x86->eptp = stage->root_hpa | (stage->info->geometry->levels - 1u) << EPTP_LEVELS |
		    EPTP_WRITE_BACK;
	if (random_below(random, 4))
		x86->eptp |= EPTP_AD;
	root->arg[0] = x86->eptp;
}

static void ept_want(const struct oracle_probe *probe, const struct vmmu_hw_walk *walk,
		     bool is_proved, struct oracle_wanted *wanted)
{
	wanted->mask.what = UINT64_MAX;
	if (walk->status == VMMU_HW_OK) {
		wanted->want.what = EXIT_HLT_VMX;
		x86_want_through(probe, walk->combined.output, is_proved, wanted);
		return;
	}
	wanted->want.what = walk->report.vmx.exit_reason;
	wanted->want.reg[1] = walk->report.vmx.gpa;
	wanted->mask.reg[1] = UINT64_MAX;
	if (wanted->want.what == EXIT_MISCONFIG)
		return;
	wanted->want.reg[0] = walk->report.vmx.qualification;
	wanted->mask.reg[0] = UINT64_MAX;
	if (probe->kind == JOB_RMW && walk->fault.purpose == VMMU_HW_FINAL)
		wanted->mask.reg[0] &= ~QUALIFICATION_READ;
	wanted->want.reg[2] = walk->report.vmx.gla;
	wanted->mask.reg[2] = UINT64_MAX;
}

static void ept_registers(const struct vmmu_hw_walk *walk, struct vmmu_syndrome *syndrome)
{
	syndrome->gpa = walk->report.vmx.gpa;
	syndrome->reg[0] = walk->report.vmx.exit_reason;
	syndrome->reg[1] = walk->report.vmx.qualification;
}

#define DISK_TRACK    (UINT64_C(16) * 63 * 512) /* heads, sectors, bytes */
#define PROGRAM_BYTES 0x10000

/* Copy FROM to the new file TO, and zeroes up to a multiple of BYTES. */
static int ept_copy_padded(const char *from, const char *to, uint64_t bytes)
{
	static char block[4096];
	FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");
	uint64_t total = 0;
	bool is_good = in && out;
	size_t got;

	while (is_good && (got = fread(block, 1, sizeof(block), in)) > 0) {
		is_good = fwrite(block, 1, got, out) == got;
		total += got;
	}
	memset(block, 0, sizeof(block));
	for (; is_good && total % bytes; total += got) {
		got = bytes - total % bytes < sizeof(block) ? bytes - total % bytes : sizeof(block);
		is_good = fwrite(block, 1, got, out) == got;
	}
	if (in)
		fclose(in);
	if (out && fclose(out))
		is_good = false;
	return is_good ? 0 : -EIO;
}

static int ept_configure(const char *programs, uint64_t cylinders)
{
	FILE *file = fopen("bochsrc", "w");
	int count;

	if (!file)
		return -errno;
	count = fprintf(
		file,
		"config_interface: textconfig\n"
		"display_library: term\n"
		"megs: 256\n"
		"cpu: model=corei7_icelake_u, count=1, ips=50000000, reset_on_triple_fault=0\n"
		"romimage: file=%s/oracle-rom.bin\n"
		"vgaromimage: file=%s/oracle-rom.bin\n"
		"optramimage1: file=program, address=0x100000\n"
		"ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14\n"
		"ata0-master: type=disk, path=disk, mode=flat, cylinders=%llu, heads=16, spt=63\n"
		"parport1: enabled=1, file=result\n"
		"com1: enabled=0\n"
		"log: bochs.log\n"
		"panic: action=fatal\n"
		"error: action=ignore\n"
		"info: action=ignore\n"
		"boot: disk\n",
		programs, programs, (unsigned long long)cylinders);
	return fclose(file) || count < 0 ? -EIO : 0;
}

/* The debugger that Bochs is built with here waits to be told to go on. */
static int ept_commands(void)
{
	FILE *file = fopen("commands", "w");

	if (!file)
		return -errno;
	fputs("c\nquit\n", file);
	return fclose(file) ? -EIO : 0;
}

static int ept_prepare(const char *programs, uint64_t job_bytes)
{
	char path[4096];
	int err;

	snprintf(path, sizeof(path), "%s/oracle-x86.bin", programs);
	err = ept_copy_padded(path, "program", PROGRAM_BYTES);
	if (!err)
		err = ept_copy_padded("job", "disk", DISK_TRACK);
	if (!err)
		err = ept_configure(programs, (job_bytes + DISK_TRACK - 1) / DISK_TRACK);
	return err ? err : ept_commands();
}

static const char *const ept_arguments[] = {
	"-q", "-f", "bochsrc", "-rc", "commands", NULL,
};

#define X86_KINDS (1u << JOB_LOAD | 1u << JOB_STORE | 1u << JOB_FETCH | 1u << JOB_RMW)
#define X86_LAYOUT                                                                           \
	{                                                                                    \
		.ram_start = 0x100000, .ram_end = 0x10000000, .program_hpa = 0x100000,       \
		.window_hpa = 0x300000, .job_hpa = 0x2000000, .job_bytes = 0x1000000,        \
		.result_hpa = 0x3000000, .result_bytes = 0x1000000, .tables_hpa = 0x4000000, \
		.tables_bytes = 0x200000, .tag_hpa = 0x8000000, .tag_bytes = 0x1000000,      \
	}

const struct oracle_emulator oracle_qemu_npt = {
	.name = "QEMU 7.2, SVM",
	.command = "qemu-system-x86_64",
	.programs = {"oracle-x86.bin", "oracle-rom.bin"},
	.arguments = npt_arguments,
	.gaps = npt_gaps,
	.defects = npt_defects,
	.layout = X86_LAYOUT,
	.kinds = X86_KINDS,
	.kinds_guest = X86_KINDS,
	.stale_kind = JOB_KINDS,
	.gpa_bits = PHYSICAL_BITS,
	.has_memtypes = true,
	.tag = job_tag_x86,
	.root = npt_root,
	.guest_entry = x86_guest_entry,
	.guest_leaf = x86_guest_leaf,
	.guest_leaf_table = 2,
	.want = npt_want,
	.excludes = npt_excludes,
	.registers = npt_registers,
	.job_mode = npt_job_mode,
};

const struct oracle_emulator oracle_bochs_ept = {
	.name = "Bochs 2.7, VMX",
	.command = "bochs-bin",
	.programs = {"oracle-x86.bin", "oracle-rom.bin"},
	.arguments = ept_arguments,
	.gaps = ept_gaps,
	.defects = ept_defects,
	.layout = X86_LAYOUT,
	.kinds = X86_KINDS,
	.kinds_guest = X86_KINDS,
	.stale_kind = JOB_KINDS,
	.gpa_bits = PHYSICAL_BITS,
	.has_memtypes = true,
	.tag = job_tag_x86,
	.root = ept_root,
	.guest_entry = x86_guest_entry,
	.guest_leaf = x86_guest_leaf,
	.guest_leaf_table = 2,
	.want = ept_want,
	.excludes = ept_excludes,
	.registers = ept_registers,
	.prepare = ept_prepare,
	.refuses = ept_refuses,
};
