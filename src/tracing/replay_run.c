/* SPDX-License-Identifier: MIT */
#include "tracing/replay_run.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/bits.h"
#include "base/mem.h"
#include "tracing/compare.h"
#include "tracing/parse.h"
#include "tracing/profile.h"
#include "tracing/replay_parallel.h"

#define HOST_PAGE_LG2 12

/*
 * The page lookup of a fault. What the host changed meanwhile happens in here, as it did when
 * recorded.
 */
static enum vmmu_resolve_status resolve(void *ctx, const struct vmmu_page_request *request,
					struct vmmu_page *page)
{
	struct replay_run *run = ctx;

	if (!(request->flags & VMMU_RESOLVE_NO_FAULT))
		replay_host_nested(run);
	return replay_backing_page(&run->backing, request, page);
}

static unsigned host_level(void *ctx, uint64_t hva, uint64_t gfn)
{
	struct replay_run *run = ctx;

	(void)gfn;
	return replay_backing_level(&run->backing, hva);
}

/* The VM is poisoned: every fault from here on is an error. Told as a finding of its own. */
static void on_bug(void *ctx, const char *what)
{
	const struct replay_run *run = ctx;
	struct vmmu_finding finding = {.invariant = "poisoned", .text = what};

	if (!run->options->finding)
		return;
	replay_parallel_lock(run);
	run->options->finding(run->options->finding_ctx, &finding);
	replay_parallel_unlock(run);
}

static void on_event(void *ctx, const struct vmmu_event *event)
{
	const struct replay_run *run = ctx;

	compare_engine(run->options->compare, event);
}

/* KVM has a second address space for SMM on x86, used or not: it counts in generations. */
static unsigned address_spaces(const struct replay_run *run)
{
	const char *architecture = vmmu_format_info(run->format)->architecture;

	if (run->options->compare && !strncmp(architecture, "x86", 3))
		return 2;
	return run->scan->address_spaces;
}

/* What a kernel does in another way than the engine by itself. */
static unsigned policies_of(const struct vmmu_replay_options *options)
{
	static const struct {
		unsigned rule;
		enum vmmu_policy policy;
	} policies[] = {
		{VMMU_RULE_FREEZE_ABSENT, VMMU_POLICY_FREEZE_ABSENT},
		{VMMU_RULE_FREEZE_COLLAPSED, VMMU_POLICY_FREEZE_COLLAPSED},
		{VMMU_RULE_CLEAN_OVER_OTHERS, VMMU_POLICY_CLEAN_OVER_OTHERS},
		{VMMU_RULE_ZAP_BY_LEVEL, VMMU_POLICY_ZAP_BY_LEVEL},
		{VMMU_RULE_NX_ANY_TABLE, VMMU_POLICY_NX_ANY_TABLE},
		{VMMU_RULE_EXEC_BY_FETCH, VMMU_POLICY_EXEC_BY_FETCH},
		{VMMU_RULE_LOGGED_READ_ONLY, VMMU_POLICY_LOGGED_READ_ONLY},
		{VMMU_RULE_NO_MMIO_ENTRIES, VMMU_POLICY_NO_MMIO_ENTRIES},
		{VMMU_RULE_LOCKED_FIX, VMMU_POLICY_LOCKED_FIX},
		{VMMU_RULE_FREE_EMPTY, VMMU_POLICY_FREE_EMPTY},
		{VMMU_RULE_LOGGED_HUGE_EXISTS, VMMU_POLICY_LARGE_STAYS},
		{VMMU_RULE_PROTECT_NEW, VMMU_POLICY_PROTECT_NEW},
		{VMMU_RULE_SPLIT_AT_FAULTS, VMMU_POLICY_SPLIT_AT_FAULTS},
		{VMMU_RULE_NO_RMAPS, VMMU_POLICY_REMAP_ABSENT},
		{VMMU_RULE_STEP_WHOLE, VMMU_POLICY_STEP_WHOLE},
		{VMMU_RULE_LEAF_STAYS, VMMU_POLICY_LEAF_STAYS},
		{VMMU_RULE_SPLIT_BUT_LAST, VMMU_POLICY_SPLIT_BUT_LAST},
	};
	unsigned result = 0;

	for (unsigned i = 0; i < ARRAY_COUNT(policies); i++)
		if (replay_rules(options) & policies[i].rule)
			result |= policies[i].policy;
	if (options->compare && !(replay_rules(options) & VMMU_RULE_LEAF_STAYS))
		result |= VMMU_POLICY_PREFAULT_ANEW;
	return result;
}

/* KVM splits ahead in tdp roots alone, and zaps for the sake of large pages in all others. */
static bool splits_early(const struct vmmu_replay_options *options)
{
	return options->root == VMMU_ROOT_TDP && (replay_rules(options) & VMMU_RULE_EAGER_SPLIT);
}

static enum vmmu_resize resize_of(const struct vmmu_replay_options *options)
{
	bool is_in_place = replay_rules(options) & VMMU_RULE_RECOVER_IN_PLACE;

	if (replay_rules(options) & VMMU_RULE_RESIZE_BY_FAULTS)
		return VMMU_RESIZE_BY_FAULTS;
	return options->root == VMMU_ROOT_TDP && is_in_place ? VMMU_RESIZE_IN_PLACE
							     : VMMU_RESIZE_ZAP;
}

static enum vmmu_slot_zap slot_zap_of(const struct vmmu_replay_options *options)
{
	return replay_rules(options) & VMMU_RULE_ZAP_SLOT_RANGE ? VMMU_SLOT_ZAP_RANGE
								: VMMU_SLOT_ZAP_ALL;
}

/* There is but one kind where KVM has no reverse maps. */
static enum vmmu_root_mode root_of(const struct vmmu_replay_options *options)
{
	return replay_rules(options) & VMMU_RULE_NO_RMAPS ? VMMU_ROOT_TDP : options->root;
}

unsigned replay_rules(const struct vmmu_replay_options *options)
{
	return options->compare ? vmmu_profile_info(options->compare->profile)->rules : 0;
}

int replay_run_begin(struct replay_run *run, struct vmmu_trace *trace)
{
	struct vmmu_env env = {.size = sizeof(env),
			       .resolve = resolve,
			       .host_level = host_level,
			       .on_bug = on_bug};
	struct vmmu_vm_options options = {
		.size = sizeof(options),
		.format = run->format,
		.env = &env,
		.env_ctx = run,
		.address_spaces = address_spaces(run),
		.max_level = run->options->max_level,
		.nx_huge = run->options->nx_huge,
		.root = root_of(run->options),
		.slot_zap = slot_zap_of(run->options),
		.eager_split = splits_early(run->options),
		.resize = resize_of(run->options),
		.policies = policies_of(run->options),
		.dirty_flags = run->scan->dirty_flags,
		.dirty_ring_entries = run->scan->ring_entries,
	};
	int ret;

	if (run->options->compare)
		env.event = on_event;

	run->geometry = vmmu_format_info(run->format)->geometry;
	replay_queue_init(&run->queue, trace, run->report->kinds);
	ret = replay_backing_init(&run->backing, run->geometry, run->options->backing);
	if (ret)
		return ret;
	run->backing.is_allowed_late = replay_rules(run->options) & VMMU_RULE_ALLOWED_LATE;
	run->backing.is_huge_from_pool = replay_rules(run->options) & VMMU_RULE_HUGE_FROM_POOL_ONLY;
	ret = vmmu_vm_create(&options, &run->vm);
	if (!ret && run->options->compare)
		ret = compare_begin(run->options->compare, run->format, root_of(run->options),
				    run->vm);
	return ret ? ret : replay_parallel_begin(run);
}

void replay_run_end(struct replay_run *run)
{
	replay_parallel_end(run);
	replay_host_settle(run);
	/* vCPUs go with their VM. */
	vmmu_vm_destroy(run->vm);
	run->vm = NULL;
	replay_backing_destroy(&run->backing);
	replay_layout_clear(&run->layout);
	mem_free(run->held);
	run->held = NULL;
}

int replay_run_infer(void *ctx, const struct vmmu_slot *slot)
{
	return replay_slot_call(ctx, slot);
}

unsigned replay_run_vcpu_index(const struct vmmu_trace_event *event)
{
	/* A trace that does not know its vCPUs is replayed on the first. */
	return event->vcpu == UINT32_MAX ? 0 : event->vcpu % REPLAY_VCPUS_MAX;
}

struct vmmu_vcpu *replay_run_vcpu(struct replay_run *run, const struct vmmu_trace_event *event)
{
	unsigned id = replay_run_vcpu_index(event);

	if (!run->vcpus[id] && vmmu_vcpu_create(run->vm, id, &run->vcpus[id]))
		run->vcpus[id] = NULL;
	return run->vcpus[id];
}

/* The frame in a leaf of smallest pages; VMMU_PFN_NONE: it is no leaf. */
static uint64_t leaf_pfn(const struct replay_run *run, uint64_t pte)
{
	struct vmmu_entry entry;

	if (vmmu_entry_read(run->format, pte, 1, &entry) || entry.kind != VMMU_ENTRY_LEAF)
		return VMMU_PFN_NONE;
	return entry.pfn;
}

/* The same of an entry that was read from tables, whose level is as the architecture counts. */
static uint64_t entry_pfn(const struct replay_run *run, const struct vmmu_trace_event *event)
{
	const char *architecture = vmmu_format_info(run->format)->architecture;
	unsigned level = profile_level(architecture, event->level);

	return level == 1 ? leaf_pfn(run, event->new_pte) : VMMU_PFN_NONE;
}

void replay_run_look_for_frames(struct replay_run *run)
{
	const struct vmmu_trace_event *event;

	bool has_stopped = false;

	for (unsigned i = 0; run->options->compare; i++) {
		uint64_t pfn = VMMU_PFN_NONE;

		event = replay_queue_peek(&run->queue, i);
		if (!event || parse_is_script_line(event))
			return;
		/* Entries that were read from tables are told when the access is over. */
		if (event->kind == VMMU_TRACE_FAULT && (has_stopped || !run->scan->has_entries))
			return;
		has_stopped |= event->kind == VMMU_TRACE_EXIT && event->count;
		if (event->kind == VMMU_TRACE_MAP_REQUESTED)
			pfn = event->pfn;
		else if (event->kind == VMMU_TRACE_MAP_SET && event->level == 1)
			pfn = leaf_pfn(run, event->new_pte);
		else if (event->kind == VMMU_TRACE_ENTRY_CHANGED && event->pte_hpa)
			pfn = entry_pfn(run, event);
		if (pfn != VMMU_PFN_NONE)
			replay_backing_hint(&run->backing, event->gfn << HOST_PAGE_LG2, pfn);
	}
}

uint64_t replay_run_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

int replay_run_fault(struct vmmu_vcpu *vcpu, const struct vmmu_trace_fault *wanted,
		     struct histogram *histogram)
{
	struct vmmu_fault fault = {
		.gpa = wanted->gpa, .access = wanted->access, .flags = wanted->flags};
	struct vmmu_root root;
	bool flush_local;
	uint64_t start;
	int ret = vmmu_vcpu_root(vcpu, &root, &flush_local);

	if (ret)
		return ret;
	start = replay_run_now_ns();
	ret = vmmu_fault(vcpu, &fault);
	histogram_add(histogram, replay_run_now_ns() - start);
	return ret;
}

static void apply_fault(struct replay_run *run, const struct vmmu_trace_event *event)
{
	struct vmmu_vcpu *vcpu = replay_run_vcpu(run, event);
	int outcome = -ENOMEM;

	replay_host_look(run, event);
	replay_run_look_for_frames(run);
	replay_host_foresee(run, event);
	run->fault = *event;
	if (vcpu)
		outcome = replay_run_fault(vcpu, &event->fault, &run->histogram);
	/* If no page was looked up, they happen where they stand. */
	run->nested_count = 0;
	run->report->faults++;
	if (outcome >= 0 && outcome < VMMU_OUTCOMES)
		run->report->outcomes[outcome]++;
	else
		run->report->errors++;
}

static void apply_smm(struct replay_run *run, const struct vmmu_trace_event *event)
{
	struct vmmu_vcpu *vcpu;

	/* Without slots of its own, SMM sees the memory that everybody sees. */
	if (run->scan->address_spaces < 2)
		return;
	vcpu = replay_run_vcpu(run, event);
	if (vcpu)
		(void)vmmu_vcpu_set_as(vcpu, event->writable ? 1 : 0);
}

static int apply_zap_all(struct replay_run *run)
{
	if (run->scan->is_paced)
		return replay_slot_release(run);
	if (run->zaps_implied)
		run->zaps_implied--;
	else
		(void)vmmu_zap_all(run->vm);
	return 0;
}

void replay_run_enter(struct vmmu_vcpu *vcpu)
{
	struct vmmu_root root;
	bool flush_local;

	(void)vmmu_vcpu_root(vcpu, &root, &flush_local);
}

static void enter_guest(struct replay_run *run, const struct vmmu_trace_event *event)
{
	struct vmmu_vcpu *vcpu = replay_run_vcpu(run, event);

	if (vcpu)
		replay_run_enter(vcpu);
}

/*
 * A fault is its vCPU's alone unless what the host has behind pages depends on the order of faults,
 * or an invalidation is part of it.
 */
static enum replay_reach fault_reach(struct replay_run *run, const struct vmmu_trace_event *fault)
{
	bool is_alone;

	if (run->scan->has_host || replay_backing_is_ordered(&run->backing))
		return REPLAY_REACH_VM;
	replay_host_foresee(run, fault);
	is_alone = !run->nested_count;
	run->nested_count = 0;
	return is_alone ? REPLAY_REACH_VCPU : REPLAY_REACH_VM;
}

enum replay_reach replay_run_reach(struct replay_run *run, const struct vmmu_trace_event *event)
{
	switch (event->kind) {
	case VMMU_TRACE_FAULT:
		return fault_reach(run, event);
	case VMMU_TRACE_ACCESS:
	case VMMU_TRACE_ENTRY:
		return REPLAY_REACH_VCPU;
	case VMMU_TRACE_SCRIPT:
		return event->count ? REPLAY_REACH_VCPU : REPLAY_REACH_NONE;
	case VMMU_TRACE_SMM:
		return run->scan->address_spaces < 2 ? REPLAY_REACH_NONE : REPLAY_REACH_VCPU;
	case VMMU_TRACE_INVALIDATE:
	case VMMU_TRACE_AGE:
		return replay_layout_meets(&run->layout, event->hva.start, event->hva.end)
			       ? REPLAY_REACH_VM
			       : REPLAY_REACH_NONE;
	case VMMU_TRACE_INVALIDATE_END:
	case VMMU_TRACE_COLLAPSE:
	case VMMU_TRACE_SLOT:
	case VMMU_TRACE_DIRTY_GET:
	case VMMU_TRACE_DIRTY_CLEAR:
	case VMMU_TRACE_DIRTY_HARVEST:
	case VMMU_TRACE_PREFAULT:
	case VMMU_TRACE_HOST_PAGE:
	case VMMU_TRACE_DROP:
	case VMMU_TRACE_PROTECT:
	case VMMU_TRACE_ZAP_ALL:
		return REPLAY_REACH_VM;
	default:
		return REPLAY_REACH_NONE;
	}
}

/* To be compared, and followed, before it is applied. */
static int compare_event(struct replay_run *run, const struct vmmu_trace_event *event)
{
	int ret;

	if (!run->options->compare)
		return 0;
	ret = compare_recorded(run->options->compare, event);
	if (!ret && event->kind == VMMU_TRACE_EXIT && event->count)
		compare_stop(run->options->compare, event);
	return ret;
}

int replay_run_event(struct replay_run *run, const struct vmmu_trace_event *event)
{
	int ret = compare_event(run, event);

	if (ret)
		return ret;
	run->report->events++;
	run->report->lines = max_u64(run->report->lines, event->line);
	if (parse_is_script_line(event))
		run->is_reclaiming = event->kind == VMMU_TRACE_RECLAIM;
	if (run->parallel && replay_parallel_take(run, event))
		return 0;
	switch (event->kind) {
	case VMMU_TRACE_FAULT:
		apply_fault(run, event);
		return 0;
	case VMMU_TRACE_FAULT_GVA:
		run->report->refused_gva++;
		return 0;
	case VMMU_TRACE_INVALIDATE:
	case VMMU_TRACE_INVALIDATE_END:
	case VMMU_TRACE_COLLAPSE:
		replay_host_change(run, event);
		return 0;
	case VMMU_TRACE_AGE:
		replay_host_age(run, event);
		return 0;
	case VMMU_TRACE_SLOT:
		run->report->slot_calls++;
		return replay_slot_event(run, event);
	case VMMU_TRACE_DIRTY_GET:
		return replay_dirty_read(run, event);
	case VMMU_TRACE_HOST_PAGE:
		replay_backing_learn(&run->backing, &event->host);
		return 0;
	case VMMU_TRACE_DROP:
	case VMMU_TRACE_PROTECT:
		replay_host_script(run, event);
		return 0;
	case VMMU_TRACE_SMM:
		apply_smm(run, event);
		return 0;
	case VMMU_TRACE_SCRIPT:
		if (event->count)
			enter_guest(run, event);
		return 0;
	case VMMU_TRACE_ACCESS:
	case VMMU_TRACE_ENTRY:
		enter_guest(run, event);
		return 0;
	case VMMU_TRACE_ZAP_ALL:
		return apply_zap_all(run);
	default:
		return replay_call_event(run, event);
	}
}
