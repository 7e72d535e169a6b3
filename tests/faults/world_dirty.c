/* SPDX-License-Identifier: MIT */
/* How a world logs writes, and what is asked of its logs: part of world.c. */
#include "faults/world.h"

/* Can the modelled hardware set dirty bits in entries of FORMAT? */
static bool has_dirty_bits(const struct vmmu_format *format)
{
	struct vmmu_hw_cpu registers;

	return (vmmu_format_info(format)->caps & VMMU_CAP_HW_DIRTY) &&
	       !vmmu_machine_registers(format, &registers);
}

void world_draw_dirty(struct draw *draw, const struct vmmu_format *format,
		      struct machine_options *options)
{
	static const struct {
		unsigned flags;
		uint32_t ring_entries;
	} ways[] = {
		{0, 0},
		{VMMU_DIRTY_MANUAL, 0},
		{VMMU_DIRTY_MANUAL | VMMU_DIRTY_INITIALLY_SET, 0},
		{0, VMMU_DIRTY_RING_MIN},
	};
	uint64_t way = draw_below(draw, 8);

	/* Half of the worlds log as it is done by default. */
	if (way < 4)
		return;
	options->dirty_flags = ways[way - 4].flags;
	options->ring_entries = ways[way - 4].ring_entries;
	if (!options->ring_entries && has_dirty_bits(format) && draw_below(draw, 2))
		options->dirty_source = VMMU_DIRTY_BY_BITS;
}

/* Some of the words of SLOT's log, and some of the bits in them. */
static void clear_some(struct world *world, const struct model_slot *slot)
{
	uint64_t words = (slot->gfns + 63) / 64, first = draw_below(&world->draw, words);
	uint64_t count = 1 + draw_below(&world->draw, 4), bitmap[4];
	struct vmmu_dirty_range range = {
		.as_id = slot->set.as_id,
		.id = slot->set.id,
		.first = first * 64,
		.bitmap = bitmap,
	};

	count = count < words - first ? count : words - first;
	range.pages = count * 64 < slot->gfns - range.first ? count * 64 : slot->gfns - range.first;
	for (unsigned i = 0; i < 4; i++)
		bitmap[i] = draw_below(&world->draw, 2) ? ~UINT64_C(0) : draw_sparse(&world->draw);
	machine_dirty_clear(world->machine, &range);
}

void world_read_log(struct world *world, const struct model_slot *slot)
{
	struct machine *machine = world->machine;

	if (machine->has_rings) {
		machine_ring_round(machine);
		return;
	}
	machine_dirty_get(machine, slot->set.as_id, slot->set.id);
	if (machine->dirty_flags & VMMU_DIRTY_MANUAL)
		clear_some(world, slot);
}
