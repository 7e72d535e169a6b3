/* SPDX-License-Identifier: MIT */
/*
 * The format that stands for every format known at run time only: fmt_X() asks the current one
 * (current.h). Geometry and facts are its own as well. It promises nothing for whole tables: what
 * holds for an author's bits is not known.
 */
#ifndef VMMU_FORMAT_FORWARD_H
#define VMMU_FORMAT_FORWARD_H

#include "format/current.h"

#define FMT_OBJECT        (*current_format)
#define FMT_CAPS          (current_format->info.caps)
#define FMT_MMIO_GEN_BITS (current_format->info.mmio_gen_bits)
/* FMT_FLUSH_GRANT is not known without asking for each change. */

#define fmt_geometry (*current_format->info.geometry)

static inline enum vmmu_entry_kind fmt_classify(uint64_t pte, unsigned level)
{
	return current_format->ops->classify(pte, level);
}

static inline bool fmt_is_present(uint64_t pte, unsigned level)
{
	return current_format->ops->is_present(pte, level);
}

static inline uint64_t fmt_leaf_pfn(uint64_t pte, unsigned level)
{
	return current_format->ops->leaf_pfn(pte, level);
}

static inline uint64_t fmt_table_hpa(uint64_t pte, unsigned level)
{
	return current_format->ops->table_hpa(pte, level);
}

static inline unsigned fmt_access(uint64_t pte, unsigned level)
{
	return current_format->ops->access(pte, level);
}

static inline enum vmmu_memtype fmt_memtype(uint64_t pte, unsigned level)
{
	return current_format->ops->memtype(pte, level);
}

static inline bool fmt_is_malformed(uint64_t pte, unsigned level)
{
	return current_format->ops->is_malformed(pte, level);
}

static inline uint64_t fmt_make_leaf(struct vmmu_leaf leaf, unsigned level)
{
	return current_format->ops->make_leaf(leaf, level);
}

static inline uint64_t fmt_leaf_with_pfn(uint64_t leaf, uint64_t pfn, unsigned level)
{
	return current_format->ops->leaf_with_pfn(leaf, pfn, level);
}

static inline uint64_t fmt_make_table(uint64_t hpa, unsigned level)
{
	return current_format->ops->make_table(hpa, level);
}

static inline uint64_t fmt_make_absent(unsigned level)
{
	return current_format->ops->make_absent(level);
}

static inline uint64_t fmt_make_frozen(unsigned level)
{
	return current_format->ops->make_frozen(level);
}

static inline uint64_t fmt_make_mmio(struct vmmu_mmio mmio, unsigned level)
{
	return current_format->ops->make_mmio(mmio, level);
}

static inline struct vmmu_mmio fmt_parse_mmio(uint64_t pte, unsigned level)
{
	return current_format->ops->parse_mmio(pte, level);
}

static inline bool fmt_host_writable(uint64_t pte, unsigned level)
{
	return current_format->ops->host_writable(pte, level);
}

static inline bool fmt_mmu_writable(uint64_t pte, unsigned level)
{
	return current_format->ops->mmu_writable(pte, level);
}

static inline uint64_t fmt_write_protect(uint64_t pte, unsigned level)
{
	return current_format->ops->write_protect(pte, level);
}

static inline uint64_t fmt_write_forbid(uint64_t pte, unsigned level)
{
	return current_format->ops->write_forbid(pte, level);
}

static inline uint64_t fmt_write_allow(uint64_t pte, unsigned level)
{
	return current_format->ops->write_allow(pte, level);
}

static inline bool fmt_is_accessed(uint64_t pte, unsigned level)
{
	return current_format->ops->is_accessed(pte, level);
}

static inline bool fmt_is_dirty(uint64_t pte, unsigned level)
{
	return current_format->ops->is_dirty(pte, level);
}

static inline uint64_t fmt_clear_accessed(uint64_t pte, unsigned level)
{
	return current_format->ops->clear_accessed(pte, level);
}

static inline uint64_t fmt_clear_dirty(uint64_t pte, unsigned level)
{
	return current_format->ops->clear_dirty(pte, level);
}

static inline bool fmt_is_volatile(uint64_t pte, unsigned level)
{
	return current_format->ops->is_volatile(pte, level);
}

static inline bool fmt_needs_break(uint64_t old_pte, uint64_t new_pte, unsigned level)
{
	return current_format->ops->needs_break(old_pte, new_pte, level);
}

static inline enum vmmu_flush_due fmt_flush_needed(uint64_t old_pte, uint64_t new_pte,
						   unsigned level)
{
	return current_format->ops->flush_needed(old_pte, new_pte, level);
}

#endif
