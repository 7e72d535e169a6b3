/* SPDX-License-Identifier: MIT */
/*
 * One walk of the hardware model through registers, tables and an access that are drawn from a seed
 * or from a fuzzer's input, with the checks that hold for any of them.
 */
#ifndef TESTS_HW_WALKS_H
#define TESTS_HW_WALKS_H

#include <vmmu/hw.h>

#include "base/draw.h"

/* How walks ended. */
struct walks_tally {
	unsigned ok, guest, host, refused, lost;
};

void walks_one(struct draw *draw, enum vmmu_hw_arch arch, struct walks_tally *tally);

#endif
