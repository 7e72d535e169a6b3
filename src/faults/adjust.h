/* SPDX-License-Identifier: MIT */
/* How large a mapping may be. */
#ifndef VMMU_FAULTS_ADJUST_H
#define VMMU_FAULTS_ADJUST_H

#include <vmmu/env.h>

#include "memory/slots.h"

/*
 * The largest level, MAX at most, at which gfn of SLOT may be mapped to PAGE: nothing in the slot
 * forbids it, the host maps as large, frames are aligned alike, and nobody logs writes page by
 * page.
 */
unsigned adjust_level(const struct memslot *slot, const struct vmmu_geometry *geometry,
		      uint64_t gfn, const struct vmmu_page *page, unsigned max);

#endif
