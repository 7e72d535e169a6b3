/* SPDX-License-Identifier: MIT */
/* Everything at once. Each header also stands alone. */
#ifndef VMMU_VMMU_H
#define VMMU_VMMU_H

#include <vmmu/age.h>
#include <vmmu/attributes.h>
#include <vmmu/audit.h>
#include <vmmu/compare.h>
#include <vmmu/dirty.h>
#include <vmmu/env.h>
#include <vmmu/event.h>
#include <vmmu/fault.h>
#include <vmmu/format.h>
#include <vmmu/format_ops.h>
#include <vmmu/hw.h>
#include <vmmu/invalidate.h>
#include <vmmu/machine.h>
#include <vmmu/profile.h>
#include <vmmu/range.h>
#include <vmmu/replay.h>
#include <vmmu/slot.h>
#include <vmmu/tlb.h>
#include <vmmu/trace.h>
#include <vmmu/types.h>
#include <vmmu/vm.h>
#include <vmmu/walk.h>

#endif
