/* SPDX-License-Identifier: MIT */
/* Which formats there are, and reading one entry of any of them. */
#include <errno.h>
#include <string.h>

#include "base/bits.h"
#include "format/registry.h"

static const struct vmmu_format *const registry_formats[] = {
	&format_ept4,         &format_ept5,         &format_npt4,       &format_npt5,
	&format_sv39x4,       &format_sv48x4,       &format_sv57x4,     &format_arm_s2_4k,
	&format_arm_s2_4k_40, &format_arm_s2_4k_43, &format_arm_s2_64k,
};

const struct vmmu_format *vmmu_format_at(unsigned index)
{
	return index < ARRAY_COUNT(registry_formats) ? registry_formats[index] : NULL;
}

const struct vmmu_format *vmmu_format_find(const char *name)
{
	if (!name)
		return NULL;
	for (unsigned i = 0; i < ARRAY_COUNT(registry_formats); i++)
		if (!strcmp(registry_formats[i]->info.name, name))
			return registry_formats[i];
	return NULL;
}

const struct vmmu_format_info *vmmu_format_info(const struct vmmu_format *format)
{
	return &format->info;
}

/* A malformed leaf grants nothing, whatever its permission bits say. */
static void read_leaf(const struct format_ops *ops, uint64_t pte, unsigned level,
		      struct vmmu_entry *entry)
{
	entry->access = entry->malformed ? 0 : ops->access(pte, level);
	entry->memtype = ops->memtype(pte, level);
	entry->pfn = ops->leaf_pfn(pte, level);
	entry->host_writable = ops->host_writable(pte, level);
	entry->mmu_writable = ops->mmu_writable(pte, level);
	entry->accessed = ops->is_accessed(pte, level);
	entry->dirty = ops->is_dirty(pte, level);
}

static void read_mmio(const struct format_ops *ops, uint64_t pte, unsigned level,
		      struct vmmu_entry *entry)
{
	struct fmt_mmio mmio = ops->parse_mmio(pte, level);

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
		read_leaf(format->ops, pte, level, entry);
	else if (entry->kind == VMMU_ENTRY_TABLE)
		entry->table_hpa = format->ops->table_hpa(pte, level);
	else if (entry->kind == VMMU_ENTRY_MMIO)
		read_mmio(format->ops, pte, level, entry);
	return 0;
}
