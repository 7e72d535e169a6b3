/* SPDX-License-Identifier: MIT */
/* The laws of formats about shape, single values and states; leaves are in conformance_leaf.c. */
#include <errno.h>
#include <string.h>

#include "base/bits.h"
#include "base/frame.h"
#include "format/conformance.h"
#include "format/conformance_impl.h"

/* All members but size are functions. */
static bool is_any_function_missing(const struct vmmu_format_ops *ops)
{
	const unsigned char *slot = (const unsigned char *)ops +
				    offsetof(struct vmmu_format_ops, classify);
	const unsigned char *end = (const unsigned char *)(ops + 1);
	uintptr_t function;

	for (; slot < end; slot += sizeof(function)) {
		memcpy(&function, slot, sizeof(function));
		if (!function)
			return true;
	}
	return false;
}

static const char *check_geometry_level(const struct vmmu_geometry *geometry, unsigned level)
{
	unsigned index_bits = geometry->index_bits[level];
	unsigned table_lg2 = index_bits + 3;

	if (index_bits < 1 || index_bits > FRAME_LG2_MAX - 3)
		return "geometry: index_bits out of range";
	if ((geometry->leaf_levels >> level & 1) && geometry->pa_bits <= geometry->shift[level])
		return "geometry: a leaf is larger than the output address";
	if (geometry->group_lg2[level] > index_bits ||
	    (geometry->group_lg2[level] && !(geometry->leaf_levels >> level & 1)))
		return "geometry: a group is larger than a table, or of no leaves";
	if (level < geometry->levels &&
	    geometry->shift[level + 1] != geometry->shift[level] + index_bits)
		return "geometry: a level does not begin where the one below ends";
	if (table_lg2 < geometry->page_shift)
		table_lg2 = geometry->page_shift;
	if (geometry->table_lg2[level] != table_lg2)
		return "geometry: table_lg2 is not the size of the table";
	return NULL;
}

static const char *check_geometry(const struct vmmu_geometry *geometry)
{
	const char *broken;

	if (geometry->pa_bits > 63 || geometry->pa_bits < FRAME_LG2_MAX + 2)
		return "geometry: pa_bits out of range";
	if (geometry->levels < 1 || geometry->levels > VMMU_LEVELS_MAX)
		return "geometry: levels out of range";
	if (geometry->page_shift < 12 || geometry->page_shift > 16 ||
	    geometry->shift[1] != geometry->page_shift)
		return "geometry: level 1 does not map the smallest page";
	for (unsigned level = 1; level <= geometry->levels; level++) {
		broken = check_geometry_level(geometry, level);
		if (broken)
			return broken;
	}
	if (geometry->gpa_bits !=
	    geometry->shift[geometry->levels] + geometry->index_bits[geometry->levels])
		return "geometry: gpa_bits is not what the tables translate";
	if (!(geometry->leaf_levels & 1 << 1) || (geometry->leaf_levels & 1) ||
	    geometry->leaf_levels >> (geometry->levels + 1))
		return "geometry: leaf_levels lacks level 1 or has a level that is none";
	if (geometry->gpa_bits > 63)
		return "geometry: gpa_bits out of range";
	return NULL;
}

#define CONFORMANCE_CAPS                                                                     \
	(VMMU_CAP_HW_DIRTY | VMMU_CAP_EXEC_ONLY | VMMU_CAP_WRITE_ONLY | VMMU_CAP_MMIO_TRAP | \
	 VMMU_CAP_BREAK_FIRST | VMMU_CAP_CACHES_ABSENT)

/* Printable, no space, and not longer than anybody has room for. */
static bool is_name(const char *name)
{
	size_t length = 0;

	for (; name[length]; length++)
		if (name[length] <= ' ' || name[length] > '~' || length >= VMMU_FORMAT_NAME_MAX)
			return false;
	return length > 0;
}

const char *conformance_check_shape(struct conformance *check)
{
	const struct vmmu_format_info *info = &check->format->info;

	check->level = 0;
	if (!info->name || !info->architecture || !info->description)
		return "info: a string is missing";
	if (!is_name(info->name))
		return "info: the name is empty, too long, or has a space or unprintable character";
	if (info->caps & ~(unsigned)CONFORMANCE_CAPS)
		return "info: unknown caps";
	if (!info->geometry || !check->format->ops || is_any_function_missing(check->format->ops))
		return "ops: a function is missing";
	if (info->mmio_gen_bits < 1 || info->mmio_gen_bits > 63)
		return "info: mmio_gen_bits out of range";
	return check_geometry(info->geometry);
}

/* ---- any value ---- */

static const char *check_value_leaf(struct conformance *check)
{
	const struct vmmu_format_ops *ops = check->format->ops;
	const struct vmmu_geometry *geometry = check->format->info.geometry;
	unsigned frame_bits = geometry->shift[check->level] - geometry->page_shift;
	uint64_t pfn = ops->leaf_pfn(check->pte, check->level);

	if (!(geometry->leaf_levels >> check->level & 1))
		return "values: a leaf at a level that has none";
	if (ops->access(check->pte, check->level) & ~(unsigned)VMMU_RWX)
		return "values: access has unknown bits";
	if ((unsigned)ops->memtype(check->pte, check->level) > VMMU_MEM_DEVICE)
		return "values: unknown memory type";
	if (ops->is_malformed(check->pte, check->level))
		return NULL;
	if (!is_aligned(pfn, BIT64(frame_bits)) ||
	    pfn >> (geometry->pa_bits - geometry->page_shift))
		return "values: pfn of a leaf is misaligned or too wide";
	return NULL;
}

static const char *check_value_table(struct conformance *check)
{
	const struct vmmu_geometry *geometry = check->format->info.geometry;
	uint64_t hpa = check->format->ops->table_hpa(check->pte, check->level);

	if (check->level < 2)
		return "values: a table below level 1";
	if (check->format->ops->is_malformed(check->pte, check->level))
		return NULL;
	if (!is_aligned(hpa, BIT64(geometry->page_shift)) || hpa >> geometry->pa_bits)
		return "values: table address misaligned or too wide";
	return NULL;
}

static bool is_mmio_equal(struct vmmu_mmio a, struct vmmu_mmio b)
{
	return a.gfn == b.gfn && a.access == b.access && a.generation == b.generation;
}

static const char *check_value_mmio(struct conformance *check)
{
	const struct vmmu_format_ops *ops = check->format->ops;
	struct vmmu_mmio mmio = ops->parse_mmio(check->pte, check->level), again;

	if (check->level != 1)
		return "values: an MMIO entry above level 1";
	if (ops->is_malformed(check->pte, check->level))
		return "values: an MMIO entry is malformed";
	if (mmio.generation >> check->format->info.mmio_gen_bits || !(mmio.access & VMMU_READ) ||
	    (mmio.access & ~(unsigned)VMMU_RWX))
		return "values: an MMIO entry parses to generation or access out of range";
	if (mmio.gfn >> VMMU_MMIO_GFN_BITS)
		return NULL;
	check->other = ops->make_mmio(mmio, 1);
	again = ops->parse_mmio(check->other, 1);
	if (ops->classify(check->other, 1) != VMMU_ENTRY_MMIO || !is_mmio_equal(mmio, again))
		return "values: what an MMIO entry parses to cannot be made again";
	return NULL;
}

/* check->pte at check->level, whatever it is. */
static const char *check_value(struct conformance *check)
{
	const struct vmmu_format_ops *ops = check->format->ops;
	enum vmmu_entry_kind kind = ops->classify(check->pte, check->level);
	bool is_mapping = kind == VMMU_ENTRY_TABLE || kind == VMMU_ENTRY_LEAF;

	if ((unsigned)kind > VMMU_ENTRY_LEAF)
		return "values: unknown kind";
	if (ops->is_present(check->pte, check->level) != is_mapping)
		return "values: is_present is not TABLE or LEAF";
	if (kind != VMMU_ENTRY_LEAF && ops->is_volatile(check->pte, check->level))
		return "values: volatile, but no leaf";
	if (kind == VMMU_ENTRY_FROZEN && check->pte != ops->make_frozen(check->level))
		return "values: two frozen values";
	if (kind == VMMU_ENTRY_LEAF)
		return check_value_leaf(check);
	if (kind == VMMU_ENTRY_TABLE)
		return check_value_table(check);
	return kind == VMMU_ENTRY_MMIO ? check_value_mmio(check) : NULL;
}

/*
 * Value number INDEX of those looked at: first every pair of bits, set and cleared (4096 each:
 * where a wrong mask shows), then random ones, half of them with few bits set.
 */
#define CONFORMANCE_VALUES 20000

static uint64_t nth_value(struct conformance *check, unsigned index)
{
	uint64_t pair = BIT64(index & 63) | BIT64(index >> 6 & 63), random;

	if (index < 4096)
		return pair;
	if (index < 8192)
		return ~pair;
	random = conformance_random(check);
	return index & 1 ? random : random & conformance_random(check) & conformance_random(check);
}

const char *conformance_check_values(struct conformance *check)
{
	const char *broken;

	for (unsigned level = 1; level <= check->format->info.geometry->levels; level++) {
		for (unsigned i = 0; i < CONFORMANCE_VALUES; i++) {
			conformance_look(check, level, nth_value(check, i), 0);
			broken = check_value(check);
			if (broken)
				return broken;
		}
	}
	return NULL;
}

/* ---- absent, frozen, table ---- */

/* PTE at LEVEL is of KIND, sound, and nobody but the engine changes it. */
static bool is_quiet(struct conformance *check, uint64_t pte, unsigned level,
		     enum vmmu_entry_kind kind)
{
	const struct vmmu_format_ops *ops = check->format->ops;

	conformance_look(check, level, pte, 0);
	return ops->classify(pte, level) == kind && !ops->is_malformed(pte, level) &&
	       !ops->is_volatile(pte, level);
}

static const char *check_tables(struct conformance *check, unsigned level)
{
	const struct vmmu_format_ops *ops = check->format->ops;
	const struct vmmu_geometry *geometry = check->format->info.geometry;
	uint64_t hpa;

	for (unsigned bit = geometry->table_lg2[level - 1]; bit <= geometry->pa_bits; bit++) {
		hpa = bit < geometry->pa_bits
			      ? BIT64(bit)
			      : BITS64(geometry->pa_bits - 1, geometry->table_lg2[level - 1]);
		if (!is_quiet(check, ops->make_table(hpa, level), level, VMMU_ENTRY_TABLE))
			return "states: a table entry does not read as one";
		if (ops->table_hpa(check->pte, level) != hpa)
			return "states: a table entry loses its address";
	}
	return NULL;
}

const char *conformance_check_states(struct conformance *check)
{
	const struct vmmu_format_ops *ops = check->format->ops;
	const char *broken;

	for (unsigned level = 1; level <= check->format->info.geometry->levels; level++) {
		if (!is_quiet(check, ops->make_absent(level), level, VMMU_ENTRY_ABSENT))
			return "states: the absent entry does not read as one";
		if (!is_quiet(check, ops->make_frozen(level), level, VMMU_ENTRY_FROZEN))
			return "states: the frozen entry does not read as one";
		broken = level > 1 ? check_tables(check, level) : NULL;
		if (broken)
			return broken;
	}
	return NULL;
}

/* ---- MMIO ---- */

static const char *check_mmio(struct conformance *check, struct vmmu_mmio mmio)
{
	const struct vmmu_format_ops *ops = check->format->ops;

	if (!is_quiet(check, ops->make_mmio(mmio, 1), 1, VMMU_ENTRY_MMIO))
		return "mmio: an MMIO entry does not read as one";
	if (!is_mmio_equal(mmio, ops->parse_mmio(check->pte, 1)))
		return "mmio: generation, gfn or access is lost";
	return NULL;
}

/* Every legal access for GFN and GENERATION. */
static const char *check_mmio_accesses(struct conformance *check, uint64_t gfn, uint64_t generation)
{
	const char *broken = NULL;

	for (unsigned access = VMMU_READ; access <= VMMU_RWX && !broken; access += 2)
		broken = check_mmio(check, (struct vmmu_mmio){gfn, access, generation});
	return broken;
}

/* Random generations that are tried on top of all those with one or two bits set or clear. */
#define CONFORMANCE_GENERATIONS 4096

/* GENERATION with the smallest and the largest gfn. */
static const char *check_mmio_generation(struct conformance *check, unsigned gfn_bits,
					 uint64_t generation)
{
	const char *broken = check_mmio_accesses(check, 0, generation);

	return broken ? broken : check_mmio_accesses(check, BIT64(gfn_bits) - 1, generation);
}

/*
 * Generations by their bits, where a field that is too narrow or overlaps another shows; every
 * single gfn bit with a few generations.
 */
const char *conformance_check_mmio(struct conformance *check)
{
	const struct vmmu_format_info *info = &check->format->info;
	unsigned gfn_bits = min_u64(VMMU_MMIO_GFN_BITS,
				    info->geometry->gpa_bits - info->geometry->page_shift);
	unsigned bits = info->mmio_gen_bits;
	uint64_t last = BIT64(bits) - 1;
	const char *broken = NULL;

	for (unsigned i = 0; i < bits * bits && !broken; i++) {
		uint64_t pair = BIT64(i / bits) | BIT64(i % bits);

		broken = check_mmio_generation(check, gfn_bits, pair);
		if (!broken)
			broken = check_mmio_generation(check, gfn_bits, last & ~pair);
	}
	for (unsigned i = 0; i < CONFORMANCE_GENERATIONS && !broken; i++)
		broken = check_mmio_generation(check, gfn_bits, conformance_random(check) & last);
	for (unsigned bit = 0; bit < gfn_bits && !broken; bit++) {
		broken = check_mmio_accesses(check, BIT64(bit), 0);
		if (!broken)
			broken = check_mmio_accesses(check, BIT64(bit), last);
	}
	return broken;
}

/* ---- all ---- */

/* The shape first: the others rest on it. */
static const char *(*const conformance_parts[])(struct conformance *) = {
	conformance_check_shape,  conformance_check_values,  conformance_check_states,
	conformance_check_leaves, conformance_check_changes, conformance_check_mmio,
};

const char *conformance_check(const struct vmmu_format *format, uint64_t seed)
{
	struct conformance check = {.format = format, .seed = seed};
	const char *broken = NULL;

	for (unsigned i = 0; i < ARRAY_COUNT(conformance_parts) && !broken; i++)
		broken = conformance_parts[i](&check);
	return broken;
}

int vmmu_format_conformance(const struct vmmu_format_info *info, const struct vmmu_format_ops *ops,
			    uint64_t seed,
			    void (*fn)(void *ctx, const struct vmmu_broken_law *broken), void *ctx)
{
	struct vmmu_format format = {.ops = ops};
	int count = 0;

	if (!info || !ops || ops->size != sizeof(*ops))
		return -EINVAL;
	format.info = *info;
	for (unsigned i = 0; i < ARRAY_COUNT(conformance_parts); i++) {
		struct conformance check = {.format = &format, .seed = seed};
		struct vmmu_broken_law broken = {.law = conformance_parts[i](&check)};

		if (!broken.law)
			continue;
		broken.level = check.level;
		broken.pte = check.level ? check.pte : 0;
		broken.other = check.level ? check.other : 0;
		count++;
		if (fn)
			fn(ctx, &broken);
		if (conformance_parts[i] == conformance_check_shape)
			break;
	}
	return count;
}
