/* SPDX-License-Identifier: MIT */
/*
 * The hardware model over any memory: registers, tables and access by the input, the checks of
 * tests/hw/walks.c.
 *
 * Input: a byte for the architecture, then decisions; entries are drawn where a walk reads them.
 */
#include "hw/walks.h"
#include "target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct draw draw = draw_from_bytes(data, size);
	struct walks_tally tally = {0};

	walks_one(&draw, (enum vmmu_hw_arch)draw_below(&draw, VMMU_HW_ARCHES), &tally);
	return 0;
}
