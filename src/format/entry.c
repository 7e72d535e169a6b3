/* SPDX-License-Identifier: MIT */
/* Reading one entry of any format. */
#include <errno.h>

#include "format/contract.h"

/* A malformed leaf grants nothing, whatever its permission bits say. */
static void read_leaf(const struct vmmu_format *format, uint64_t pte, unsigned level,
		      struct vmmu_entry *entry)
{
	const struct vmmu_format_ops *ops = format->ops;

	entry->access = entry->malformed ? 0 : ops->access(pte, level);
	entry->memtype = ops->memtype(pte, level);
	entry->pfn = ops->leaf_pfn(pte, level);
	entry->host_writable = ops->host_writable(pte, level);
	entry->mmu_writable = ops->mmu_writable(pte, level);
	entry->accessed = ops->is_accessed(pte, level);
	entry->dirty = ops->is_dirty(pte, level);
	entry->group_lg2 = format->group_lg2 ? format->group_lg2(pte, level) : 0;
}

static void read_mmio(const struct vmmu_format_ops *ops, uint64_t pte, unsigned level,
		      struct vmmu_entry *entry)
{
	struct vmmu_mmio mmio = ops->parse_mmio(pte, level);

	entry->gfn = mmio.gfn;
	entry->access = mmio.access;
	entry->generation = mmio.generation;
}

int vmmu_entry_read(const struct vmmu_format *format, uint64_t pte, unsigned level,
		    struct vmmu_entry *entry)
{
	if (!format || !entry || level < 1 || level > format->info.geometry->levels)
		return -EINVAL;
	*entry = (struct vmmu_entry){
		.kind = format->ops->classify(pte, level),
		.malformed = format->ops->is_malformed(pte, level),
	};
	if (entry->kind == VMMU_ENTRY_LEAF)
		read_leaf(format, pte, level, entry);
	else if (entry->kind == VMMU_ENTRY_TABLE)
		entry->table_hpa = format->ops->table_hpa(pte, level);
	else if (entry->kind == VMMU_ENTRY_MMIO)
		read_mmio(format->ops, pte, level, entry);
	return 0;
}
