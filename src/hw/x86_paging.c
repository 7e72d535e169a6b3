// SPDX-License-Identifier: MIT
/*
 * x86 page tables: 32-bit, PAE, 4-level and 5-level (SDM volume 3 chapter 4, APM volume 2 chapter
 * 5).
 */
#include "hw/x86.h"

/* The first bits of software and beyond in a long-mode entry. */
#define X86_PHYSICAL_END 52

void x86_tables_init(struct x86_tables *tables, const struct vmmu_hw_x86 *x86, uint64_t cr4,
		     uint64_t efer)
{
	*tables = (struct x86_tables){
		.entry_bytes = 8,
		.maxphyaddr = x86->maxphyaddr,
		.has_nx = efer & X86_EFER_NXE,
		.has_pse = cr4 & X86_CR4_PSE,
		.has_pse36 = x86->features & VMMU_HW_X86_PSE36,
		.has_1g = x86->features & VMMU_HW_X86_1G,
		.is_amd = x86->features & VMMU_HW_X86_AMD,
	};
	if (efer & X86_EFER_LMA) {
		tables->levels = cr4 & X86_CR4_LA57 ? 5 : 4;
	} else if (cr4 & X86_CR4_PAE) {
		tables->levels = 3;
	} else {
		tables->levels = 2;
		tables->entry_bytes = 4;
	}
}

static bool x86_is_long(const struct x86_tables *tables)
{
	return tables->levels >= 4;
}

/* The four PAE entries at the top carry no rights and no accessed bit. */
static bool x86_is_pdpte(const struct x86_tables *tables, unsigned level)
{
	return tables->levels == 3 && level == 3;
}

unsigned x86_shift(const struct x86_tables *tables, unsigned level)
{
	return 12 + (tables->entry_bytes == 4 ? 10 : 9) * (level - 1);
}

/* PAE inputs have 32 bits, which leaves two for the top level. */
static uint64_t x86_index(const struct x86_tables *tables, uint64_t input, unsigned level)
{
	unsigned bits = tables->entry_bytes == 4 ? 10 : 9;

	return (input >> x86_shift(tables, level)) & (BIT64(bits) - 1);
}

static bool x86_is_leaf(const struct x86_tables *tables, uint64_t entry, unsigned level)
{
	if (level == 1)
		return true;
	if (!(entry & X86_PS))
		return false;
	if (level == 2)
		return tables->levels > 2 || tables->has_pse;
	return level == 3 && x86_is_long(tables);
}

/*
 * 4M pages keep physical bits 39:32 at 20:13, as many of them as the CPU has; bit 21 is always
 * reserved.
 */
static uint64_t x86_reserved_4m(const struct x86_tables *tables)
{
	unsigned width = tables->maxphyaddr < 40 ? tables->maxphyaddr : 40;

	if (!tables->has_pse36)
		return BITS64(21, 13);
	return BITS64(21, 13 + width - 32);
}

/* Reserved bits of a present PAE or long-mode entry. */
static uint64_t x86_reserved_wide(const struct x86_tables *tables, uint64_t entry, unsigned level)
{
	uint64_t mask = BITS64(x86_is_long(tables) ? X86_PHYSICAL_END - 1 : 62, tables->maxphyaddr);

	if (x86_is_pdpte(tables, level))
		return mask | X86_NX | BITS64(2, 1) | BITS64(8, 5);
	if (!tables->has_nx)
		mask |= X86_NX;
	if (level >= 4)
		return mask | X86_PS | (tables->is_amd ? X86_G : 0);
	if (level == 1 || !(entry & X86_PS))
		return mask;
	if (level == 3 && !tables->has_1g)
		return mask | X86_PS;
	return mask | BITS64(x86_shift(tables, level) - 1, 13);
}

static bool x86_is_reserved(const struct x86_tables *tables, uint64_t entry, unsigned level)
{
	if (tables->entry_bytes == 8)
		return entry & x86_reserved_wide(tables, entry, level);
	return level == 2 && x86_is_leaf(tables, entry, level) && (entry & x86_reserved_4m(tables));
}

static uint64_t x86_page(const struct x86_tables *tables, uint64_t entry, unsigned level)
{
	if (tables->entry_bytes == 8)
		return entry & BITS64(tables->maxphyaddr - 1, x86_shift(tables, level));
	if (level == 1)
		return entry & BITS64(31, 12);
	return (entry & BITS64(31, 22)) | ((entry >> 13) & 0xff) << 32;
}

static uint64_t x86_next(const struct x86_tables *tables, uint64_t entry)
{
	return entry & BITS64(tables->entry_bytes == 4 ? 31 : tables->maxphyaddr - 1, 12);
}

/* Read the entry for level LEVEL into the path's next slot. */
static enum hw_result x86_read(struct hw_run *run, const struct x86_tables *tables, uint64_t table,
			       struct hw_slot *slot)
{
	uint64_t index = x86_index(tables, slot->input, slot->level);

	slot->address = table + index * tables->entry_bytes;
	if (tables->pdpte && slot->level == 3) {
		slot->value = tables->pdpte[index];
		return HW_OK;
	}
	return walk_fetch(run, slot);
}

static void x86_accumulate(const struct x86_tables *tables, struct x86_path *path,
			   const struct hw_slot *slot)
{
	path->upper_rights = path->rights;
	if (x86_is_pdpte(tables, slot->level))
		return;
	path->rights &= slot->value | ~(X86_W | X86_U);
	path->rights |= tables->entry_bytes == 8 ? slot->value & X86_NX : 0;
}

/* Where the walk stands after this entry: X86_LEAF also while it can go on. */
static enum x86_end x86_judge(const struct x86_tables *tables, const struct hw_slot *slot)
{
	if (!(slot->value & X86_P))
		return X86_ABSENT;
	return x86_is_reserved(tables, slot->value, slot->level) ? X86_RESERVED : X86_LEAF;
}

enum hw_result x86_walk(struct hw_run *run, const struct x86_tables *tables, uint64_t input,
			struct x86_path *path)
{
	uint64_t table = tables->root;
	struct hw_slot *slot;
	enum hw_result result;
	unsigned level;

	path->count = 0;
	path->rights = X86_W | X86_U;
	for (level = tables->levels;; level--) {
		slot = &path->slot[path->count++];
		path->last = slot;
		*slot = (struct hw_slot){.stage = tables->stage,
					 .level = (uint8_t)level,
					 .bytes = tables->entry_bytes,
					 .input = input};
		result = x86_read(run, tables, table, slot);
		if (result)
			return result;
		path->end = x86_judge(tables, slot);
		if (path->end != X86_LEAF)
			return HW_OK;
		x86_accumulate(tables, path, slot);
		if (x86_is_leaf(tables, slot->value, level))
			break;
		table = x86_next(tables, slot->value);
	}
	path->page_lg2 = (uint8_t)x86_shift(tables, level);
	path->output = x86_page(tables, slot->value, level);
	path->output |= input & (BIT64(path->page_lg2) - 1);
	return HW_OK;
}

enum hw_result x86_mark(struct hw_run *run, const struct x86_tables *tables, struct x86_path *path,
			unsigned access)
{
	enum hw_result result;
	uint64_t value;
	unsigned i;

	for (i = 0; i < path->count; i++) {
		if (x86_is_pdpte(tables, path->slot[i].level))
			continue;
		value = path->slot[i].value | X86_A;
		if (i == path->count - 1 && (access & VMMU_WRITE))
			value |= X86_D;
		if (value == path->slot[i].value)
			continue;
		path->last = &path->slot[i];
		result = walk_store(run, &path->slot[i], value);
		if (result)
			return result;
	}
	return HW_OK;
}

void x86_mapping(const struct x86_path *path, struct vmmu_hw_mapping *mapping)
{
	const struct hw_slot *leaf = &path->slot[path->count - 1];
	unsigned pat_bit = leaf->level == 1 ? 7 : 12;

	*mapping = (struct vmmu_hw_mapping){
		.input = leaf->input,
		.output = path->output,
		.level = leaf->level,
		.page_lg2 = path->page_lg2,
		.range_lg2 = path->page_lg2,
		.memtype = ((leaf->value >> 3) & 3) | ((leaf->value >> pat_bit) & 1) << 2,
		.dirty = leaf->value & X86_D,
		.global = leaf->value & X86_G,
	};
}

bool x86_is_valid(const struct vmmu_hw_cpu *cpu)
{
	const struct vmmu_hw_x86 *x86 = &cpu->u.x86;

	return x86->maxphyaddr >= 32 && x86->maxphyaddr <= X86_PHYSICAL_END &&
	       !(x86->features & ~(unsigned)VMMU_HW_X86_FEATURES);
}

/* Alone: guest-physical addresses are host-physical. */
static enum hw_result x86_stage2_none(struct hw_run *run, const struct vmmu_hw_gpa *gpa,
				      struct vmmu_hw_mapping *mapping)
{
	(void)run;
	walk_identity(mapping, gpa->gpa);
	return HW_OK;
}

const struct hw_arch hw_arch_x86 = {
	.is_valid = x86_is_valid,
	.stage1 = x86_stage1,
	.stage2 = x86_stage2_none,
};
