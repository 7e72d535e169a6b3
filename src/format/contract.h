/* SPDX-License-Identifier: MIT */
/*
 * The contract of a PTE format: what a format header defines and what the rest of the engine may
 * ask of it.
 *
 * A format is ONE header of static inline functions and one constant geometry, included once per
 * translation unit: the engine's templates then call fmt_*() and the compiler folds all of it.
 * ops_impl.h makes a table of the same functions for whoever needs a format at run time (tests,
 * conformance, dumps).
 *
 * A format header defines:
 *   FMT_NAME, FMT_ARCHITECTURE, FMT_DESCRIPTION  strings
 *   FMT_OBJECT                                   the struct vmmu_format that ops_impl.h makes
 *   FMT_CAPS                                     enum vmmu_format_cap, or-ed
 *   FMT_MMIO_GEN_BITS
 *   FMT_FLUSH_GRANT                              enum vmmu_flush_due: what flush_needed() says when
 *                                                write_allow() gives WRITE to a leaf, which needs
 *                                                no break; left out: both are asked each time
 *   static const struct vmmu_geometry fmt_geometry
 *   the functions listed in struct vmmu_format_ops, each named fmt_X; what they must do is said
 *   there
 *
 * It may promise more, for whole tables at a time:
 *   FMT_WRITE_BITS   write_protect() of any leaf at any level clears just these bits, and absent
 *                    entries do not mind their being cleared. MMIO entries do mind (EPT's marker
 *                    and Arm's generation lie there): not for a table that may hold one.
 *   FMT_LINEAR_PFN   leaf_with_pfn(leaf, a + b) is leaf_with_pfn(leaf, a) plus
 *                    leaf_with_pfn(0, b), as numbers
 *
 * A format with groups (vmmu_geometry.group_lg2) defines FMT_GROUPS and three more functions. Of a
 * leaf in a group leaf_pfn() is the first frame of the group, whichever member it is; what
 * make_leaf() makes is in none.
 *   unsigned fmt_group_lg2(pte, level)          LEAF: lg2 entries of its group; 0: alone
 *   uint64_t fmt_group_make(leaf, level)        the member of a group in place of LEAF, alone;
 *                                               level has groups
 *   uint64_t fmt_group_undo(pte, index, level)  the leaf alone in place of member INDEX of the
 *                                               group that PTE, any member, belongs to
 *
 * A header whose geometry is no constant may say what does not vary:
 *   FMT_SHIFT(level), FMT_INDEX_BITS(level), FMT_LEVELS_MAX
 *                    shift of each level, index width of its tables but for roots; levels at most
 *
 * And how to know at a glance what an entry is, for the paths that are no longer than a few loads:
 *   FMT_TABLE_BYTE   the lowest byte of all that make_table() makes; an entry above level 1 that
 *                    has it is a TABLE, whatever its other bits
 *   FMT_LEAF_MASK, FMT_LEAF_BITS
 *                    an entry at level 1 that has of MASK just BITS is a LEAF, in no group
 *   FMT_QUIET_MASK, FMT_QUIET_BITS
 *                    likewise: a LEAF with WRITE that is not volatile (needs FMT_WRITE_BITS)
 *   FMT_GRANT_MASK, FMT_GRANT_BITS
 *                    likewise: an accessed LEAF with mmu_writable
 */
#ifndef VMMU_FORMAT_CONTRACT_H
#define VMMU_FORMAT_CONTRACT_H

#include <vmmu/fault.h>
#include <vmmu/format.h>
#include <vmmu/format_ops.h>
#include <vmmu/types.h>

struct vmmu_engine;
struct registration;

struct vmmu_format {
	struct vmmu_format_info info;
	const struct vmmu_format_ops *ops;
	/* Formats built elsewhere bring their engine; NULL: engine_of_format() knows it. */
	const struct vmmu_engine *engine;
	/* What the registry keeps of a format registered at run time; NULL: a constant one. */
	struct registration *registration;
	/* fmt_group_lg2(); NULL: there are no groups. */
	unsigned (*group_lg2)(uint64_t pte, unsigned level);
};

#endif
