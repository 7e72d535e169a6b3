/* SPDX-License-Identifier: MIT */
/*
 * The flat model: slots and host pages say what may be mapped. Nothing here asks the engine how it
 * decides.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "faults/harness.h"

struct model_slot *model_slot_by_id(struct machine *machine, unsigned as_id, unsigned id)
{
	for (unsigned i = 0; i < MACHINE_SLOTS; i++) {
		struct model_slot *slot = &machine->slots[i];

		if (slot->used && slot->set.as_id == as_id && slot->set.id == id)
			return slot;
	}
	return NULL;
}

struct model_slot *model_slot_at(struct machine *machine, unsigned as_id, uint64_t gfn)
{
	for (unsigned i = 0; i < MACHINE_SLOTS; i++) {
		struct model_slot *slot = &machine->slots[i];

		if (slot->used && slot->set.as_id == as_id && gfn - slot->base_gfn < slot->gfns)
			return slot;
	}
	return NULL;
}

static bool meets_another(const struct machine *machine, const struct vmmu_slot *set)
{
	for (unsigned i = 0; i < MACHINE_SLOTS; i++) {
		const struct vmmu_slot *other = &machine->slots[i].set;

		if (machine->slots[i].used && other->as_id == set->as_id && other->id != set->id &&
		    set->gpa < other->gpa + other->bytes && other->gpa < set->gpa + set->bytes)
			return true;
	}
	return false;
}

int model_slot_error(const struct machine *machine, const struct vmmu_slot *set)
{
	uint64_t mask = (UINT64_C(1) << machine->page_shift) - 1;
	const struct model_slot *old;

	if (set->flags & ~(VMMU_SLOT_LOG_DIRTY | VMMU_SLOT_READ_ONLY))
		return -EINVAL;
	if ((set->bytes | set->gpa | set->hva) & mask)
		return -EINVAL;
	if (set->hva + set->bytes < set->hva || set->gpa + set->bytes < set->gpa)
		return -EINVAL;
	if (set->as_id >= machine->as_count || set->id >= VMMU_SLOT_IDS)
		return -EINVAL;
	if (set->bytes >> machine->page_shift > VMMU_SLOT_GFNS_MAX)
		return -EINVAL;
	old = model_slot_by_id((struct machine *)machine, set->as_id, set->id);
	if (!set->bytes)
		return old ? 0 : -EINVAL;
	if (old && (old->set.bytes != set->bytes || old->set.hva != set->hva ||
		    ((old->set.flags ^ set->flags) & VMMU_SLOT_READ_ONLY)))
		return -EINVAL;
	return meets_another(machine, set) ? -EEXIST : 0;
}

static void free_maps(struct model_slot *slot)
{
	free(slot->written);
	free(slot->touched);
	slot->written = NULL;
	slot->touched = NULL;
}

static struct model_slot *unused_slot(struct machine *machine)
{
	for (unsigned i = 0; i < MACHINE_SLOTS; i++) {
		if (!machine->slots[i].used)
			return &machine->slots[i];
	}
	cr_assert_fail("the model has too few slots");
	return NULL;
}

/*
 * The model's side of a slot call that is in order. A log that stays on keeps what it has, over a
 * move too.
 */
static void apply(struct machine *machine, const struct vmmu_slot *set)
{
	struct model_slot *slot = model_slot_by_id(machine, set->as_id, set->id);

	if (!set->bytes) {
		free_maps(slot);
		slot->used = false;
		return;
	}
	if (!slot) {
		slot = unused_slot(machine);
		memset(slot, 0, sizeof(*slot));
	}
	slot->used = true;
	slot->set = *set;
	slot->base_gfn = set->gpa >> machine->page_shift;
	slot->gfns = set->bytes >> machine->page_shift;
	if (!(set->flags & VMMU_SLOT_LOG_DIRTY)) {
		free_maps(slot);
	} else if (!slot->written) {
		slot->written = calloc(slot->gfns, 1);
		slot->touched = calloc(slot->gfns, 1);
		cr_assert(slot->written && slot->touched);
		if (machine->dirty_flags & VMMU_DIRTY_INITIALLY_SET) {
			memset(slot->written, 1, slot->gfns);
			memset(slot->touched, 1, slot->gfns);
		}
	}
}

int machine_slot_set(struct machine *machine, const struct vmmu_slot *set)
{
	int expected = model_slot_error(machine, set);
	int result;

	machine_op(machine, "slot %u/%u flags %u gfn %#llx pages %llu host %lld", set->as_id,
		   set->id, set->flags, (unsigned long long)set->gpa >> machine->page_shift,
		   (unsigned long long)set->bytes >> machine->page_shift,
		   (long long)(set->hva - HOST_VA) >> machine->page_shift);
	result = vmmu_slot_set(machine->vm, set);
	if (result != expected)
		machine_fail(machine, "vmmu_slot_set() returned %d, not %d", result, expected);
	if (!result)
		apply(machine, set);
	return result;
}

void machine_slot_in(struct machine *machine, unsigned as_id, unsigned id, uint64_t gfn,
		     uint64_t pages, uint64_t host_page, unsigned flags)
{
	struct vmmu_slot slot = {
		.as_id = as_id,
		.id = id,
		.flags = flags,
		.gpa = machine_gpa(machine, gfn),
		.bytes = pages << machine->page_shift,
		.hva = machine_hva(machine, host_page),
	};

	cr_assert_eq(machine_slot_set(machine, &slot), 0);
}

void machine_slot(struct machine *machine, unsigned id, uint64_t gfn, uint64_t pages,
		  uint64_t host_page, unsigned flags)
{
	machine_slot_in(machine, 0, id, gfn, pages, host_page, flags);
}

void machine_slot_delete(struct machine *machine, unsigned as_id, unsigned id)
{
	struct vmmu_slot slot = model_slot_by_id(machine, as_id, id)->set;

	slot.bytes = 0;
	cr_assert_eq(machine_slot_set(machine, &slot), 0);
}

void machine_attributes_init(struct machine *machine, uint64_t base, uint64_t count)
{
	machine->private_pages = calloc(count, 1);
	cr_assert_not_null(machine->private_pages);
	machine->private_base = base;
	machine->private_count = count;
}

bool machine_is_private(const struct machine *machine, uint64_t gfn)
{
	uint64_t index = gfn - machine->private_base;

	return machine->private_pages && index < machine->private_count &&
	       machine->private_pages[index];
}

bool machine_has_private(const struct machine *machine, uint64_t index)
{
	for (unsigned i = 0; i < MACHINE_SLOTS; i++) {
		const struct model_slot *slot = &machine->slots[i];
		uint64_t page = (machine_hva(machine, index) - slot->set.hva) >>
				machine->page_shift;

		if (slot->used && page < slot->gfns &&
		    machine_is_private(machine, slot->base_gfn + page))
			return true;
	}
	return false;
}

void machine_attributes_set(struct machine *machine, uint64_t gfn, uint64_t count,
			    unsigned attributes)
{
	uint64_t index = gfn - machine->private_base;
	bool is_change = false;

	cr_assert(index + count <= machine->private_count);
	for (uint64_t i = 0; i < count; i++)
		is_change |= machine->private_pages[index + i] != (attributes != 0);
	machine_op(machine, "attributes gfn %#llx+%llu: %u", (unsigned long long)gfn,
		   (unsigned long long)count, attributes);
	if (vmmu_attributes_set(machine->vm, machine_gpa(machine, gfn), machine_gpa(machine, count),
				attributes))
		machine_fail(machine, "vmmu_attributes_set() failed");
	memset(&machine->private_pages[index], attributes != 0, count);
	for (uint64_t at = gfn; is_change && at < gfn + count; at += 1 + count / 64)
		for (unsigned as_id = 0; as_id < machine->as_count; as_id++)
			if (machine_kind(machine, as_id, at) == VMMU_ENTRY_LEAF)
				machine_fail(machine, "gfn %#llx is mapped all the same",
					     (unsigned long long)at);
}

/* Are some of PAGES gfns from START on private and some not? */
static bool is_mixed(const struct machine *machine, uint64_t start, uint64_t pages)
{
	const uint8_t *first;

	if (!machine->private_pages)
		return false;
	/* half inside what the model knows: such a page reaches out of every slot */
	if (start < machine->private_base ||
	    start + pages > machine->private_base + machine->private_count)
		return false;
	first = &machine->private_pages[start - machine->private_base];
	return memcmp(first, first + 1, pages - 1) != 0;
}

static uint64_t host_index(const struct machine *machine, const struct model_slot *slot,
			   uint64_t gfn)
{
	return ((slot->set.hva - HOST_VA) >> machine->page_shift) + (gfn - slot->base_gfn);
}

struct grant machine_grant(struct machine *machine, unsigned as_id, uint64_t gfn)
{
	struct grant grant = {.slot = model_slot_at(machine, as_id, gfn)};
	uint64_t hva;

	if (!grant.slot)
		return grant;
	grant.page = host_page_at(machine, host_index(machine, grant.slot, gfn));
	hva = machine_hva(machine, host_index(machine, grant.slot, gfn));
	for (unsigned i = 0; i < machine->invalidating_count; i++) {
		if (machine->invalidating[i].start <= hva && hva < machine->invalidating[i].end)
			grant.is_invalidating = true;
	}
	if (grant.is_invalidating || grant.page.status == HOST_UNMAPPED ||
	    grant.page.status == HOST_POISONED)
		return grant;
	grant.access = VMMU_READ | VMMU_EXEC;
	if (grant.page.writable && !(grant.slot->set.flags & VMMU_SLOT_READ_ONLY))
		grant.access |= VMMU_WRITE;
	return grant;
}

unsigned machine_level_limit(struct machine *machine, const struct model_slot *slot, uint64_t gfn)
{
	struct host_page page = host_page_at(machine, host_index(machine, slot, gfn));
	unsigned level = 1;

	for (unsigned l = 2; l <= machine->geometry->levels; l++) {
		uint64_t pages = machine_pages(machine, l), start = gfn & ~(pages - 1);

		if (!(machine->geometry->leaf_levels & (1u << l)))
			continue;
		if (l > machine->max_level || l > page.level || start < slot->base_gfn ||
		    start + pages > slot->base_gfn + slot->gfns ||
		    (host_index(machine, slot, gfn) & (pages - 1)) != (gfn & (pages - 1)) ||
		    is_mixed(machine, start, pages))
			break;
		level = l;
	}
	return level;
}

/* I/O memory that the host calls write-back is mapped as what it is. */
static enum vmmu_memtype host_memtype(struct host_page page)
{
	return page.status == HOST_IO && page.memtype == VMMU_MEM_WRITEBACK ? VMMU_MEM_DEVICE
									    : page.memtype;
}

/* A leaf in a group: would the host and one slot have all of it as they have gfn? */
static void check_group(struct machine *machine, unsigned as_id, uint64_t gfn,
			const struct vmmu_walk *walk)
{
	uint64_t pages = machine_pages(machine, walk->level) << walk->entry.group_lg2;
	struct grant grant = machine_grant(machine, as_id, gfn), other;
	uint64_t start = gfn & ~(pages - 1);

	if (!machine->span_lg2_max)
		machine_fail(machine, "gfn %#llx is in a group that nobody asked for",
			     (unsigned long long)gfn);
	for (uint64_t at = start; at < start + pages; at += 1 + pages / 64) {
		other = machine_grant(machine, as_id, at);
		if (other.slot != grant.slot || other.access != grant.access ||
		    other.page.pfn - at != grant.page.pfn - gfn)
			machine_fail(machine, "gfn %#llx is in a group with %#llx",
				     (unsigned long long)gfn, (unsigned long long)at);
	}
}

static void check_leaf(struct machine *machine, unsigned as_id, uint64_t gfn,
		       const struct vmmu_walk *walk)
{
	struct grant grant = machine_grant(machine, as_id, gfn);
	unsigned access = grant.access;

	if (!access)
		machine_fail(machine, "as %u gfn %#llx is mapped (pfn %#llx level %u), %s", as_id,
			     (unsigned long long)gfn, (unsigned long long)walk->pfn, walk->level,
			     grant.slot ? "the host has no page" : "no slot");
	if (machine->nx_huge && walk->level > 1)
		access &= ~(unsigned)VMMU_EXEC;
	if (grant.slot->touched &&
	    ((walk->level > 1 && !(machine->dirty_flags & VMMU_DIRTY_INITIALLY_SET)) ||
	     (machine->dirty_source == VMMU_DIRTY_BY_FAULTS &&
	      !grant.slot->touched[gfn - grant.slot->base_gfn])))
		access &= ~(unsigned)VMMU_WRITE;
	if (walk->pfn != grant.page.pfn)
		machine_fail(machine, "as %u gfn %#llx maps pfn %#llx, not %#llx", as_id,
			     (unsigned long long)gfn, (unsigned long long)walk->pfn,
			     (unsigned long long)grant.page.pfn);
	if (walk->access & ~access)
		machine_fail(machine, "as %u gfn %#llx level %u grants %u, at most %u%s", as_id,
			     (unsigned long long)gfn, walk->level, walk->access, access,
			     grant.slot->touched ? " (logged)" : "");
	if (walk->entry.group_lg2)
		check_group(machine, as_id, gfn, walk);
	if (walk->level > machine_level_limit(machine, grant.slot, gfn))
		machine_fail(machine, "as %u gfn %#llx is mapped at level %u, at most %u", as_id,
			     (unsigned long long)gfn, walk->level,
			     machine_level_limit(machine, grant.slot, gfn));
	if (walk->entry.memtype != host_memtype(grant.page))
		machine_fail(machine, "as %u gfn %#llx has memory type %d, not %d", as_id,
			     (unsigned long long)gfn, (int)walk->entry.memtype,
			     (int)host_memtype(grant.page));
}

static void check_mmio(struct machine *machine, unsigned as_id, uint64_t gfn,
		       const struct vmmu_walk *walk)
{
	uint64_t mask = (UINT64_C(1) << machine->info->mmio_gen_bits) - 1;
	uint64_t now = vmmu_slot_generation(machine->vm, as_id);

	if (walk->entry.gfn != gfn)
		machine_fail(machine, "the MMIO entry of gfn %#llx says %#llx",
			     (unsigned long long)gfn, (unsigned long long)walk->entry.gfn);
	if (model_slot_at(machine, as_id, gfn) && !((walk->entry.generation ^ now) & mask))
		machine_fail(machine, "gfn %#llx has a slot and a current MMIO entry (gen %#llx)",
			     (unsigned long long)gfn, (unsigned long long)now);
}

void machine_check_gfn(struct machine *machine, unsigned as_id, uint64_t gfn)
{
	struct vmmu_walk walk;
	int result = vmmu_walk(machine->vm, as_id, machine_gpa(machine, gfn), &walk);

	if (result == -ENOENT)
		return;
	if (result)
		machine_fail(machine, "vmmu_walk() of gfn %#llx returned %d",
			     (unsigned long long)gfn, result);
	if (walk.entry.malformed)
		machine_fail(machine, "gfn %#llx: entry %#llx is malformed",
			     (unsigned long long)gfn, (unsigned long long)walk.pte);
	switch (walk.entry.kind) {
	case VMMU_ENTRY_ABSENT:
		return;
	case VMMU_ENTRY_LEAF:
		check_leaf(machine, as_id, gfn, &walk);
		return;
	case VMMU_ENTRY_MMIO:
		check_mmio(machine, as_id, gfn, &walk);
		return;
	default:
		machine_fail(machine, "the walk of gfn %#llx ends at an entry of kind %d",
			     (unsigned long long)gfn, (int)walk.entry.kind);
	}
}

void machine_check_range(struct machine *machine, unsigned as_id, uint64_t start, uint64_t end)
{
	for (uint64_t gfn = start; gfn < end; gfn++)
		machine_check_gfn(machine, as_id, gfn);
}

static int visit_leaf(void *ctx, const struct vmmu_visit *visit)
{
	struct machine *machine = ctx;

	if (visit->obsolete || visit->entry.kind == VMMU_ENTRY_TABLE)
		return 0;
	if (visit->entry.kind == VMMU_ENTRY_MMIO)
		return 0;
	/* the first page's slot is enough: machine_check_range() looks at the others */
	if (visit->entry.kind == VMMU_ENTRY_LEAF &&
	    model_slot_at(machine, visit->as_id, visit->gfn))
		return 0;
	machine_op(machine, "visit: as %u gfn %#llx level %u pte %#llx", visit->as_id,
		   (unsigned long long)visit->gfn, visit->level, (unsigned long long)visit->pte);
	return 1;
}

void machine_check_leaves(struct machine *machine)
{
	if (vmmu_visit(machine->vm, visit_leaf, machine))
		machine_fail(machine, "an entry that the model does not know");
}

void model_note_access(struct machine *machine, unsigned as_id, uint64_t gfn, unsigned access)
{
	struct model_slot *slot = model_slot_at(machine, as_id, gfn);

	if (!slot || !slot->touched)
		return;
	slot->touched[gfn - slot->base_gfn] = 1;
	if (access == VMMU_WRITE)
		slot->written[gfn - slot->base_gfn] = 1;
}

static void compare_bitmap(struct machine *machine, const struct model_slot *slot,
			   const uint64_t *bitmap, uint64_t bits)
{
	for (uint64_t page = 0; page < bits; page++) {
		bool is_set = bitmap[page / 64] >> (page % 64) & 1;

		if (is_set && (page >= slot->gfns || !slot->touched[page]))
			machine_fail(machine, "slot %u page %llu is reported dirty, never touched",
				     slot->set.id, (unsigned long long)page);
		if (!is_set && page < slot->gfns && slot->written[page])
			machine_fail(machine, "slot %u page %llu was written and is not reported",
				     slot->set.id, (unsigned long long)page);
	}
}

uint64_t machine_dirty_get(struct machine *machine, unsigned as_id, unsigned id)
{
	struct model_slot *slot = model_slot_by_id(machine, as_id, id);
	uint64_t bits = (slot->gfns + 63) / 64 * 64, count = 0, ones = 0;
	uint64_t *bitmap = malloc(bits / 8);

	cr_assert_not_null(bitmap);
	memset(bitmap, 0xa5, bits / 8); /* whatever was there must go */
	machine_op(machine, "dirty_get %u/%u", as_id, id);
	if (vmmu_dirty_get(machine->vm, as_id, id, bitmap, bits, &count))
		machine_fail(machine, "vmmu_dirty_get() failed");
	compare_bitmap(machine, slot, bitmap, bits);
	for (uint64_t word = 0; word < bits / 64; word++)
		ones += (uint64_t)__builtin_popcountll(bitmap[word]);
	if (ones != count)
		machine_fail(machine, "count %llu for %llu bits", (unsigned long long)count,
			     (unsigned long long)ones);
	if (!(machine->dirty_flags & VMMU_DIRTY_MANUAL)) {
		memset(slot->written, 0, slot->gfns);
		memset(slot->touched, 0, slot->gfns);
	}
	free(bitmap);
	return count;
}

uint64_t machine_dirty_clear(struct machine *machine, const struct vmmu_dirty_range *range)
{
	struct model_slot *slot = model_slot_by_id(machine, range->as_id, range->id);
	uint64_t count = 0, least = 0, most = 0;

	for (uint64_t i = 0; i < range->pages; i++) {
		uint64_t page = range->first + i;

		if (!(range->bitmap[i / 64] >> (i % 64) & 1))
			continue;
		least += slot->written[page];
		most += slot->touched[page];
		slot->written[page] = slot->touched[page] = 0;
	}
	machine_op(machine, "dirty_clear %u/%u %llu+%llu", range->as_id, range->id,
		   (unsigned long long)range->first, (unsigned long long)range->pages);
	if (vmmu_dirty_clear(machine->vm, range, &count))
		machine_fail(machine, "vmmu_dirty_clear() failed");
	if (count < least || count > most)
		machine_fail(machine, "%llu pages cleared, %llu to %llu were to be",
			     (unsigned long long)count, (unsigned long long)least,
			     (unsigned long long)most);
	return count;
}

/* A page out of a ring: was it touched? Its mark in SEEN, a byte a page of the slot. */
static uint64_t note_ring_page(struct machine *machine, uint8_t *seen[MACHINE_SLOTS],
			       const struct vmmu_dirty_page *page)
{
	struct model_slot *slot = model_slot_by_id(machine, page->slot >> 16, page->slot & 0xffff);
	uint8_t **marks;

	if (!slot || !slot->touched || page->page >= slot->gfns || !slot->touched[page->page])
		machine_fail(machine, "slot %#x page %llu is listed, never touched", page->slot,
			     (unsigned long long)page->page);
	marks = &seen[slot - machine->slots];
	if (!*marks)
		*marks = calloc(slot->gfns, 1);
	cr_assert_not_null(*marks);
	return !(*marks)[page->page]++;
}

/* Was all that was written seen? */
static void check_ring_slot(struct machine *machine, struct model_slot *slot, const uint8_t *seen)
{
	for (uint64_t page = 0; slot->written && page < slot->gfns; page++) {
		if (slot->written[page] && !(seen && seen[page]))
			machine_fail(machine, "slot %u page %llu was written and is in no ring",
				     slot->set.id, (unsigned long long)page);
		slot->written[page] = slot->touched[page] = 0;
	}
}

uint64_t machine_ring_round(struct machine *machine)
{
	uint8_t *seen[MACHINE_SLOTS] = {NULL};
	uint64_t count, reset, entries = 0, pages = 0;
	struct vmmu_dirty_page page[50];

	machine_op(machine, "ring_round");
	do {
		if (vmmu_dirty_ring_harvest(machine->vm, page, 50, &count))
			machine_fail(machine, "vmmu_dirty_ring_harvest() failed");
		for (uint64_t i = 0; i < count; i++)
			pages += note_ring_page(machine, seen, &page[i]);
		entries += count;
	} while (count == 50);
	if (vmmu_dirty_ring_reset(machine->vm, &reset) || reset != entries)
		machine_fail(machine, "%llu of %llu entries reset", (unsigned long long)reset,
			     (unsigned long long)entries);
	for (unsigned i = 0; i < MACHINE_SLOTS; i++) {
		if (machine->slots[i].used)
			check_ring_slot(machine, &machine->slots[i], seen[i]);
		free(seen[i]);
	}
	return pages;
}
