// SPDX-License-Identifier: MIT
/*
 * RISC-V with the hypervisor extension, V=1: VS-stage over G-stage (privileged architecture, "Sv39"
 * and on, "Hypervisor").
 */
#include "hw/walk.h"

#define RV_V    BIT64(0)
#define RV_R    BIT64(1)
#define RV_W    BIT64(2)
#define RV_X    BIT64(3)
#define RV_U    BIT64(4)
#define RV_G    BIT64(5)
#define RV_A    BIT64(6)
#define RV_D    BIT64(7)
#define RV_PBMT BITS64(62, 61)
#define RV_N    BIT64(63)

#define RV_RESERVED BITS64(58, 54)
#define RV_RSW60T59 BITS64(60, 59)

#define RV_SSTATUS_SUM  BIT64(18)
#define RV_SSTATUS_MXR  BIT64(19)
#define RV_ENVCFG_SSE   BIT64(3)
#define RV_ENVCFG_ADUE  BIT64(61)
#define RV_ENVCFG_PBMTE BIT64(62)

#define RV_TINST_READ64  0x3000
#define RV_TINST_WRITE64 0x3020
#define RV_TINST_READ32  0x2000
#define RV_TINST_WRITE32 0x2020

/* Trap causes, for a load; fetch and store follow. */
enum rv_trap {
	RV_ACCESS_FAULT,
	RV_PAGE_FAULT,
	RV_GUEST_PAGE_FAULT
};

/* One stage as its registers set it up. */
struct rv_stage {
	uint64_t root;   /* bytes */
	uint64_t envcfg; /* what holds for this stage: PBMTE, ADUE, SSE */
	uint8_t stage;   /* 1 VS, 2 G */
	uint8_t levels;  /* 0: Bare */
	uint8_t entry_bytes;
	uint8_t index_bits; /* of all but the G root, which has two more */
	uint8_t input_bits;
};

/* A walk of one stage. */
struct rv_walk {
	const struct rv_stage *stage;
	const struct vmmu_hw_gpa *gpa; /* G-stage */
	struct hw_slot slot;           /* the entry read last */
	uint64_t output;               /* bytes */
	uint8_t page_lg2, range_lg2;
};

/* Levels by MODE; the Sv32 ones are MODE 1 of 32-bit registers. */
static unsigned rv_levels(uint64_t atp, unsigned xlen)
{
	if (xlen == 32)
		return atp & BIT64(31) ? 2 : 0;
	return atp >> 60 ? (unsigned)(atp >> 60) - 5 : 0;
}

static bool rv_is_mode(uint64_t atp, unsigned xlen)
{
	uint64_t mode = atp >> 60;

	if (xlen == 32)
		return !(atp >> 32);
	return mode == 0 || (mode >= 8 && mode <= 10);
}

static bool rv_is_valid(const struct vmmu_hw_cpu *cpu)
{
	const struct vmmu_hw_riscv *rv = &cpu->u.riscv;

	if (rv->features & ~(unsigned)VMMU_HW_RISCV_FEATURES)
		return false;
	if ((rv->xlen != 32 && rv->xlen != 64) || (rv->vsxlen != 32 && rv->vsxlen != 64))
		return false;
	if (rv->vsxlen > rv->xlen || rv->pa_bits < 32 || rv->pa_bits > 56)
		return false;
	return rv_is_mode(rv->hgatp, rv->xlen) && rv_is_mode(rv->vsatp, rv->vsxlen);
}

/* The enable bits that can be set at all. */
static uint64_t rv_envcfg_mask(const struct vmmu_hw_riscv *rv)
{
	uint64_t mask = 0;

	if (rv->features & VMMU_HW_RISCV_SVPBMT)
		mask |= RV_ENVCFG_PBMTE;
	if (rv->features & VMMU_HW_RISCV_SVADU)
		mask |= RV_ENVCFG_ADUE;
	if (rv->features & VMMU_HW_RISCV_ZICFISS)
		mask |= RV_ENVCFG_SSE;
	return mask;
}

/* ATP: hgatp or vsatp, of a register XLEN wide. */
static void rv_stage_init(struct rv_stage *stage, uint64_t atp, unsigned xlen)
{
	unsigned ppn_high = xlen == 32 ? 21 : 43;

	stage->levels = (uint8_t)rv_levels(atp, xlen);
	stage->entry_bytes = xlen == 32 ? 4 : 8;
	stage->index_bits = xlen == 32 ? 10 : 9;
	stage->input_bits = (uint8_t)(12 + stage->levels * stage->index_bits);
	stage->root = (atp & BITS64(ppn_high, 0)) << 12;
}

static struct rv_stage rv_g_stage(const struct vmmu_hw_riscv *rv)
{
	struct rv_stage stage = {.stage = 2};

	rv_stage_init(&stage, rv->hgatp, rv->xlen);
	stage.input_bits += 2;
	stage.root &= ~BITS64(13, 0); /* hgatp.PPN[1:0] read as 0 */
	stage.envcfg = rv->menvcfg & rv_envcfg_mask(rv) & ~RV_ENVCFG_SSE;
	return stage;
}

static struct rv_stage rv_vs_stage(const struct vmmu_hw_riscv *rv)
{
	struct rv_stage stage = {.stage = 1};

	rv_stage_init(&stage, rv->vsatp, rv->vsxlen);
	stage.envcfg = rv->menvcfg & rv->henvcfg & rv_envcfg_mask(rv);
	return stage;
}

/* The trap's number: it always follows the original access, whatever implicit one failed. */
static uint64_t rv_cause(const struct vmmu_hw_access *access, enum rv_trap trap)
{
	static const uint8_t causes[3][3] = {
		[RV_ACCESS_FAULT] = {1, 5, 7},
		[RV_PAGE_FAULT] = {12, 13, 15},
		[RV_GUEST_PAGE_FAULT] = {20, 21, 23},
	};

	if (access->access == VMMU_EXEC)
		return causes[trap][0];
	if ((access->access & VMMU_WRITE) || (access->flags & VMMU_HW_SHADOW_STACK))
		return causes[trap][2];
	return causes[trap][1];
}

/* What htinst says of an implicit access to a VS-stage entry. */
static uint64_t rv_tinst(const struct vmmu_hw_riscv *rv, enum vmmu_hw_purpose purpose)
{
	if (purpose == VMMU_HW_TABLE_READ)
		return rv->vsxlen == 32 ? RV_TINST_READ32 : RV_TINST_READ64;
	if (purpose == VMMU_HW_TABLE_WRITE)
		return rv->vsxlen == 32 ? RV_TINST_WRITE32 : RV_TINST_WRITE64;
	return 0;
}

static enum hw_result rv_trap(struct hw_run *run, const struct walk_failure *failure,
			      enum rv_trap trap)
{
	struct vmmu_hw_report *report = &run->walk->report;

	walk_fail(run, failure);
	report->riscv.cause = rv_cause(run->access, trap);
	report->riscv.tval = run->walk->stage1.input;
	report->riscv.gva = true;
	if (trap != RV_GUEST_PAGE_FAULT)
		return HW_FAULT;
	report->riscv.tval2 = failure->gpa >> 2;
	report->riscv.tinst = rv_tinst(&run->cpu->u.riscv, failure->purpose);
	return HW_FAULT;
}

/* A fault of WALK's stage: page fault or guest-page fault by the stage, or an access fault. */
static enum hw_result rv_fault(struct hw_run *run, const struct rv_walk *walk,
			       enum vmmu_hw_cause cause)
{
	bool is_g = walk->stage->stage == 2;
	struct walk_failure failure = {
		.cause = cause,
		.stage = walk->stage->stage,
		.purpose = is_g ? walk->gpa->purpose : VMMU_HW_FINAL,
		.gpa = is_g ? walk->gpa->gpa : walk->slot.address,
		.slot = walk->slot.level ? &walk->slot : NULL,
	};
	enum rv_trap trap = is_g ? RV_GUEST_PAGE_FAULT : RV_PAGE_FAULT;

	if (cause == VMMU_HW_BUS || cause == VMMU_HW_ADDRESS_SIZE)
		trap = RV_ACCESS_FAULT;
	rv_trap(run, &failure, trap);
	if (trap == RV_ACCESS_FAULT)
		run->walk->status = VMMU_HW_FAULT_HOST; /* memory is the host's */
	return HW_FAULT;
}

/* G-stage inputs have zeros above, VS-stage inputs copies of the top bit; RV32 addresses fill their
 * register. */
static bool rv_is_input(const struct rv_stage *stage, uint64_t input)
{
	uint64_t upper;

	if (stage->stage == 2)
		return !(input >> stage->input_bits);
	if (stage->entry_bytes == 4)
		return true;
	upper = input >> (stage->input_bits - 1);
	return upper == 0 || upper == BIT64(65 - stage->input_bits) - 1;
}

static uint64_t rv_index(const struct rv_stage *stage, uint64_t input, unsigned level)
{
	unsigned bits = stage->index_bits;

	if (stage->stage == 2 && level == stage->levels)
		bits += 2;
	return (input >> (12 + stage->index_bits * (level - 1))) & (BIT64(bits) - 1);
}

/* A 32-bit entry is read with zeros above: what 64-bit entries keep there is simply off. */
static uint64_t rv_page(uint64_t entry)
{
	return (entry & BITS64(53, 10)) << 2;
}

/* Upper bits that this stage must find clear. */
static uint64_t rv_reserved(const struct vmmu_hw_riscv *rv, const struct rv_stage *stage)
{
	uint64_t mask = RV_RESERVED;

	if (!(rv->features & VMMU_HW_RISCV_SVRSW60T59B))
		mask |= RV_RSW60T59;
	if (!(stage->envcfg & RV_ENVCFG_PBMTE))
		mask |= RV_PBMT;
	if (!(rv->features & VMMU_HW_RISCV_SVNAPOT))
		mask |= RV_N;
	return mask;
}

static bool rv_is_pointer(uint64_t entry)
{
	return !(entry & (RV_R | RV_W | RV_X));
}

/* VS-stage only: write without read and execute, once shadow stacks are on. */
static bool rv_is_shadow_stack(const struct rv_stage *stage, uint64_t entry)
{
	return (stage->envcfg & RV_ENVCFG_SSE) && (entry & (RV_R | RV_W | RV_X)) == RV_W;
}

/* Is a leaf's address and NAPOT form right for LEVEL? */
static bool rv_is_leaf_formed(const struct rv_stage *stage, uint64_t entry, unsigned level)
{
	uint64_t page = rv_page(entry);

	if (!is_aligned(page, BIT64(12 + stage->index_bits * (level - 1))))
		return false;
	if (!(entry & RV_N))
		return true;
	return level == 1 && (page & BITS64(15, 12)) == BIT64(15);
}

/* Steps 3 to 5: what is wrong with an entry whoever asks. */
static enum vmmu_hw_cause rv_malformed(const struct vmmu_hw_riscv *rv, const struct rv_stage *stage,
				       uint64_t entry, unsigned level)
{
	if (!(entry & RV_V))
		return VMMU_HW_ABSENT;
	if (entry & rv_reserved(rv, stage))
		return VMMU_HW_RESERVED;
	if ((entry & RV_PBMT) == RV_PBMT)
		return VMMU_HW_RESERVED;
	if ((entry & (RV_R | RV_W)) == RV_W && !rv_is_shadow_stack(stage, entry))
		return VMMU_HW_RESERVED;
	if (!rv_is_pointer(entry))
		return rv_is_leaf_formed(stage, entry, level) ? VMMU_HW_NO_CAUSE : VMMU_HW_RESERVED;
	if (entry & (RV_U | RV_A | RV_D | RV_PBMT | RV_N))
		return VMMU_HW_RESERVED;
	return level == 1 ? VMMU_HW_RESERVED : VMMU_HW_NO_CAUSE;
}

static void rv_leaf(struct rv_walk *walk)
{
	const struct rv_stage *stage = walk->stage;
	uint64_t entry = walk->slot.value, page = rv_page(entry);

	walk->page_lg2 = (uint8_t)(12 + stage->index_bits * (walk->slot.level - 1));
	walk->range_lg2 = walk->page_lg2;
	if (entry & RV_N)
		walk->range_lg2 = 16;
	walk->output = (page & ~(BIT64(walk->range_lg2) - 1)) |
		       (walk->slot.input & (BIT64(walk->range_lg2) - 1));
}

/* Is an address beyond what this CPU implements? Then nothing answers: an access fault. */
static bool rv_is_beyond(const struct hw_run *run, const struct rv_stage *stage, uint64_t address)
{
	return stage->stage == 2 && address >> run->cpu->u.riscv.pa_bits;
}

/* Steps 1 to 5: to a well-formed leaf, or a fault. */
static enum hw_result rv_descend(struct hw_run *run, struct rv_walk *walk, uint64_t input)
{
	const struct rv_stage *stage = walk->stage;
	uint64_t table = stage->root;
	enum vmmu_hw_cause cause;
	enum hw_result result;
	unsigned level;

	if (!rv_is_input(stage, input))
		return rv_fault(run, walk, VMMU_HW_INPUT_SIZE);
	for (level = stage->levels;; level--) {
		walk->slot = (struct hw_slot){.stage = stage->stage,
					      .level = (uint8_t)level,
					      .bytes = stage->entry_bytes,
					      .input = input};
		walk->slot.address = table + rv_index(stage, input, level) * stage->entry_bytes;
		if (rv_is_beyond(run, stage, walk->slot.address))
			return rv_fault(run, walk, VMMU_HW_ADDRESS_SIZE);
		result = walk_fetch(run, &walk->slot);
		if (result)
			return result == HW_BUS ? rv_fault(run, walk, VMMU_HW_BUS) : result;
		cause = rv_malformed(&run->cpu->u.riscv, stage, walk->slot.value, level);
		if (cause)
			return rv_fault(run, walk, cause);
		if (!rv_is_pointer(walk->slot.value))
			break;
		table = rv_page(walk->slot.value);
	}
	rv_leaf(walk);
	return HW_OK;
}

/* Step 9: accessed, and dirty for a write, by hardware or by a fault. */
static enum hw_result rv_mark(struct hw_run *run, struct rv_walk *walk, unsigned access)
{
	uint64_t value = walk->slot.value | RV_A | (access & VMMU_WRITE ? RV_D : 0);
	enum hw_result result;

	if (value == walk->slot.value)
		return HW_OK;
	if (!(walk->stage->envcfg & RV_ENVCFG_ADUE))
		return rv_fault(run, walk, VMMU_HW_ACCESSED);
	result = walk_store(run, &walk->slot, value);
	return result == HW_BUS ? rv_fault(run, walk, VMMU_HW_BUS) : result;
}

static void rv_mapping(const struct rv_walk *walk, struct vmmu_hw_mapping *mapping)
{
	uint64_t entry = walk->slot.value;

	*mapping = (struct vmmu_hw_mapping){
		.input = walk->slot.input,
		.output = walk->output,
		.level = walk->slot.level,
		.page_lg2 = walk->page_lg2,
		.range_lg2 = walk->range_lg2,
		.dirty = entry & RV_D,
		.memtype = (entry & RV_PBMT) >> 61,
	};
}

/* Right to R, W or X by the entry's bits; MXR lets execute stand for read, HLVX asks for it. */
static bool rv_is_granted(uint64_t entry, unsigned access, unsigned flags, uint64_t mxr)
{
	uint64_t readable = flags & VMMU_HW_HLVX ? RV_X : RV_R | (mxr ? RV_X : 0);

	if (access == VMMU_EXEC)
		return entry & RV_X;
	if ((access & VMMU_READ) && !(entry & readable))
		return false;
	return !(access & VMMU_WRITE) || (entry & RV_W);
}

/* G-stage steps 6 and 8. Implicit accesses know no MXR; shadow stacks need read and write. */
static bool rv_g_is_granted(const struct vmmu_hw_riscv *rv, uint64_t entry,
			    enum vmmu_hw_purpose purpose, unsigned access, unsigned flags)
{
	if (!(entry & RV_U))
		return false;
	if (purpose == VMMU_HW_TABLE_READ)
		return entry & RV_R;
	if (purpose == VMMU_HW_TABLE_WRITE)
		return entry & RV_W;
	if (flags & VMMU_HW_SHADOW_STACK)
		return (entry & RV_R) && (entry & RV_W);
	return rv_is_granted(entry, access, flags, rv->sstatus & RV_SSTATUS_MXR);
}

static unsigned rv_g_access(const struct hw_run *run, enum vmmu_hw_purpose purpose)
{
	if (purpose == VMMU_HW_FINAL)
		return run->access->access;
	return purpose == VMMU_HW_TABLE_WRITE ? VMMU_WRITE : VMMU_READ;
}

static enum hw_result rv_g_leaf(struct hw_run *run, struct rv_walk *walk,
				struct vmmu_hw_mapping *mapping)
{
	const struct vmmu_hw_riscv *rv = &run->cpu->u.riscv;
	enum vmmu_hw_purpose purpose = walk->gpa->purpose;
	unsigned access = rv_g_access(run, purpose), i;
	enum hw_result result;

	if (!rv_g_is_granted(rv, walk->slot.value, purpose, access, run->access->flags))
		return rv_fault(run, walk, VMMU_HW_PERMISSION);
	result = rv_mark(run, walk, access);
	if (result)
		return result;
	rv_mapping(walk, mapping);
	for (i = 0; i < ARRAY_COUNT(walk_rights); i++) {
		if (rv_g_is_granted(rv, walk->slot.value, VMMU_HW_FINAL, walk_rights[i], 0))
			mapping->kernel_access |= walk_rights[i];
	}
	mapping->user_access = mapping->kernel_access;
	return HW_OK;
}

static enum hw_result rv_stage2(struct hw_run *run, const struct vmmu_hw_gpa *gpa,
				struct vmmu_hw_mapping *mapping)
{
	struct rv_stage stage = rv_g_stage(&run->cpu->u.riscv);
	struct rv_walk walk = {.stage = &stage, .gpa = gpa};
	struct vmmu_hw_mapping found = {0};
	enum hw_result result;

	if (!stage.levels) {
		walk_identity(&found, gpa->gpa);
	} else {
		result = rv_descend(run, &walk, gpa->gpa);
		if (!result)
			result = rv_g_leaf(run, &walk, &found);
		if (result)
			return result;
	}
	if (rv_is_beyond(run, &stage, found.output))
		return rv_fault(run, &walk, VMMU_HW_ADDRESS_SIZE);
	*mapping = found;
	return HW_OK;
}

/* VS-stage step 6: user pages for user mode; the supervisor reads and writes them by SUM, and never
 * executes them. */
static bool rv_vs_is_mode_granted(const struct vmmu_hw_riscv *rv, uint64_t entry, unsigned access,
				  unsigned flags)
{
	if (flags & VMMU_HW_USER)
		return entry & RV_U;
	if (!(entry & RV_U))
		return true;
	return access != VMMU_EXEC && (rv->vsstatus & RV_SSTATUS_SUM);
}

/*
 * VS-stage steps 6 to 8. *TRAP: an access fault where shadow-stack pages and accesses do not go
 * together (a shadow-stack access to a page that is merely not writable is an ordinary page fault).
 */
static bool rv_vs_is_granted(const struct vmmu_hw_riscv *rv, const struct rv_stage *stage,
			     uint64_t entry, const struct vmmu_hw_access *access,
			     enum rv_trap *trap)
{
	*trap = RV_PAGE_FAULT;
	if (!rv_vs_is_mode_granted(rv, entry, access->access, access->flags))
		return false;
	if (rv_is_shadow_stack(stage, entry)) {
		*trap = RV_ACCESS_FAULT;
		return access->access == VMMU_READ || (access->flags & VMMU_HW_SHADOW_STACK);
	}
	if (access->flags & VMMU_HW_SHADOW_STACK) {
		if (entry & RV_W)
			*trap = RV_ACCESS_FAULT;
		return false;
	}
	return rv_is_granted(entry, access->access, access->flags,
			     (rv->vsstatus | rv->sstatus) & RV_SSTATUS_MXR);
}

static void rv_vs_mapping(const struct vmmu_hw_riscv *rv, const struct rv_walk *walk,
			  struct vmmu_hw_mapping *mapping)
{
	struct vmmu_hw_access access = {0};
	enum rv_trap trap;
	unsigned i;

	rv_mapping(walk, mapping);
	mapping->global = walk->slot.value & RV_G;
	for (i = 0; i < ARRAY_COUNT(walk_rights); i++) {
		access.access = walk_rights[i];
		access.flags = 0;
		if (rv_vs_is_granted(rv, walk->stage, walk->slot.value, &access, &trap))
			mapping->kernel_access |= walk_rights[i];
		access.flags = VMMU_HW_USER;
		if (rv_vs_is_granted(rv, walk->stage, walk->slot.value, &access, &trap))
			mapping->user_access |= walk_rights[i];
	}
}

/* A fault by the leaf's rights, which may be an access fault of the guest's own making. */
static enum hw_result rv_vs_refuse(struct hw_run *run, const struct rv_walk *walk,
				   enum rv_trap trap)
{
	struct walk_failure failure = {
		.cause = VMMU_HW_PERMISSION,
		.stage = 1,
		.gpa = walk->slot.address,
		.slot = walk->slot.level ? &walk->slot : NULL,
	};

	return rv_trap(run, &failure, trap);
}

static enum hw_result rv_stage1(struct hw_run *run)
{
	const struct vmmu_hw_riscv *rv = &run->cpu->u.riscv;
	struct rv_stage stage = rv_vs_stage(rv);
	struct rv_walk walk = {.stage = &stage};
	uint64_t va = rv->vsxlen == 32 ? (uint32_t)run->access->gva : run->access->gva;
	enum hw_result result;
	enum rv_trap trap;

	run->walk->stage1.input = va;
	if (!stage.levels) {
		/* No page can be a shadow stack where there are no pages. */
		if (run->access->flags & VMMU_HW_SHADOW_STACK)
			return rv_vs_refuse(run, &walk, RV_ACCESS_FAULT);
		walk_identity(&run->walk->stage1, va);
		return HW_OK;
	}
	result = rv_descend(run, &walk, va);
	if (result)
		return result;
	if (!rv_vs_is_granted(rv, &stage, walk.slot.value, run->access, &trap))
		return rv_vs_refuse(run, &walk, trap);
	result = rv_mark(run, &walk, run->access->access);
	if (result)
		return result;
	rv_vs_mapping(rv, &walk, &run->walk->stage1);
	return HW_OK;
}

const struct hw_arch hw_arch_riscv = {
	.is_valid = rv_is_valid,
	.stage1 = rv_stage1,
	.stage2 = rv_stage2,
};
