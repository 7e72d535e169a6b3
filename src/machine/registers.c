// SPDX-License-Identifier: MIT
/* What a host writes into its registers to run the tables of a format. */
#include <errno.h>
#include <string.h>

#include "machine/machine.h"

/* EFER: LMA, NXE. */
#define REGISTERS_EFER (BIT64(10) | BIT64(11))
#define REGISTERS_LA57 BIT64(12)

static int registers_ept(const struct vmmu_format_info *info, struct vmmu_hw_cpu *cpu)
{
	struct vmmu_hw_x86 *x86 = &cpu->u.x86;

	cpu->arch = VMMU_HW_EPT;
	x86->features |= VMMU_HW_EPT_2M | VMMU_HW_EPT_1G | VMMU_HW_EPT_ADVANCED;
	if (info->caps & VMMU_CAP_EXEC_ONLY)
		x86->features |= VMMU_HW_EPT_EXEC_ONLY;
	/* Write-back, levels - 1, accessed and dirty bits. */
	x86->eptp = 6 | (info->geometry->levels - 1u) << 3;
	if (info->caps & VMMU_CAP_HW_DIRTY)
		x86->eptp |= BIT64(6);
	return 0;
}

static int registers_npt(const struct vmmu_format_info *info, struct vmmu_hw_cpu *cpu)
{
	cpu->arch = VMMU_HW_NPT;
	cpu->u.x86.host_efer = REGISTERS_EFER;
	cpu->u.x86.host_cr4 = info->geometry->levels == 5 ? REGISTERS_LA57 : 0;
	return 0;
}

static int registers_x86(const struct vmmu_format_info *info, struct vmmu_hw_cpu *cpu)
{
	if (info->geometry->levels < 4)
		return -ENOTSUP;
	cpu->u.x86.features = VMMU_HW_X86_1G;
	cpu->u.x86.maxphyaddr = info->geometry->pa_bits;
	return !strcmp(info->architecture, "x86-ept") ? registers_ept(info, cpu)
						      : registers_npt(info, cpu);
}

static int registers_riscv(const struct vmmu_format_info *info, struct vmmu_hw_cpu *cpu)
{
	struct vmmu_hw_riscv *rv = &cpu->u.riscv;

	if (info->geometry->levels < 3)
		return -ENOTSUP;
	cpu->arch = VMMU_HW_RISCV;
	rv->features = VMMU_HW_RISCV_SVNAPOT | VMMU_HW_RISCV_SVPBMT;
	rv->xlen = 64;
	rv->vsxlen = 64;
	rv->pa_bits = 56;
	rv->menvcfg = BIT64(62); /* PBMTE */
	if (info->caps & VMMU_CAP_HW_DIRTY) {
		rv->features |= VMMU_HW_RISCV_SVADU;
		rv->menvcfg |= BIT64(61);
	}
	rv->hgatp = (uint64_t)(info->geometry->levels + 5) << 60;
	return 0;
}

/* SL0 and SL2 of VTCR_EL2 for a start at the manual's level START. */
static uint64_t registers_arm_start(unsigned page_shift, int start)
{
	if (page_shift != 12)
		return (uint64_t)(3 - start) << 6;
	if (start == -1)
		return BIT64(33);
	return (uint64_t)(start == 3 ? 3 : 2 - start) << 6;
}

static unsigned registers_arm_ps(unsigned pa_bits)
{
	static const uint8_t sizes[] = {32, 36, 40, 42, 44, 48, 52};
	unsigned ps = 0;

	while (ps < ARRAY_COUNT(sizes) - 1 && sizes[ps] < pa_bits)
		ps++;
	return ps;
}

static int registers_arm(const struct vmmu_format_info *info, struct vmmu_hw_cpu *cpu)
{
	const struct vmmu_geometry *geometry = info->geometry;
	static const uint8_t granules[] = {[12] = 0, [14] = 2, [16] = 1};
	bool is_wide = geometry->pa_bits > 48 || geometry->gpa_bits > 48;
	struct vmmu_hw_arm64 *arm = &cpu->u.arm64;

	if (geometry->page_shift != 12 && geometry->page_shift != 14 && geometry->page_shift != 16)
		return -ENOTSUP;
	cpu->arch = VMMU_HW_ARM64;
	arm->features = VMMU_HW_ARM64_XNX | VMMU_HW_ARM64_TTST;
	if (is_wide)
		arm->features |= VMMU_HW_ARM64_LPA2 | VMMU_HW_ARM64_LVA;
	if (info->caps & VMMU_CAP_HW_DIRTY)
		arm->features |= VMMU_HW_ARM64_HAFDBS;
	arm->pamax = is_wide ? 52 : 48;
	arm->hcr_el2 = 1; /* VM */
	arm->vtcr_el2 = (64u - geometry->gpa_bits) |
			(uint64_t)granules[geometry->page_shift] << 14 |
			(uint64_t)registers_arm_ps(geometry->pa_bits) << 16 |
			registers_arm_start(geometry->page_shift, 4 - geometry->levels);
	if (info->caps & VMMU_CAP_HW_DIRTY)
		arm->vtcr_el2 |= BIT64(21) | BIT64(22);
	if (is_wide && geometry->page_shift != 16)
		arm->vtcr_el2 |= BIT64(32);
	return 0;
}

int vmmu_machine_registers(const struct vmmu_format *format, struct vmmu_hw_cpu *cpu)
{
	static const struct {
		const char *architecture;
		int (*fill)(const struct vmmu_format_info *info, struct vmmu_hw_cpu *cpu);
	} fillers[] = {
		{"x86-ept", registers_x86},
		{"x86-npt", registers_x86},
		{"riscv64", registers_riscv},
		{"arm64", registers_arm},
	};
	const struct vmmu_format_info *info;

	if (!format || !cpu)
		return -EINVAL;
	*cpu = (struct vmmu_hw_cpu){0};
	info = vmmu_format_info(format);
	for (unsigned i = 0; i < ARRAY_COUNT(fillers); i++)
		if (!strcmp(fillers[i].architecture, info->architecture))
			return fillers[i].fill(info, cpu);
	return -ENOTSUP;
}

/* Tags of address spaces; 0 is the host's own on SVM, and nobody's elsewhere. */
static uint64_t registers_tag(unsigned as_id)
{
	return as_id + 1;
}

void registers_set_root(struct vmmu_hw_cpu *registers, uint64_t hpa, unsigned as_id)
{
	struct vmmu_hw_arm64 *arm = &registers->u.arm64;

	switch (registers->arch) {
	case VMMU_HW_EPT:
		registers->u.x86.eptp = (registers->u.x86.eptp & BITS64(11, 0)) | hpa;
		break;
	case VMMU_HW_NPT:
		registers->u.x86.ncr3 = hpa;
		registers->u.x86.asid = (uint32_t)registers_tag(as_id);
		break;
	case VMMU_HW_RISCV:
		registers->u.riscv.hgatp = (registers->u.riscv.hgatp & BITS64(63, 60)) |
					   registers_tag(as_id) << 44 | hpa >> 12;
		break;
	default:
		arm->vttbr_el2 = registers_tag(as_id) << 48 | (hpa & BITS64(47, 1));
		if (arm->pamax == 52) /* bits 51:48 of the address */
			arm->vttbr_el2 |= hpa >> 48 << 2;
		break;
	}
}

uint64_t registers_context(const struct vmmu_hw_cpu *registers)
{
	switch (registers->arch) {
	case VMMU_HW_EPT:
		return registers->u.x86.eptp & BITS64(51, 12);
	case VMMU_HW_NPT:
		return registers->u.x86.asid;
	case VMMU_HW_RISCV:
		return registers->u.riscv.hgatp >> 44 & 0x3fff;
	default:
		return registers->u.arm64.vttbr_el2 >> 48;
	}
}

void registers_allow_marks(struct vmmu_hw_cpu *registers)
{
	if (registers->arch == VMMU_HW_RISCV) {
		registers->u.riscv.features |= VMMU_HW_RISCV_SVADU;
		registers->u.riscv.menvcfg |= BIT64(61);
	} else if (registers->arch == VMMU_HW_ARM64) {
		registers->u.arm64.features |= VMMU_HW_ARM64_HAFDBS;
		registers->u.arm64.vtcr_el2 |= BIT64(21);
	} else {
		registers->u.x86.has_pml = false;
	}
}
