/* SPDX-License-Identifier: MIT */
/*
 * The conformance check refuses broken formats, with the right reason: copies of ept4 with one
 * function, number or capability replaced.
 */
#include <criterion/criterion.h>

#include "base/bits.h"
#include "format/conformance.h"
#include "format/registry.h"

static const struct vmmu_format_ops *sound(void)
{
	return format_ept4.ops;
}

/* ---- functions gone wrong ---- */

static enum vmmu_entry_kind leaf_at_level_4(uint64_t pte, unsigned level)
{
	return level == 4 && (pte & 0x87) == 0x87 ? VMMU_ENTRY_LEAF : sound()->classify(pte, level);
}

static enum vmmu_entry_kind table_at_level_1(uint64_t pte, unsigned level)
{
	bool is_quiet = (pte & 0x387) == 0x381 && !(pte & BIT64(58));

	return level == 1 && is_quiet ? VMMU_ENTRY_TABLE : sound()->classify(pte, level);
}

static enum vmmu_entry_kind many_frozen(uint64_t pte, unsigned level)
{
	return (pte & 0x27) == 0x20 ? VMMU_ENTRY_FROZEN : sound()->classify(pte, level);
}

static enum vmmu_entry_kind mmio_at_level_2(uint64_t pte, unsigned level)
{
	return level == 2 && (pte & 7) == 6 ? VMMU_ENTRY_MMIO : sound()->classify(pte, level);
}

static bool present_below_mmio_at_level_2(uint64_t pte, unsigned level)
{
	return !(level == 2 && (pte & 7) == 6) && sound()->is_present(pte, level);
}

static bool present_by_read(uint64_t pte, unsigned level)
{
	return (pte & 1) && sound()->is_present(pte, level);
}

static uint64_t pfn_of_50_bits(uint64_t pte, unsigned level)
{
	return sound()->leaf_pfn(pte & ~BIT64(51), level);
}

static uint64_t pfn_with_flag(uint64_t pte, unsigned level)
{
	return sound()->leaf_pfn(pte, level) | (pte >> 58 & 1);
}

static uint64_t with_pfn_of_32_bits(uint64_t leaf, uint64_t pfn, unsigned level)
{
	return sound()->leaf_with_pfn(leaf, (uint32_t)pfn, level);
}

static unsigned never_exec(uint64_t pte, unsigned level)
{
	return sound()->access(pte, level) & ~(unsigned)VMMU_EXEC;
}

static unsigned write_by_software(uint64_t pte, unsigned level)
{
	unsigned access = sound()->access(pte, level);

	return pte & BIT64(57) ? access : access & ~(unsigned)VMMU_WRITE;
}

static enum vmmu_memtype always_writeback(uint64_t pte, unsigned level)
{
	(void)pte, (void)level;
	return VMMU_MEM_WRITEBACK;
}

static enum vmmu_memtype type_of_its_own(uint64_t pte, unsigned level)
{
	return pte >> 55 & 1 ? (enum vmmu_memtype)77 : sound()->memtype(pte, level);
}

static uint64_t table_with_flag(uint64_t pte, unsigned level)
{
	return sound()->table_hpa(pte, level) | (pte >> 52 & 1);
}

static uint64_t allow_and_mark(uint64_t pte, unsigned level)
{
	return sound()->write_allow(pte, level) | BIT64(55);
}

static bool mmio_malformed(uint64_t pte, unsigned level)
{
	return (pte & 7) == 6 || sound()->is_malformed(pte, level);
}

static bool own_mark_malformed(uint64_t pte, unsigned level)
{
	return (sound()->classify(pte, level) == VMMU_ENTRY_LEAF && (pte & BIT64(11))) ||
	       sound()->is_malformed(pte, level);
}

static uint64_t leaf_without_size_bit(struct vmmu_leaf leaf, unsigned level)
{
	return sound()->make_leaf(leaf, level) & ~BIT64(7);
}

static uint64_t leaf_forgetting_mmu_writable(struct vmmu_leaf leaf, unsigned level)
{
	leaf.mmu_writable = false;
	return sound()->make_leaf(leaf, level);
}

static uint64_t table_with_type(uint64_t hpa, unsigned level)
{
	return sound()->make_table(hpa, level) | 0x30;
}

static uint64_t table_of_32_bits(uint64_t hpa, unsigned level)
{
	return sound()->make_table((uint32_t)hpa, level);
}

static uint64_t frozen_is_absent(unsigned level)
{
	(void)level;
	return 0;
}

static uint64_t absent_is_frozen(unsigned level)
{
	return sound()->make_frozen(level);
}

static uint64_t mmio_as_leaf(struct vmmu_mmio mmio, unsigned level)
{
	return sound()->make_mmio(mmio, level) | 1;
}

static struct vmmu_mmio mmio_short_generation(uint64_t pte, unsigned level)
{
	struct vmmu_mmio mmio = sound()->parse_mmio(pte, level);

	mmio.generation &= 0x3ffff;
	return mmio;
}

static struct vmmu_mmio mmio_without_access(uint64_t pte, unsigned level)
{
	struct vmmu_mmio mmio = sound()->parse_mmio(pte, level);

	mmio.access = 0;
	return mmio;
}

static uint64_t change_nothing(uint64_t pte, unsigned level)
{
	(void)level;
	return pte;
}

static uint64_t protect_too_much(uint64_t pte, unsigned level)
{
	return sound()->write_forbid(pte, level);
}

static uint64_t forbid_too_little(uint64_t pte, unsigned level)
{
	return sound()->write_protect(pte, level);
}

static uint64_t allow_without_dirty(uint64_t pte, unsigned level)
{
	(void)level;
	return pte | 2;
}

static uint64_t clean_and_protect(uint64_t pte, unsigned level)
{
	return sound()->write_protect(sound()->clear_dirty(pte, level), level);
}

static bool always(uint64_t pte, unsigned level)
{
	(void)pte, (void)level;
	return true;
}

static bool never(uint64_t pte, unsigned level)
{
	(void)pte, (void)level;
	return false;
}

static bool volatile_by_lockless_fix_only(uint64_t pte, unsigned level)
{
	return sound()->is_volatile(pte, level) && (pte & BIT64(58)) && !(pte & 2);
}

static bool volatile_by_hardware_only(uint64_t pte, unsigned level)
{
	return sound()->is_volatile(pte & ~BIT64(58), level);
}

static bool volatile_any_leaf(uint64_t pte, unsigned level)
{
	return sound()->classify(pte, level) == VMMU_ENTRY_LEAF;
}

static bool break_on_new_address(uint64_t old_pte, uint64_t new_pte, unsigned level)
{
	return sound()->leaf_pfn(old_pte, level) != sound()->leaf_pfn(new_pte, level);
}

/* Right but for absent entries, which it breaks too. */
static bool break_of_absent(uint64_t old_pte, uint64_t new_pte, unsigned level)
{
	if (!sound()->is_present(old_pte, level) || !sound()->is_present(new_pte, level))
		return old_pte != new_pte;
	return (old_pte ^ new_pte) & (BITS64(51, 12) | 0xf8);
}

static bool break_on_any_change(uint64_t old_pte, uint64_t new_pte, unsigned level)
{
	return old_pte != new_pte && sound()->is_present(old_pte, level) &&
	       sound()->is_present(new_pte, level);
}

static enum vmmu_flush_due flush_never(uint64_t old_pte, uint64_t new_pte, unsigned level)
{
	(void)old_pte, (void)new_pte, (void)level;
	return VMMU_FLUSH_NONE;
}

static enum vmmu_flush_due flush_always(uint64_t old_pte, uint64_t new_pte, unsigned level)
{
	(void)old_pte, (void)new_pte, (void)level;
	return VMMU_FLUSH_REMOTE;
}

static enum vmmu_flush_due flush_remote_for_any_change(uint64_t old_pte, uint64_t new_pte,
						       unsigned level)
{
	(void)level;
	return old_pte != new_pte ? VMMU_FLUSH_REMOTE : VMMU_FLUSH_NONE;
}

/* As if denials could be cached, and absent entries not. */
static enum vmmu_flush_due flush_local_for_grants(uint64_t old_pte, uint64_t new_pte,
						  unsigned level)
{
	enum vmmu_flush_due flush = sound()->flush_needed(old_pte, new_pte, level);

	return sound()->is_present(old_pte, level) && old_pte != new_pte && flush == VMMU_FLUSH_NONE
		       ? VMMU_FLUSH_LOCAL
		       : flush;
}

/* No flush if only bits of MASK differ. */
static enum vmmu_flush_due flush_but_for(uint64_t old_pte, uint64_t new_pte, unsigned level,
					 uint64_t mask)
{
	return (old_pte ^ new_pte) & ~mask ? sound()->flush_needed(old_pte, new_pte, level)
					   : VMMU_FLUSH_NONE;
}

static enum vmmu_flush_due flush_not_for_write(uint64_t old_pte, uint64_t new_pte, unsigned level)
{
	return flush_but_for(old_pte, new_pte, level, 2);
}

static enum vmmu_flush_due flush_not_for_mmu_writable(uint64_t old_pte, uint64_t new_pte,
						      unsigned level)
{
	return flush_but_for(old_pte, new_pte, level, BIT64(58));
}

static enum vmmu_flush_due flush_not_for_dirty(uint64_t old_pte, uint64_t new_pte, unsigned level)
{
	return flush_but_for(old_pte, new_pte, level, BIT64(9));
}

static enum vmmu_flush_due flush_not_for_address(uint64_t old_pte, uint64_t new_pte, unsigned level)
{
	return flush_but_for(old_pte, new_pte, level, BITS64(51, 12));
}

/* ---- the list ---- */

struct draft {
	struct vmmu_format format;
	struct vmmu_format_ops ops;
	struct vmmu_geometry geometry;
};

struct broken_format {
	const char *reason;
	void (*spoil)(struct draft *draft);
};

#define SPOIL(name, statement)                \
	static void name(struct draft *draft) \
	{                                     \
		statement;                    \
	}

SPOIL(spoil_01, draft->ops.classify = leaf_at_level_4)
SPOIL(spoil_02, draft->ops.classify = table_at_level_1)
SPOIL(spoil_03, draft->ops.classify = many_frozen)
SPOIL(spoil_04, draft->ops.classify = mmio_at_level_2;
      draft->ops.is_present = present_below_mmio_at_level_2; draft->ops.is_volatile = never)
SPOIL(spoil_05, draft->ops.is_present = present_by_read)
SPOIL(spoil_06, draft->ops.leaf_pfn = pfn_of_50_bits)
SPOIL(spoil_07, draft->ops.leaf_pfn = pfn_with_flag)
SPOIL(spoil_08, draft->ops.access = never_exec)
SPOIL(spoil_09, draft->ops.access = write_by_software)
SPOIL(spoil_10, draft->ops.memtype = always_writeback)
SPOIL(spoil_11, draft->ops.is_malformed = mmio_malformed)
SPOIL(spoil_12, draft->ops.is_malformed = own_mark_malformed)
SPOIL(spoil_13, draft->ops.make_leaf = leaf_without_size_bit)
SPOIL(spoil_14, draft->ops.make_leaf = leaf_forgetting_mmu_writable)
SPOIL(spoil_15, draft->ops.make_table = table_with_type)
SPOIL(spoil_16, draft->ops.make_table = table_of_32_bits)
SPOIL(spoil_17, draft->ops.make_frozen = frozen_is_absent)
SPOIL(spoil_18, draft->ops.make_absent = absent_is_frozen)
SPOIL(spoil_19, draft->ops.make_mmio = mmio_as_leaf)
SPOIL(spoil_20, draft->ops.parse_mmio = mmio_short_generation)
SPOIL(spoil_21, draft->ops.parse_mmio = mmio_without_access)
SPOIL(spoil_22, draft->ops.write_protect = change_nothing)
SPOIL(spoil_23, draft->ops.write_protect = protect_too_much)
SPOIL(spoil_24, draft->ops.write_forbid = forbid_too_little)
SPOIL(spoil_25, draft->ops.write_allow = allow_without_dirty)
SPOIL(spoil_26, draft->ops.is_accessed = always)
SPOIL(spoil_27, draft->ops.is_dirty = never)
SPOIL(spoil_28, draft->ops.clear_accessed = change_nothing)
SPOIL(spoil_29, draft->ops.clear_dirty = clean_and_protect)
SPOIL(spoil_30, draft->ops.is_volatile = volatile_by_hardware_only)
SPOIL(spoil_31, draft->ops.is_volatile = volatile_by_lockless_fix_only)
SPOIL(spoil_32, draft->ops.is_volatile = volatile_any_leaf)
SPOIL(spoil_33, draft->ops.is_volatile = always)
SPOIL(spoil_34, draft->ops.needs_break = break_on_new_address)
SPOIL(spoil_35, draft->ops.needs_break = break_of_absent;
      draft->format.info.caps |= VMMU_CAP_BREAK_FIRST)
SPOIL(spoil_36, draft->ops.flush_needed = flush_never)
SPOIL(spoil_37, draft->ops.flush_needed = flush_always)
SPOIL(spoil_38, draft->ops.flush_needed = flush_not_for_write)
SPOIL(spoil_39, draft->ops.flush_needed = flush_not_for_mmu_writable)
SPOIL(spoil_40, draft->ops.flush_needed = flush_not_for_dirty)
SPOIL(spoil_41, draft->ops.flush_needed = flush_not_for_address)
SPOIL(spoil_42, draft->ops.is_volatile = NULL)
SPOIL(spoil_43, draft->format.info.caps |= VMMU_CAP_BREAK_FIRST)
SPOIL(spoil_44, draft->format.info.caps |= VMMU_CAP_CACHES_ABSENT)
SPOIL(spoil_45, draft->format.info.caps &= ~(unsigned)VMMU_CAP_HW_DIRTY)
SPOIL(spoil_46, draft->format.info.caps |= VMMU_CAP_EXEC_ONLY)
SPOIL(spoil_47, draft->format.info.mmio_gen_bits = 20)
SPOIL(spoil_48, draft->geometry.shift[3] = 31)
SPOIL(spoil_83, draft->geometry.group_lg2[1] = 10)
SPOIL(spoil_84, draft->geometry.group_lg2[4] = 4)
SPOIL(spoil_49, draft->geometry.gpa_bits = 47)
SPOIL(spoil_50, draft->geometry.leaf_levels = 0x0c)
SPOIL(spoil_51, draft->geometry.leaf_levels = 0x2e)
SPOIL(spoil_52, draft->geometry.table_lg2[1] = 13)
SPOIL(spoil_53, draft->geometry.levels = 6)
SPOIL(spoil_54, draft->geometry.levels = 0)
SPOIL(spoil_55, draft->geometry.page_shift = 13)
SPOIL(spoil_56, draft->geometry.pa_bits = 64)
SPOIL(spoil_57, draft->geometry.index_bits[2] = 0)
SPOIL(spoil_58, draft->format.info.name = "")
SPOIL(spoil_59, draft->format.ops = NULL)
SPOIL(spoil_60, draft->format.info.mmio_gen_bits = 0)
SPOIL(spoil_61, draft->ops.needs_break = break_on_any_change;
      draft->ops.flush_needed = flush_remote_for_any_change;
      draft->format.info.caps |= VMMU_CAP_BREAK_FIRST)
SPOIL(spoil_62, draft->ops.flush_needed = flush_local_for_grants;
      draft->format.info.caps |= VMMU_CAP_CACHES_ABSENT)
SPOIL(spoil_63, draft->ops.is_volatile = never)
SPOIL(spoil_64, draft->ops.needs_break = break_on_any_change;
      draft->format.info.caps |= VMMU_CAP_BREAK_FIRST)
SPOIL(spoil_65, draft->ops.leaf_with_pfn = with_pfn_of_32_bits)
SPOIL(spoil_66, draft->format.info.architecture = NULL)
SPOIL(spoil_67, draft->format.info.caps |= 1u << 6)
SPOIL(spoil_68, draft->geometry.pa_bits = 30)
SPOIL(spoil_69, draft->geometry.levels = 5; draft->geometry.shift[5] = 48;
      draft->geometry.index_bits[5] = 17; draft->geometry.table_lg2[5] = 20;
      draft->geometry.gpa_bits = 65)
SPOIL(spoil_70, draft->format.info.name = "ept 4")
SPOIL(spoil_71,
      draft->format.info.name = "eptttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttt")
SPOIL(spoil_72, draft->geometry.pa_bits = 21)
SPOIL(spoil_73, draft->ops.memtype = type_of_its_own)
SPOIL(spoil_74, draft->ops.table_hpa = table_with_flag)
SPOIL(spoil_75, draft->ops.write_allow = allow_and_mark)

static const struct broken_format broken_formats[] = {
	{"values: a leaf at a level that has none", spoil_01},
	{"values: a table below level 1", spoil_02},
	{"values: two frozen values", spoil_03},
	{"values: an MMIO entry above level 1", spoil_04},
	{"values: is_present is not TABLE or LEAF", spoil_05},
	{"leaves: pfn is lost", spoil_06},
	{"values: pfn of a leaf is misaligned or too wide", spoil_07},
	{"leaves: access is lost", spoil_08},
	{"leaves: a software bit is one of hardware's", spoil_09},
	{"leaves: memory type is lost", spoil_10},
	{"values: an MMIO entry is malformed", spoil_11},
	{"leaves: a leaf does not read as one", spoil_12},
	{"leaves: a leaf does not read as one", spoil_13},
	{"leaves: a software bit is lost", spoil_14},
	{"states: a table entry does not read as one", spoil_15},
	{"states: a table entry loses its address", spoil_16},
	{"states: the frozen entry does not read as one", spoil_17},
	{"states: the absent entry does not read as one", spoil_18},
	{"values: what an MMIO entry parses to cannot be made again", spoil_19},
	{"mmio: generation, gfn or access is lost", spoil_20},
	{"values: an MMIO entry parses to generation or access out of range", spoil_21},
	{"leaves: write_protect changes something else, or leaves WRITE", spoil_22},
	{"leaves: write_protect changes something else, or leaves WRITE", spoil_23},
	{"leaves: write_forbid changes something else, or leaves WRITE or mmu_writable", spoil_24},
	{"leaves: write_allow does not give WRITE and dirty, or changes something else", spoil_25},
	{"leaves: accessed or dirty is lost", spoil_26},
	{"leaves: accessed or dirty is lost", spoil_27},
	{"leaves: clear_accessed leaves it set, or changes something else", spoil_28},
	{"leaves: clear_dirty leaves it set, or changes something else", spoil_29},
	{"leaves: WRITE may come back locklessly, but not volatile", spoil_30},
	{"leaves: hardware may set accessed or dirty, but not volatile", spoil_31},
	{"leaves: volatile without a reason", spoil_32},
	{"values: volatile, but no leaf", spoil_33},
	{"changes: break-before-make without VMMU_CAP_BREAK_FIRST", spoil_34},
	{"changes: break-before-make of an entry that is not present", spoil_35},
	{"changes: an entry replaced without a remote flush", spoil_36},
	{"changes: something is due although nothing changes", spoil_37},
	{"changes: less access without a remote flush", spoil_38},
	{"changes: mmu_writable lost without a remote flush", spoil_39},
	{"changes: dirty cleared without a remote flush", spoil_40},
	{"changes: an entry replaced without a remote flush", spoil_41},
	{"ops: a function is missing", spoil_42},
	{"changes: break-before-make is missing", spoil_43},
	{"changes: more access without a flush, but denials are cached", spoil_44},
	{"leaves: accessed or dirty is clear where nobody sets it", spoil_45},
	{"leaves: a leaf does not read as one", spoil_46},
	{"mmio: generation, gfn or access is lost", spoil_47},
	{"geometry: a level does not begin where the one below ends", spoil_48},
	{"geometry: a group is larger than a table, or of no leaves", spoil_83},
	{"geometry: a group is larger than a table, or of no leaves", spoil_84},
	{"geometry: gpa_bits is not what the tables translate", spoil_49},
	{"geometry: leaf_levels lacks level 1 or has a level that is none", spoil_50},
	{"geometry: leaf_levels lacks level 1 or has a level that is none", spoil_51},
	{"geometry: table_lg2 is not the size of the table", spoil_52},
	{"geometry: levels out of range", spoil_53},
	{"geometry: levels out of range", spoil_54},
	{"geometry: level 1 does not map the smallest page", spoil_55},
	{"geometry: pa_bits out of range", spoil_56},
	{"geometry: index_bits out of range", spoil_57},
	{"info: the name is empty, too long, or has a space or unprintable character", spoil_58},
	{"ops: a function is missing", spoil_59},
	{"info: mmio_gen_bits out of range", spoil_60},
	{"changes: break-before-make for permissions alone", spoil_61},
	{"changes: a new entry without a flush, but absent ones are cached", spoil_62},
	{"leaves: hardware may set accessed or dirty, but not volatile", spoil_63},
	{"changes: break-before-make without a remote flush", spoil_64},
	{"leaves: leaf_with_pfn does not make what make_leaf makes", spoil_65},
	{"info: a string is missing", spoil_66},
	{"info: unknown caps", spoil_67},
	{"geometry: a leaf is larger than the output address", spoil_68},
	{"geometry: gpa_bits out of range", spoil_69},
	{"info: the name is empty, too long, or has a space or unprintable character", spoil_70},
	{"info: the name is empty, too long, or has a space or unprintable character", spoil_71},
	{"geometry: pa_bits out of range", spoil_72},
	{"values: unknown memory type", spoil_73},
	{"values: table address misaligned or too wide", spoil_74},
	{"leaves: write_allow does not undo write_protect", spoil_75},
};

static void draft_init(struct draft *draft)
{
	draft->format = format_ept4;
	draft->ops = *format_ept4.ops;
	draft->geometry = *format_ept4.info.geometry;
	draft->format.ops = &draft->ops;
	draft->format.info.geometry = &draft->geometry;
}

Test(conformance_broken, unspoilt_copy__accepted)
{
	struct draft draft;

	draft_init(&draft);
	cr_expect_null(conformance_check(&draft.format, 1));
}

Test(conformance_broken, each_break__refused_with_its_reason)
{
	for (unsigned i = 0; i < ARRAY_COUNT(broken_formats); i++) {
		struct draft draft;
		const char *reason;

		draft_init(&draft);
		broken_formats[i].spoil(&draft);
		reason = conformance_check(&draft.format, 1);
		cr_assert(reason, "%u: accepted", i + 1);
		cr_expect_str_eq(reason, broken_formats[i].reason, "%u: %s", i + 1, reason);
	}
}
