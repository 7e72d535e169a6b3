/* SPDX-License-Identifier: MIT */
/* What the public range calls and the templates have in common. */
#ifndef VMMU_RANGE_RANGE_INTERNAL_H
#define VMMU_RANGE_RANGE_INTERNAL_H

#include <vmmu/range.h>

#include "faults/vm.h"

/*
 * In a shared update: its vCPU has frames in stock again. Leaves the section and enters it again.
 * 0, -ENOMEM, -EIO.
 */
int range_share_topup(struct vmmu_update *update);
/* Calls that shared updates do not have: -EPERM, and nothing is done. */
int range_share_refuse(struct vmmu_update *update, uint64_t gpa, uint64_t bytes, uint64_t *done);
int range_share_refuse_access(struct vmmu_update *update, uint64_t gpa, uint64_t bytes,
			      unsigned access, uint64_t *done);

#endif
