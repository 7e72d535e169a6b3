/* SPDX-License-Identifier: MIT */
/* Operations on what decides how large mappings are: see world.h. */
#include "faults/world.h"

void world_draw_huge(struct draw *draw, struct machine_options *options)
{
	options->nx_huge = !draw_below(draw, 3);
	options->eager_split = draw_below(draw, 2);
	options->span_lg2_max = draw_below(draw, 4) ? 14 : 0;
	options->resize = draw_below(draw, 3) ? VMMU_RESIZE_IN_PLACE : VMMU_RESIZE_ZAP;
}

void world_op_attributes(struct world *world)
{
	uint64_t start = world_random_gfn(world), count = 1 + draw_below(&world->draw, 16);
	uint64_t last = world->base + world->window;
	unsigned attributes = draw_below(&world->draw, 2) ? VMMU_ATTRIBUTE_PRIVATE : 0;

	if (draw_below(&world->draw, 2)) {
		count = world->block * (1 + draw_below(&world->draw, 2));
		start &= ~(world->block - 1);
	}
	if (!world->machine->private_pages || start < world->base || start >= last)
		return;
	count = count < last - start ? count : last - start;
	machine_attributes_set(world->machine, start, count, attributes);
}

void world_op_nx_recover(struct world *world)
{
	uint64_t recovered = UINT64_MAX, before = machine_stats(world->machine).nx_tables;
	unsigned ratio = 1 + (unsigned)draw_below(&world->draw, 4);

	machine_op(world->machine, "nx_recover 1/%u of %llu", ratio, (unsigned long long)before);
	cr_assert_eq(vmmu_nx_recover(world->machine->vm, ratio, &recovered), 0);
	if (recovered > (before + ratio - 1) / ratio ||
	    (ratio == 1 && machine_stats(world->machine).nx_tables))
		machine_fail(world->machine, "%llu recovered", (unsigned long long)recovered);
}
