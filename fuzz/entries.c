/* SPDX-License-Identifier: MIT */
/*
 * Entries and fault registers of every format: any 64 bits at any level read as something legal,
 * what was made reads back, and each change of a leaf changes what it says and no more.
 *
 * Input: format, level, two entries, the parts of a leaf and of an MMIO entry, fault registers.
 */
#include <vmmu/fault.h>
#include <vmmu/format_ops.h>

#include <errno.h>
#include <string.h>

#include "base/bits.h"
#include "base/draw.h"
#include "target.h"

struct subject {
	const struct vmmu_format *format;
	const struct vmmu_format_info *info;
	const struct vmmu_format_ops *ops;
	const struct vmmu_geometry *geometry;
	unsigned level;
};

#define CHECK(s, condition, pte)                                                            \
	TARGET_CHECK(condition, "%s level %u entry %#llx: %s", (s)->info->name, (s)->level, \
		     (unsigned long long)(pte), #condition)

static bool has_leaves(const struct subject *s)
{
	return s->geometry->leaf_levels >> s->level & 1;
}

static struct vmmu_entry read_entry(const struct subject *s, uint64_t pte)
{
	struct vmmu_entry entry;

	CHECK(s, !vmmu_entry_read(s->format, pte, s->level, &entry), pte);
	return entry;
}

/* ---- any value ---- */

static void check_read(const struct subject *s, uint64_t pte)
{
	struct vmmu_entry entry = read_entry(s, pte);
	uint64_t hpa_end = BIT64(s->geometry->pa_bits), page = BIT64(s->geometry->page_shift);

	CHECK(s, entry.kind <= VMMU_ENTRY_LEAF && entry.kind == s->ops->classify(pte, s->level),
	      pte);
	CHECK(s, !(entry.access & ~(unsigned)VMMU_RWX) && entry.memtype <= VMMU_MEM_DEVICE, pte);
	CHECK(s, s->ops->is_present(pte, s->level) == (entry.kind >= VMMU_ENTRY_TABLE), pte);
	CHECK(s, entry.kind != VMMU_ENTRY_TABLE || s->level > 1, pte);
	CHECK(s, entry.kind != VMMU_ENTRY_LEAF || entry.malformed || has_leaves(s), pte);
	CHECK(s, entry.kind != VMMU_ENTRY_MMIO || !entry.malformed, pte);
	if (entry.kind == VMMU_ENTRY_TABLE && !entry.malformed)
		CHECK(s, entry.table_hpa < hpa_end && !(entry.table_hpa & (page - 1)), pte);
	if (entry.kind == VMMU_ENTRY_LEAF && !entry.malformed)
		CHECK(s,
		      entry.pfn < hpa_end / page &&
			      !(entry.pfn & ((BIT64(s->geometry->shift[s->level]) / page) - 1)),
		      pte);
	CHECK(s, vmmu_entry_read(s->format, pte, 0, &entry) == -EINVAL, pte);
	CHECK(s, vmmu_entry_read(s->format, pte, s->geometry->levels + 1, &entry) == -EINVAL, pte);
}

/* All of a leaf that is not among the changed rights stays. */
static void check_same_page(const struct subject *s, uint64_t old_pte, uint64_t new_pte)
{
	struct vmmu_entry a = read_entry(s, old_pte), b = read_entry(s, new_pte);

	CHECK(s, b.kind == VMMU_ENTRY_LEAF && !b.malformed, new_pte);
	CHECK(s, a.pfn == b.pfn && a.memtype == b.memtype, new_pte);
	CHECK(s, (a.access & ~VMMU_WRITE) == (b.access & ~VMMU_WRITE), new_pte);
	CHECK(s, a.host_writable == b.host_writable, new_pte);
}

/* PTE is a leaf in order, by whoever made it. */
static void check_changes(const struct subject *s, uint64_t pte)
{
	uint64_t tamed = s->ops->write_protect(pte, s->level);
	uint64_t fixed = s->ops->write_forbid(pte, s->level);
	uint64_t old = s->ops->clear_accessed(pte, s->level);
	uint64_t clean = s->ops->clear_dirty(pte, s->level);

	check_same_page(s, pte, tamed);
	check_same_page(s, pte, fixed);
	check_same_page(s, pte, old);
	check_same_page(s, pte, clean);
	CHECK(s, !(read_entry(s, tamed).access & VMMU_WRITE), tamed);
	CHECK(s, read_entry(s, tamed).mmu_writable == read_entry(s, pte).mmu_writable, tamed);
	CHECK(s, !(read_entry(s, fixed).access & VMMU_WRITE), fixed);
	CHECK(s, !read_entry(s, fixed).mmu_writable, fixed);
	CHECK(s, s->ops->write_protect(tamed, s->level) == tamed, tamed);
	CHECK(s, s->ops->write_forbid(fixed, s->level) == fixed, fixed);
	CHECK(s, !s->ops->is_dirty(clean, s->level), clean);
	if (read_entry(s, pte).access & VMMU_WRITE)
		CHECK(s, s->ops->flush_needed(pte, tamed, s->level) == VMMU_FLUSH_REMOTE, pte);
	if (read_entry(s, tamed).mmu_writable && (read_entry(s, tamed).access & VMMU_READ)) {
		uint64_t given = s->ops->write_allow(tamed, s->level);

		check_same_page(s, pte, given);
		CHECK(s, read_entry(s, given).access & VMMU_WRITE, given);
		CHECK(s, s->ops->is_dirty(given, s->level), given);
	}
	CHECK(s,
	      s->ops->flush_needed(pte, s->ops->make_absent(s->level), s->level) ==
			      VMMU_FLUSH_REMOTE ||
		      !read_entry(s, pte).access,
	      pte);
}

/* Does NEW_PTE grant less than OLD_PTE, or something else? Then TLBs must hear of it. */
static void check_flush(const struct subject *s, uint64_t old_pte, uint64_t new_pte)
{
	struct vmmu_entry a = read_entry(s, old_pte), b = read_entry(s, new_pte);
	bool is_lost;

	if (a.kind != VMMU_ENTRY_LEAF || a.malformed || !a.access)
		return;
	is_lost = b.kind != VMMU_ENTRY_LEAF || b.malformed || a.pfn != b.pfn ||
		  a.memtype != b.memtype || (a.access & ~b.access);
	if (is_lost)
		CHECK(s,
		      s->ops->flush_needed(old_pte, new_pte, s->level) == VMMU_FLUSH_REMOTE ||
			      s->ops->needs_break(old_pte, new_pte, s->level),
		      old_pte);
}

/* ---- what was made ---- */

static void check_table(const struct subject *s, uint64_t word)
{
	uint64_t align = BIT64(s->geometry->table_lg2[s->level - 1]);
	uint64_t hpa = word & (BIT64(s->geometry->pa_bits) - 1) & ~(align - 1);
	uint64_t pte = s->ops->make_table(hpa, s->level);
	struct vmmu_entry entry = read_entry(s, pte);

	CHECK(s, entry.kind == VMMU_ENTRY_TABLE && !entry.malformed && entry.table_hpa == hpa, pte);
	check_flush(s, pte, s->ops->make_absent(s->level));
}

static void check_mmio(const struct subject *s, struct draw *draw)
{
	struct vmmu_mmio mmio = {
		.gfn = draw_word(draw) & (BIT64(VMMU_MMIO_GFN_BITS) - 1),
		.access = VMMU_READ | (unsigned)draw_below(draw, 8),
		.generation = draw_word(draw) & (BIT64(s->info->mmio_gen_bits) - 1),
	};
	uint64_t pte = s->ops->make_mmio(mmio, 1);
	struct vmmu_entry entry;

	CHECK(s, !vmmu_entry_read(s->format, pte, 1, &entry), pte);
	CHECK(s, entry.kind == VMMU_ENTRY_MMIO && entry.gfn == mmio.gfn, pte);
	CHECK(s, entry.access == mmio.access && entry.generation == mmio.generation, pte);
}

static bool is_representable(const struct subject *s, const struct vmmu_leaf *leaf)
{
	unsigned caps = s->info->caps;

	if (leaf->access & VMMU_READ)
		return true;
	if (leaf->access & VMMU_WRITE)
		return caps & VMMU_CAP_WRITE_ONLY;
	return leaf->access && (caps & VMMU_CAP_EXEC_ONLY);
}

static struct vmmu_leaf draw_leaf(const struct subject *s, struct draw *draw)
{
	uint64_t pages = BIT64(s->geometry->shift[s->level] - s->geometry->page_shift);
	uint64_t end = BIT64(s->geometry->pa_bits - s->geometry->page_shift);
	unsigned flags = (unsigned)draw_below(draw, 16);
	struct vmmu_leaf leaf = {
		.pfn = draw_word(draw) & (end - 1) & ~(pages - 1),
		.access = (unsigned)draw_below(draw, 8),
		.memtype = (enum vmmu_memtype)draw_below(draw, 3),
		.mmu_writable = flags & 1,
		.host_writable = flags & 3,
		.accessed = flags & 4,
		.dirty = flags & 8,
	};

	if (!leaf.mmu_writable)
		leaf.access &= ~(unsigned)VMMU_WRITE;
	if (!(s->info->caps & VMMU_CAP_HW_DIRTY)) {
		leaf.accessed = true;
		leaf.dirty |= !!(leaf.access & VMMU_WRITE);
	}
	return leaf;
}

static void check_leaf(const struct subject *s, struct draw *draw, uint64_t other)
{
	struct vmmu_leaf leaf = draw_leaf(s, draw), first = leaf;
	struct vmmu_entry entry;
	uint64_t pte;

	if (!is_representable(s, &leaf))
		return;
	pte = s->ops->make_leaf(leaf, s->level);
	entry = read_entry(s, pte);
	CHECK(s, entry.kind == VMMU_ENTRY_LEAF && !entry.malformed, pte);
	CHECK(s, entry.pfn == leaf.pfn && entry.memtype == leaf.memtype, pte);
	CHECK(s, entry.access == leaf.access, pte);
	CHECK(s, entry.host_writable == leaf.host_writable, pte);
	CHECK(s, entry.mmu_writable == leaf.mmu_writable, pte);
	first.pfn = 0;
	CHECK(s,
	      s->ops->leaf_with_pfn(s->ops->make_leaf(first, s->level), leaf.pfn, s->level) == pte,
	      pte);
	check_changes(s, pte);
	check_flush(s, pte, other);
	check_flush(s, pte, s->ops->make_frozen(s->level));
}

/* ---- fault registers ---- */

static void check_decode(struct draw *draw)
{
	static const char *const architectures[] = {"x86-ept", "x86-npt", "riscv64", "arm64"};
	struct vmmu_syndrome syndrome = {.gpa = draw_word(draw)};
	struct vmmu_fault fault;
	int result;

	for (unsigned i = 0; i < ARRAY_COUNT(syndrome.reg); i++)
		syndrome.reg[i] = draw_word(draw);
	memset(&fault, 0xa5, sizeof(fault));
	result = vmmu_fault_decode(architectures[draw_below(draw, ARRAY_COUNT(architectures))],
				   &syndrome, &fault);
	TARGET_CHECK(!result || result == -ENOMSG, "decode: %d", result);
	if (result)
		return;
	TARGET_CHECK(fault.access == VMMU_READ || fault.access == VMMU_WRITE ||
			     fault.access == VMMU_EXEC,
		     "decode: access %u", fault.access);
	TARGET_CHECK(fault.flags < VMMU_FAULT_NO_WAIT, "decode: flags %#x", fault.flags);
	TARGET_CHECK(!fault.max_level && !fault.pfn && !fault.exit, "decode: outputs not cleared");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct draw draw = draw_from_bytes(data, size);
	struct subject s = {0};
	uint64_t pte, other;

	s.format = target_format(&draw);
	s.ops = vmmu_format_ops(s.format);
	s.info = vmmu_format_info(s.format);
	s.geometry = s.info->geometry;
	s.level = 1 + (unsigned)draw_below(&draw, s.geometry->levels);
	pte = draw_word(&draw);
	other = draw_word(&draw);
	check_read(&s, pte);
	check_read(&s, other);
	check_flush(&s, pte, other);
	if (s.level > 1)
		check_table(&s, other);
	if (has_leaves(&s))
		check_leaf(&s, &draw, other);
	check_mmio(&s, &draw);
	check_decode(&draw);
	return 0;
}
