/* SPDX-License-Identifier: MIT */
/*
 * An engine that serves more than one format: the templates over a format header that reads the
 * current format (format/current.h), each call between entering and leaving it. Include after such
 * a header and after defining ENGINE_OBJECT.
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
#include "range/range_impl.h"

/* Run CALL, which needs the format of VM. */
#define CURRENT_RUN(vm, call)                                                  \
	do {                                                                   \
		const struct vmmu_format *outer = current_enter((vm)->format); \
                                                                               \
		call;                                                          \
		current_leave(outer);                                          \
	} while (0)
/* The same for a CALL that gives TYPE, which is returned. */
#define CURRENT_RETURN(type, vm, call)                    \
	do {                                              \
		type current_result;                      \
                                                          \
		CURRENT_RUN((vm), current_result = call); \
		return current_result;                    \
	} while (0)

static int current_fault(struct vmmu_vcpu *vcpu, struct vmmu_fault *fault)
{
	CURRENT_RETURN(int, vcpu->vm, engine_fault(vcpu, fault));
}

static int current_prefault(struct vmmu_vcpu *vcpu, struct vmmu_fault *fault, uint64_t gfns,
			    uint64_t *done)
{
	CURRENT_RETURN(int, vcpu->vm, engine_prefault(vcpu, fault, gfns, done));
}

static struct table *current_root_get(struct vmmu_vm *vm, unsigned as_id)
{
	CURRENT_RETURN(struct table *, vm, map_root_get(vm, as_id));
}

static void current_table_zap(struct vmmu_vm *vm, struct table *table)
{
	CURRENT_RUN(vm, engine_table_zap(vm, table));
}

static void current_zap_range(struct vmmu_vm *vm, const struct slot_range *range)
{
	CURRENT_RUN(vm, engine_zap_range(vm, range));
}

static void current_remap(struct vmmu_vm *vm, const struct slot_range *range,
			  const struct vmmu_page *page)
{
	CURRENT_RUN(vm, engine_remap(vm, range, page));
}

static void current_protect_range(struct vmmu_vm *vm, const struct slot_range *range,
				  unsigned level)
{
	CURRENT_RUN(vm, engine_protect_range(vm, range, level));
}

static void current_dirty_arm(struct vmmu_vm *vm, struct memslot *slot, uint64_t gfn, uint64_t mask)
{
	CURRENT_RUN(vm, engine_dirty_arm(vm, slot, gfn, mask));
}

static void current_dirty_scan(struct vmmu_vm *vm, const struct slot_range *range,
			       enum dirty_what what)
{
	CURRENT_RUN(vm, engine_dirty_scan(vm, range, what));
}

static int current_split_range(struct vmmu_vm *vm, struct table *root, struct slot_range *range)
{
	CURRENT_RETURN(int, vm, engine_split_range(vm, root, range));
}

static void current_collapse_range(struct vmmu_vm *vm, const struct slot_range *range)
{
	CURRENT_RUN(vm, engine_collapse_range(vm, range));
}

static uint64_t current_age_range(struct vmmu_vm *vm, const struct slot_range *range,
				  enum age_what what)
{
	CURRENT_RETURN(uint64_t, vm, engine_age_range(vm, range, what));
}

static void current_walk(struct vmmu_vm *vm, struct table *root, uint64_t gpa,
			 struct vmmu_walk *walk)
{
	CURRENT_RUN(vm, engine_walk(vm, root, gpa, walk));
}

static unsigned current_walk_path(struct vmmu_vm *vm, struct table *root, uint64_t gpa,
				  struct vmmu_walk *path)
{
	CURRENT_RETURN(unsigned, vm, engine_walk_path(vm, root, gpa, path));
}

static int current_visit(struct vmmu_vm *vm, struct table *root,
			 int (*fn)(void *ctx, const struct vmmu_visit *visit), void *ctx)
{
	CURRENT_RETURN(int, vm, engine_visit(vm, root, fn, ctx));
}

static struct table *current_tdp_root_get(struct vmmu_vm *vm, unsigned as_id)
{
	CURRENT_RETURN(struct table *, vm, engine_tdp_root_get(vm, as_id));
}

static bool current_tdp_zap_some(struct vmmu_vm *vm, struct table *table)
{
	CURRENT_RETURN(bool, vm, engine_tdp_zap_some(vm, table));
}

static void current_audit(struct vmmu_vm *vm, struct audit_run *run)
{
	CURRENT_RUN(vm, engine_audit(vm, run));
}

static int current_map(struct vmmu_update *update, uint64_t gpa, uint64_t hpa, uint64_t bytes,
		       const struct vmmu_attr *attr, uint64_t *done)
{
	CURRENT_RETURN(int, update->vm, range_map(update, gpa, hpa, bytes, attr, done));
}

static int current_unmap(struct vmmu_update *update, uint64_t gpa, uint64_t bytes, uint64_t *done)
{
	CURRENT_RETURN(int, update->vm, range_unmap(update, gpa, bytes, done));
}

static int current_protect(struct vmmu_update *update, uint64_t gpa, uint64_t bytes,
			   unsigned access, uint64_t *done)
{
	CURRENT_RETURN(int, update->vm, range_protect(update, gpa, bytes, access, done));
}

static int current_write_protect(struct vmmu_update *update, uint64_t gpa, uint64_t bytes,
				 uint64_t *done)
{
	CURRENT_RETURN(int, update->vm, range_write_protect(update, gpa, bytes, done));
}

static int current_write_allow(struct vmmu_update *update, uint64_t gpa, uint64_t bytes,
			       uint64_t *done)
{
	CURRENT_RETURN(int, update->vm, range_write_allow(update, gpa, bytes, done));
}

static uint64_t current_translate_once(struct vmmu_vm *vm, unsigned as_id, uint64_t gpa)
{
	CURRENT_RETURN(uint64_t, vm, range_translate_once(vm, as_id, gpa));
}

static void current_settle(struct vmmu_vm *vm)
{
	CURRENT_RUN(vm, range_settle(vm));
}

static uint64_t current_translate(const struct vmmu_reader *reader, uint64_t gpa)
{
	CURRENT_RETURN(uint64_t, reader->vm, range_translate(reader, gpa));
}

static void current_translate_batch(const struct vmmu_reader *reader, const uint64_t *gpas,
				    uint64_t *hpas, size_t count)
{
	CURRENT_RUN(reader->vm, range_translate_batch(reader, gpas, hpas, count));
}

static void current_attr_make(const struct vmmu_vm *vm, struct vmmu_attr *attr)
{
	CURRENT_RUN(vm, range_attr_make(vm, attr));
}

static int current_share_map(struct vmmu_update *update, uint64_t gpa, uint64_t hpa, uint64_t bytes,
			     const struct vmmu_attr *attr, uint64_t *done)
{
	CURRENT_RETURN(int, update->vm, share_map(update, gpa, hpa, bytes, attr, done));
}

static int current_share_write_allow(struct vmmu_update *update, uint64_t gpa, uint64_t bytes,
				     uint64_t *done)
{
	CURRENT_RETURN(int, update->vm, share_write_allow(update, gpa, bytes, done));
}

static const struct vmmu_range_ops current_share_ops = {
	.map = current_share_map,
	.unmap = range_share_refuse,
	.protect = range_share_refuse_access,
	.write_protect = range_share_refuse,
	.write_allow = current_share_write_allow,
};

static const struct vmmu_range_ops current_range_ops = {
	.share = &current_share_ops,
	.map = current_map,
	.unmap = current_unmap,
	.protect = current_protect,
	.write_protect = current_write_protect,
	.write_allow = current_write_allow,
	.translate = current_translate,
	.translate_batch = current_translate_batch,
	.attr_make = current_attr_make,
	.translate_once = current_translate_once,
	.settle = current_settle,
};

const struct vmmu_engine ENGINE_OBJECT = {
	.range = &current_range_ops,
	.fault = current_fault,
	.prefault = current_prefault,
	.root_get = current_root_get,
	.table_zap = current_table_zap,
	.zap_range = current_zap_range,
	.remap = current_remap,
	.protect_range = current_protect_range,
	.dirty_arm = current_dirty_arm,
	.dirty_scan = current_dirty_scan,
	.split_range = current_split_range,
	.collapse_range = current_collapse_range,
	.age_range = current_age_range,
	.walk = current_walk,
	.walk_path = current_walk_path,
	.visit = current_visit,
	.tdp_root_get = current_tdp_root_get,
	.tdp_zap_some = current_tdp_zap_some,
	.audit = current_audit,
};

/* A call that is new in an engine is to be wrapped here too. */
_Static_assert(sizeof(struct vmmu_engine) == 19 * sizeof(void *), "wrap every call");
_Static_assert(sizeof(struct vmmu_range_ops) == 11 * sizeof(void *), "wrap every call");
