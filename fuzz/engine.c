/* SPDX-License-Identifier: MIT */
/*
 * The engine as a black box: operations of the random test (tests/faults/world.c), chosen by the
 * input, each held against the flat model: slots, faults with any hints, late ones and those whose
 * page changes meanwhile, dirty logs, nested and crossed invalidations, zaps, vCPU switches, in any
 * format.
 *
 * Input: a byte for the format, then decisions.
 */
#include "faults/world.h"
#include "target.h"

/* More only make inputs slow. */
#define OPS_MAX 400

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct draw draw = draw_from_bytes(data, size);
	struct world world;

	target_begin();
	world = world_create((unsigned)draw_below(&draw, target_format_count()), draw, 2);
	for (unsigned op = 0; op < OPS_MAX && !draw_is_done(&world.draw); op++)
		world_op(&world);
	world_check_all(&world);
	machine_destroy(world.machine);
	target_end();
	return 0;
}
