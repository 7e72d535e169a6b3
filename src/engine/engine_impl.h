/* SPDX-License-Identifier: MIT */
/*
 * The engine of one format. Include after exactly one instance header of src/format and after
 * defining ENGINE_OBJECT, the name of the const struct vmmu_engine to emit.
 */
#include "engine/engine.h"
#include "faults/age_impl.h"
#include "faults/audit_impl.h"
#include "faults/collapse_impl.h"
#include "faults/dirty_impl.h"
#include "faults/fault_impl.h"
#include "faults/split_impl.h"
#include "faults/visit_impl.h"
#include "faults/zap_impl.h"
#include "format/registry.h"
#include "range/range_impl.h"

const struct vmmu_engine ENGINE_OBJECT = {
	.range = &range_ops,
	.fault = engine_fault,
	.prefault = engine_prefault,
	.root_get = map_root_get,
	.table_zap = engine_table_zap,
	.zap_range = engine_zap_range,
	.remap = engine_remap,
	.protect_range = engine_protect_range,
	.dirty_arm = engine_dirty_arm,
	.dirty_scan = engine_dirty_scan,
	.split_range = engine_split_range,
	.collapse_range = engine_collapse_range,
	.age_range = engine_age_range,
	.walk = engine_walk,
	.walk_path = engine_walk_path,
	.visit = engine_visit,
	.tdp_root_get = engine_tdp_root_get,
	.tdp_zap_some = engine_tdp_zap_some,
	.audit = engine_audit,
};
