/* SPDX-License-Identifier: MIT */
/* What the public range calls and the templates have in common. */
#ifndef VMMU_RANGE_RANGE_INTERNAL_H
#define VMMU_RANGE_RANGE_INTERNAL_H

#include <vmmu/range.h>

#include "faults/vm.h"

#endif
