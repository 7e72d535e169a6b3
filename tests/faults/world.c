/* SPDX-License-Identifier: MIT */
/*
 * Operations on one VM, drawn one by one, each held against the flat model: see world.h.
 */
#include "faults/world.h"

#include <errno.h>

/* Most accesses go to the first pages of slots, so that they meet what others left. */
#define HOT 12

static const unsigned slot_ids[] = {0, 1, 2, 509, VMMU_SLOT_IDS - 1};

/* 0 .. bound - 1 */
static uint64_t below(struct world *world, uint64_t bound)
{
	return draw_below(&world->draw, bound);
}

static bool chance(struct world *world, unsigned percent)
{
	return below(world, 100) < percent;
}

/* Slots */

static uint64_t random_length(struct world *world)
{
	switch (below(world, 5)) {
	case 0:
		return 1 + below(world, 8);
	case 1:
		return 1 + below(world, world->block);
	case 2:
		return world->block;
	case 3:
		return world->giant;
	default:
		return world->block + 1 + below(world, world->block / 2);
	}
}

/* What a slot of LENGTH pages would have to be aligned to for its largest pages. */
static uint64_t unit_of(const struct world *world, uint64_t length)
{
	return length >= world->giant ? world->giant : world->block;
}

/* A place of LENGTH pages in [0, window), often aligned. */
static uint64_t random_place(struct world *world, uint64_t length)
{
	uint64_t place = below(world, world->window - length + 1);

	return chance(world, 60) ? place & ~(unit_of(world, length) - 1) : place;
}

static void check_place(struct world *world, unsigned as_id, uint64_t start, uint64_t end)
{
	uint64_t step = (end - start) / 128 + 1;

	for (uint64_t gfn = start; gfn < end; gfn += step)
		machine_check_gfn(world->machine, as_id, gfn);
	machine_check_gfn(world->machine, as_id, end - 1);
}

static void op_slot_create(struct world *world, unsigned as_id, unsigned id)
{
	struct machine *machine = world->machine;
	uint64_t length = random_length(world), gfn = random_place(world, length);
	uint64_t host = random_place(world, length), unit = unit_of(world, length), congruent;
	struct vmmu_slot slot = {.as_id = as_id, .id = id};

	/* often where gfns and addresses are aligned alike */
	congruent = (host & ~(unit - 1)) + (world->base + gfn) % unit;
	if (chance(world, 60) && congruent + length <= world->window)
		host = congruent;
	slot.gpa = machine_gpa(machine, world->base + gfn);
	slot.bytes = length << machine->page_shift;
	slot.hva = machine_hva(machine, host);
	slot.flags = chance(world, 50) ? VMMU_SLOT_LOG_DIRTY : 0;
	slot.flags |= chance(world, 12) ? VMMU_SLOT_READ_ONLY : 0;
	machine_slot_set(machine, &slot);
	check_place(world, as_id, world->base + gfn, world->base + gfn + length);
}

static void op_slot_change(struct world *world, const struct model_slot *old)
{
	struct machine *machine = world->machine;
	uint64_t start = old->base_gfn, length = old->gfns;
	struct vmmu_slot slot = old->set;

	switch (below(world, 8)) {
	case 0:
		slot.bytes = 0;
		break;
	case 1:
		slot.gpa = machine_gpa(machine, world->base + random_place(world, length));
		break;
	default:
		slot.flags ^= VMMU_SLOT_LOG_DIRTY;
	}
	machine_slot_set(machine, &slot);
	check_place(world, slot.as_id, start, start + length);
}

static void op_slot(struct world *world)
{
	unsigned as_id = (unsigned)below(world, world->machine->as_count);
	unsigned id = slot_ids[below(world, sizeof(slot_ids) / sizeof(slot_ids[0]))];
	struct model_slot *old = model_slot_by_id(world->machine, as_id, id);

	if (world->machine->has_rings) /* of the slots as they are */
		machine_ring_round(world->machine);
	if (old)
		op_slot_change(world, old);
	else
		op_slot_create(world, as_id, id);
}

/* Calls that are wrong in one way: the model knows the errno, and nothing may change. */
static void op_slot_wrong(struct world *world)
{
	struct machine *machine = world->machine;
	struct vmmu_slot slot = {
		.as_id = (unsigned)below(world, 3),
		.id = chance(world, 50) ? 1 : VMMU_SLOT_IDS + (unsigned)below(world, 9),
		.flags = (unsigned)below(world, 8),
		.gpa = machine_gpa(machine, world->base) + below(world, 2) * 8,
		.bytes = (1 + below(world, 3)) << machine->page_shift,
		.hva = machine_hva(machine, below(world, 8)) + below(world, 2),
	};

	if (model_slot_error(machine, &slot))
		machine_slot_set(machine, &slot);
}

static struct model_slot *random_slot(struct world *world)
{
	for (unsigned tries = 0; tries < 4; tries++) {
		struct model_slot *slot = &world->machine->slots[below(world, MACHINE_SLOTS)];

		if (slot->used)
			return slot;
	}
	return NULL;
}

static void op_dirty_get(struct world *world)
{
	struct model_slot *slot = random_slot(world);

	if (!slot || !slot->touched)
		return;
	world_read_log(world, slot);
	/* the model's log is clear now: any page still writable fails here */
	check_place(world, slot->set.as_id, slot->base_gfn, slot->base_gfn + slot->gfns);
}

/* Accesses */

uint64_t world_random_gfn(struct world *world)
{
	struct model_slot *slot = random_slot(world);

	if (!slot)
		return world->base + below(world, world->window);
	switch (below(world, 8)) {
	case 0:
		return slot->base_gfn + below(world, slot->gfns);
	case 1:
		return slot->base_gfn + slot->gfns - 1;
	case 2:
		return slot->base_gfn + slot->gfns; /* just behind; may be another's, or none's */
	default:
		return slot->base_gfn + below(world, slot->gfns < HOT ? slot->gfns : HOT);
	}
}

static unsigned random_access(struct world *world)
{
	static const unsigned kinds[] = {VMMU_READ,  VMMU_READ,  VMMU_READ,
					 VMMU_WRITE, VMMU_WRITE, VMMU_EXEC};

	return kinds[below(world, 6)];
}

/* Hints need not be true. */
static unsigned random_flags(struct world *world)
{
	static const unsigned hints[] = {VMMU_FAULT_PRESENT, VMMU_FAULT_RSVD, VMMU_FAULT_USER,
					 VMMU_FAULT_GUEST_WALK};
	unsigned flags = chance(world, 40) ? VMMU_FAULT_NO_WAIT : 0;

	if (chance(world, 6))
		flags |= hints[below(world, 4)];
	if (world->machine->private_pages && chance(world, 4))
		flags |= VMMU_FAULT_PRIVATE;
	return flags;
}

/* The page that a "would block" waited for comes in. */
static void page_arrives(struct world *world, struct machine_vcpu *vcpu,
			 struct access_result *result)
{
	struct machine *machine = world->machine;
	struct model_slot *slot = model_slot_at(machine, vcpu->as_id, result->fault.gfn);
	uint64_t host = ((slot->set.hva - HOST_VA) >> machine->page_shift) +
			(result->fault.gfn - slot->base_gfn);
	struct vmmu_fault fault = {
		.gpa = result->fault.gpa,
		.access = result->fault.access,
		.flags = result->fault.flags,
		.max_level = result->fault.max_level,
	};
	int outcome;

	machine_op(machine, "page arrives: gfn %#llx", (unsigned long long)result->fault.gfn);
	machine->host.pages[host].status = HOST_RAM;
	model_note_access(machine, vcpu->as_id, result->fault.gfn, VMMU_READ);
	machine->fault_calls++;
	outcome = vmmu_fault_ready(vcpu->vcpu, &fault);
	if (outcome < 0 || outcome >= VMMU_OUTCOMES)
		machine_fail(machine, "vmmu_fault_ready() returned %d", outcome);
}

static void op_access(struct world *world)
{
	struct machine *machine = world->machine;
	unsigned index = (unsigned)below(world, machine->vcpu_count);
	struct machine_vcpu *vcpu = &machine->vcpu[index];
	uint64_t gfn = world_random_gfn(world);
	unsigned max_level = chance(world, 8) ? 1 : 0;
	uint64_t gpa = machine_gpa(machine, gfn) + below(world, 64);
	struct access_result result = machine_access_with(machine, index, gpa, random_access(world),
							  random_flags(world), max_level);

	if (result.end == ACCESS_EXITED && result.fault.exit == VMMU_EXIT_WOULD_BLOCK &&
	    chance(world, 60))
		page_arrives(world, vcpu, &result);
	machine_check_gfn(machine, vcpu->as_id, gfn);
	machine_check_gfn(machine, vcpu->as_id, gfn ^ 1);
}

/* A fault that comes late: the page may be mapped by now, the report says how it was before. */
static void op_late_fault(struct world *world)
{
	struct vmmu_fault fault;

	machine_enter(world->machine, 0);
	machine_fault(world->machine, world_random_gfn(world), random_access(world),
		      random_flags(world), &fault);
}

static void op_vcpu_as(struct world *world)
{
	struct machine *machine = world->machine;

	machine_vcpu_as(machine, (unsigned)below(world, machine->vcpu_count),
			(unsigned)below(world, machine->as_count));
}

/* The host */

/* A change of host pages to come: a range that must be invalidated around it. */
struct host_change {
	uint64_t start, count;
	struct host_page page;
	bool is_split; /* same frames, smaller mappings */
};

static struct host_page random_page(struct world *world)
{
	static const enum host_status statuses[] = {HOST_RAM,      HOST_RAM,  HOST_RAM,
						    HOST_RAM,      HOST_RAM,  HOST_IO,
						    HOST_UNMAPPED, HOST_SLOW, HOST_POISONED};
	struct host_page page = {.status = statuses[below(world, 9)], .level = 1};

	page.writable = chance(world, 75);
	page.pfn = world->next_pfn++;
	if (page.status == HOST_IO)
		page.memtype = VMMU_MEM_DEVICE;
	return page;
}

/*
 * Make CHANGE one of the whole page of LEVEL around INDEX: a new one, or what is there in smaller
 * pages.
 */
static void change_huge(struct world *world, struct host_change *change, uint64_t index,
			unsigned level)
{
	uint64_t pages = machine_pages(world->machine, level);

	change->start = index & ~(pages - 1);
	change->count = pages;
	change->is_split = world->machine->host.pages[index].level == level && chance(world, 50);
	change->page.status = HOST_RAM;
	change->page.memtype = VMMU_MEM_WRITEBACK;
	change->page.level = change->is_split ? 1 + (unsigned)below(world, level - 1) : level;
	world->next_pfn = (world->next_pfn + pages) & ~(pages - 1);
	change->page.pfn = world->next_pfn;
	world->next_pfn += pages;
}

/* Pages of one huge page change together. */
static struct host_change random_change(struct world *world, uint64_t index)
{
	struct host_change change = {.start = index, .count = 1, .page = random_page(world)};
	unsigned level = world->machine->host.pages[index].level;

	if (level < 2 && chance(world, 25))
		level = 2;
	if (level < world->huge_level && chance(world, 8))
		level = world->huge_level;
	if (level > 1 && (index | (machine_pages(world->machine, level) - 1)) < world->window)
		change_huge(world, &change, index, level);
	return change;
}

static void apply_change(struct world *world, const struct host_change *change)
{
	machine_op(world->machine, "host %llu+%llu: %s pfn %#llx status %d level %u writable %d",
		   (unsigned long long)change->start, (unsigned long long)change->count,
		   change->is_split ? "split" : "now", (unsigned long long)change->page.pfn,
		   (int)change->page.status, change->page.level, change->page.writable);
	for (uint64_t i = 0; i < change->count; i++) {
		struct host_page *page = &world->machine->host.pages[change->start + i];

		if (change->is_split) {
			page->level = change->page.level;
			continue;
		}
		*page = change->page;
		page->pfn += i;
	}
}

/* Everything behind these host pages, through all slots. */
static void check_host_range(struct world *world, uint64_t start, uint64_t count)
{
	struct machine *machine = world->machine;

	for (unsigned i = 0; i < MACHINE_SLOTS; i++) {
		const struct model_slot *slot = &machine->slots[i];
		uint64_t host, first, last;

		if (!slot->used)
			continue;
		host = (slot->set.hva - HOST_VA) >> machine->page_shift;
		first = start > host ? start : host;
		last = start + count < host + slot->gfns ? start + count : host + slot->gfns;
		if (first < last)
			check_place(world, slot->set.as_id, slot->base_gfn + (first - host),
				    slot->base_gfn + (last - host));
	}
}

/* Accesses while an invalidation is under way: those in its range may not be mapped. */
static void accesses_meanwhile(struct world *world)
{
	for (uint64_t n = below(world, 4); n; n--)
		op_access(world);
}

/* A host page, often one behind the first pages of a slot. */
static uint64_t random_host_page(struct world *world)
{
	const struct model_slot *slot = random_slot(world);

	if (!slot || chance(world, 30))
		return below(world, world->window);
	return ((slot->set.hva - HOST_VA) >> world->machine->page_shift) +
	       below(world, slot->gfns < HOT ? slot->gfns : HOT);
}

static void op_invalidate(struct world *world)
{
	struct machine *machine = world->machine;
	struct host_change change = random_change(world, random_host_page(world));
	uint64_t other = below(world, world->window - 40);
	bool is_nested = chance(world, 30), is_crossed = chance(world, 50);

	cr_assert_eq(machine_invalidate_begin(machine, change.start, change.count), 0);
	check_host_range(world, change.start, change.count);
	accesses_meanwhile(world);
	if (is_nested) {
		cr_assert_eq(machine_invalidate_begin(machine, other, 40), 0);
		check_host_range(world, other, 40);
		accesses_meanwhile(world);
		if (!is_crossed)
			cr_assert_eq(machine_invalidate_end(machine, other, 40), 0);
	}
	if (chance(world, 10))
		op_dirty_get(world);
	if (chance(world, 5))
		cr_assert_eq(vmmu_zap_all(machine->vm), 0);
	apply_change(world, &change);
	accesses_meanwhile(world);
	cr_assert_eq(machine_invalidate_end(machine, change.start, change.count), 0);
	if (is_nested && is_crossed) {
		accesses_meanwhile(world);
		cr_assert_eq(machine_invalidate_end(machine, other, 40), 0);
	}
	check_host_range(world, change.start, change.count);
}

static struct world *racing; /* for the hook, which gets the machine only */

/* The host replaces the page between the lookup's answer and its use. */
static void replace_meanwhile(struct machine *machine, const struct vmmu_page_request *request)
{
	uint64_t index = (request->hva - HOST_VA) >> machine->page_shift;
	struct host_change change = random_change(racing, index);

	/* an answer that maps nothing needs no second look, so only those that map can be raced */
	if (machine->host.pages[index].status > HOST_IO ||
	    (request->access == VMMU_WRITE && !machine->host.pages[index].writable))
		return;
	cr_assert_eq(machine_invalidate_begin(machine, change.start, change.count), 0);
	apply_change(racing, &change);
	cr_assert_eq(machine_invalidate_end(machine, change.start, change.count), 0);
}

static void op_race(struct world *world)
{
	racing = world;
	world->machine->on_resolve = replace_meanwhile;
	op_access(world);
	world->machine->on_resolve = NULL;
}

/* A few host pages from one behind some slot on. */
static struct vmmu_hva_range random_hvas(struct world *world)
{
	uint64_t start = random_host_page(world), count = 1 + below(world, 16);

	return (struct vmmu_hva_range){machine_hva(world->machine, start),
				       machine_hva(world->machine, start + count)};
}

/* Nobody uses a page between the calls, so the answers must agree. */
static void op_age(struct world *world)
{
	struct vmmu_hva_range range = random_hvas(world);
	struct vmmu_vm *vm = world->machine->vm;
	int was_used = vmmu_test_age(vm, &range), result = vmmu_age(vm, &range);

	machine_op(world->machine, "age hva %#llx: %d", (unsigned long long)range.start, result);
	if (was_used < 0 || was_used > 1 || result != was_used || vmmu_test_age(vm, &range))
		machine_fail(world->machine, "test_age %d, age %d, and then %d", was_used, result,
			     vmmu_test_age(vm, &range));
}

static void op_prefault(struct world *world)
{
	struct machine *machine = world->machine;
	unsigned index = (unsigned)below(world, machine->vcpu_count);
	struct machine_vcpu *vcpu = &machine->vcpu[index];
	uint64_t gfn = world_random_gfn(world), count = 1 + below(world, 32), done;
	uint64_t input = UINT64_C(1) << (machine->geometry->gpa_bits - machine->page_shift);
	int result;

	count = count < input - gfn ? count : input - gfn;
	if (gfn >= input)
		return;
	for (uint64_t i = 0; i < count; i++)
		model_note_access(machine, vcpu->as_id, gfn + i, VMMU_READ);
	result = vmmu_prefault(vcpu->vcpu, machine_gpa(machine, gfn), machine_gpa(machine, count),
			       &done);
	machine_op(machine, "prefault vcpu %u gfn %#llx+%llu: %d", index, (unsigned long long)gfn,
		   (unsigned long long)count, result);
	if (result && result != -ENOENT && result != -EAGAIN && result != -EFAULT &&
	    result != -EHWPOISON && (result != -ENOBUFS || !machine->has_rings))
		machine_fail(machine, "vmmu_prefault() returned %d", result);
	if (!result == !done || done > machine_gpa(machine, count))
		machine_fail(machine, "vmmu_prefault() did %llu bytes", (unsigned long long)done);
	check_place(world, vcpu->as_id, gfn, gfn + count);
}

/* The host merges a page with another of equal contents, or moves it. */
static void op_remap(struct world *world)
{
	struct machine *machine = world->machine;
	uint64_t index = random_host_page(world);
	struct host_page *page = &machine->host.pages[index];
	struct vmmu_page moved = {.pfn = world->next_pfn++, .level = 1};

	moved.writable = chance(world, 50);
	/* pages of one huge page move together */
	if (page->level > 1 || page->status != HOST_RAM || machine_has_private(machine, index))
		return;
	machine_op(machine, "remap host %llu to pfn %#llx", (unsigned long long)index,
		   (unsigned long long)moved.pfn);
	if (vmmu_remap(machine->vm, machine_hva(machine, index), &moved))
		machine_fail(machine, "vmmu_remap() failed");
	page->pfn = moved.pfn;
	page->writable = moved.writable;
	check_host_range(world, index, 1);
}

static void op_zap_all(struct world *world)
{
	machine_op(world->machine, "zap_all");
	cr_assert_eq(vmmu_zap_all(world->machine->vm), 0);
}

void world_check_all(struct world *world)
{
	/* a sample of a large window, another one each time */
	uint64_t step = 1 + world->window / 20000;

	for (unsigned as_id = 0; as_id < world->machine->as_count; as_id++) {
		for (uint64_t n = below(world, step); n < world->window; n += step)
			machine_check_gfn(world->machine, as_id, world->base + n);
	}
	machine_check_leaves(world->machine);
	machine_check_counters(world->machine);
	machine_audit(world->machine);
}

void world_op(struct world *world)
{
	static const struct {
		unsigned weight;
		void (*run)(struct world *world);
	} ops[] = {
		{580, op_access},
		{60, op_late_fault},
		{25, op_slot},
		{80, op_dirty_get},
		{60, op_invalidate},
		{60, op_race},
		{30, op_vcpu_as},
		{20, op_slot_wrong},
		{5, op_zap_all},
		{20, op_age},
		{20, op_prefault},
		{20, op_remap},
		{15, world_op_attributes},
		{5, world_op_nx_recover},
	};
	uint64_t dice = below(world, 1000);
	unsigned i = 0;

	while (dice >= ops[i].weight)
		dice -= ops[i++].weight;
	ops[i].run(world);
	machine_check_tlb(world->machine);
	if (world->machine->bugs)
		machine_fail(world->machine, "on_bug was called");
}

/* Huge pages here and there from the start. */
static void populate_host(struct world *world)
{
	uint64_t step = world->block;

	for (uint64_t index = 0; index + step <= world->window; index += step) {
		struct host_change change = {.page = {.writable = true}};
		bool is_giant = !(index & (world->giant - 1)) && chance(world, 60);

		if (world->machine->host.pages[index].level > 1 ||
		    (index | (world->giant - 1)) >= world->window || chance(world, 40))
			continue;
		change_huge(world, &change, index, is_giant ? world->huge_level : 2);
		apply_change(world, &change);
	}
}

struct world world_create(unsigned format_index, struct draw draw, unsigned level_max)
{
	struct world world = {.draw = draw};
	const struct vmmu_geometry *geometry = vmmu_format_info(outside_at(format_index))->geometry;
	uint64_t input = UINT64_C(1) << (geometry->gpa_bits - geometry->page_shift);
	struct machine_options options = {.address_spaces = 1 + (unsigned)below(&world, 2),
					  .vcpus = MACHINE_VCPUS};

	world.block = UINT64_C(1) << (geometry->shift[2] - geometry->page_shift);
	world.huge_level = level_max > 2 && geometry->page_shift == 12 && chance(&world, 30) ? 3
											     : 2;
	world.giant = UINT64_C(1) << (geometry->shift[world.huge_level] - geometry->page_shift);
	world.window = world.giant + world.block + 64;
	/* at the bottom, across a level 3 boundary, or at the very top of the input space */
	world.base = below(&world, 3) * (input - world.window) / 2 & ~(world.giant - 1);
	if (chance(&world, 30))
		world.base = input - world.window;
	world.next_pfn = HOST_PFN;
	options.host_pages = world.window;
	options.prefetch = chance(&world, 60);
	options.no_host_level = chance(&world, 30);
	options.max_level = chance(&world, 20) ? 1 : 0;
	world_draw_huge(&world.draw, &options);
	world_draw_dirty(&world.draw, outside_at(format_index), &options);
	world.machine = machine_create(format_index, &options);
	world.next_pfn += world.window;
	if (chance(&world, 40))
		machine_attributes_init(world.machine, world.base, world.window);
	populate_host(&world);
	return world;
}
