/* SPDX-License-Identifier: MIT */
/*
 * The table of a format's functions. Include after exactly one instance header: defines FMT_OBJECT,
 * a const struct vmmu_format.
 */
#include "format/registry.h"

/* Formats of the library are built before their engines: engine_of_format() knows them. */
#ifndef FMT_ENGINE
#define FMT_ENGINE NULL
#endif

static const struct vmmu_format_ops fmt_ops = {
	.size = sizeof(struct vmmu_format_ops),
	.classify = fmt_classify,
	.is_present = fmt_is_present,
	.leaf_pfn = fmt_leaf_pfn,
	.table_hpa = fmt_table_hpa,
	.access = fmt_access,
	.memtype = fmt_memtype,
	.is_malformed = fmt_is_malformed,
	.make_leaf = fmt_make_leaf,
	.leaf_with_pfn = fmt_leaf_with_pfn,
	.make_table = fmt_make_table,
	.make_absent = fmt_make_absent,
	.make_frozen = fmt_make_frozen,
	.make_mmio = fmt_make_mmio,
	.parse_mmio = fmt_parse_mmio,
	.host_writable = fmt_host_writable,
	.mmu_writable = fmt_mmu_writable,
	.write_protect = fmt_write_protect,
	.write_forbid = fmt_write_forbid,
	.write_allow = fmt_write_allow,
	.is_accessed = fmt_is_accessed,
	.is_dirty = fmt_is_dirty,
	.clear_accessed = fmt_clear_accessed,
	.clear_dirty = fmt_clear_dirty,
	.is_volatile = fmt_is_volatile,
	.needs_break = fmt_needs_break,
	.flush_needed = fmt_flush_needed,
};

const struct vmmu_format FMT_OBJECT = {
	.info =
		{
			.name = FMT_NAME,
			.architecture = FMT_ARCHITECTURE,
			.description = FMT_DESCRIPTION,
			.geometry = &fmt_geometry,
			.caps = FMT_CAPS,
			.mmio_gen_bits = FMT_MMIO_GEN_BITS,
		},
	.ops = &fmt_ops,
	.engine = FMT_ENGINE,
#ifdef FMT_GROUPS
	.group_lg2 = fmt_group_lg2,
#endif
};
