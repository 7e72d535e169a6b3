/* SPDX-License-Identifier: MIT */
#include "tracing/replay_run.h"

#include <errno.h>
#include <string.h>
#include <time.h>
#include <vmmu/age.h>

#include "base/bits.h"
#include "base/mem.h"
#include "tracing/compare.h"
#include "tracing/parse.h"
#include "tracing/profile.h"
#include "tracing/replay_parallel.h"

#define HOST_PAGE_LG2 12
/* Faults that may stand between a fault and the host line of its access: bounds the look-ahead. */
#define HOST_LOOK_AHEAD_FAULTS 16u
/* Events among which the invalidations of a fault's own page lookup are looked for. */
#define NESTED_LOOK_AHEAD 64u

/* Of the kernel to be compared with; 0: none. */
static unsigned rules_of(const struct vmmu_compare *compare)
{
	return compare ? vmmu_profile_info(compare->profile)->rules : 0;
}

/*
 * Is EVENT, an invalidation, about a page that got another frame and is left to faults? What was
 * mapped went before, by the invalidation around it.
 */
static bool is_page_left(const struct replay_run *run, const struct vmmu_trace_event *event)
{
	return event->count && (rules_of(run->options->compare) & VMMU_RULE_NO_RMAPS);
}

static void invalidate(struct replay_run *run, const struct vmmu_trace_event *event)
{
	const struct vmmu_hva_range *range = &event->hva;

	if (!replay_layout_meets(&run->layout, range->start, range->end)) {
		run->report->invalidations_outside++;
		return;
	}
	run->report->invalidations++;
	if (is_page_left(run, event))
		return;
	if (vmmu_invalidate_begin(run->vm, range))
		return;
	(void)vmmu_invalidate_end(run->vm, range);
}

/*
 * The page lookup of a fault. What the host changed for its sake happens in here, as it did when
 * recorded.
 */
static enum vmmu_resolve_status resolve(void *ctx, const struct vmmu_page_request *request,
					struct vmmu_page *page)
{
	struct replay_run *run = ctx;
	unsigned i, count = request->flags & VMMU_RESOLVE_NO_FAULT ? 0 : run->nested_count;

	for (i = 0; i < count; i++) {
		invalidate(run, run->nested[i]);
		run->nested[i]->kind =
			VMMU_TRACE_OTHER; /* done: nothing is left for its own place */
	}
	if (count)
		run->nested_count = 0;
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
static unsigned policies_of(const struct vmmu_compare *compare)
{
	static const struct {
		enum vmmu_profile_rule rule;
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
	};
	unsigned result = 0;

	for (unsigned i = 0; i < ARRAY_COUNT(policies); i++)
		if (rules_of(compare) & policies[i].rule)
			result |= policies[i].policy;
	return result;
}

/* KVM splits ahead in tdp roots alone, and zaps for the sake of large pages in all others. */
static bool splits_early(const struct vmmu_replay_options *options)
{
	return options->root == VMMU_ROOT_TDP &&
	       (rules_of(options->compare) & VMMU_RULE_EAGER_SPLIT);
}

static enum vmmu_resize resize_of(const struct vmmu_replay_options *options)
{
	bool is_in_place = rules_of(options->compare) & VMMU_RULE_RECOVER_IN_PLACE;

	if (rules_of(options->compare) & VMMU_RULE_RESIZE_BY_FAULTS)
		return VMMU_RESIZE_BY_FAULTS;
	return options->root == VMMU_ROOT_TDP && is_in_place ? VMMU_RESIZE_IN_PLACE
							     : VMMU_RESIZE_ZAP;
}

static enum vmmu_slot_zap slot_zap_of(const struct vmmu_replay_options *options)
{
	return rules_of(options->compare) & VMMU_RULE_ZAP_SLOT_RANGE ? VMMU_SLOT_ZAP_RANGE
								     : VMMU_SLOT_ZAP_ALL;
}

/* There is but one kind where KVM has no reverse maps. */
static enum vmmu_root_mode root_of(const struct vmmu_replay_options *options)
{
	return rules_of(options->compare) & VMMU_RULE_NO_RMAPS ? VMMU_ROOT_TDP : options->root;
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
		.policies = policies_of(run->options->compare),
	};
	int ret;

	if (run->options->compare)
		env.event = on_event;

	run->geometry = vmmu_format_info(run->format)->geometry;
	replay_queue_init(&run->queue, trace, run->report->kinds);
	ret = replay_backing_init(&run->backing, run->geometry, run->options->backing);
	if (ret)
		return ret;
	run->backing.is_allowed_late = rules_of(run->options->compare) & VMMU_RULE_ALLOWED_LATE;
	run->backing.is_huge_from_pool = rules_of(run->options->compare) &
					 VMMU_RULE_HUGE_FROM_POOL_ONLY;
	ret = vmmu_vm_create(&options, &run->vm);
	if (!ret && run->options->compare)
		ret = compare_begin(run->options->compare, run->format, root_of(run->options),
				    run->vm);
	return ret ? ret : replay_parallel_begin(run);
}

void replay_run_end(struct replay_run *run)
{
	replay_parallel_end(run);
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

/*
 * Learn what the host had behind the faulting page: its line comes after the access that it
 * describes.
 */
static void look_for_host_line(struct replay_run *run, const struct vmmu_trace_fault *fault)
{
	const struct vmmu_trace_event *event;
	unsigned i, faults = 0;

	if (!run->scan->has_host)
		return;
	for (i = 0; faults < HOST_LOOK_AHEAD_FAULTS; i++) {
		event = replay_queue_peek(&run->queue, i);
		if (!event || parse_is_script_line(event))
			return;
		if (event->kind == VMMU_TRACE_HOST_PAGE &&
		    event->host.gpa >> HOST_PAGE_LG2 == fault->gpa >> HOST_PAGE_LG2) {
			replay_backing_learn(&run->backing, &event->host);
			return;
		}
		faults += event->kind == VMMU_TRACE_FAULT;
	}
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

/*
 * Frames that nothing but what is to be judged tells of. Nothing else is taken from there: a level
 * or right would make the comparison one with itself.
 */
static void look_for_frames(struct replay_run *run)
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

/*
 * Find the invalidations that the fault's own thread causes before it does anything else: the
 * kernel's page lookup (breaking a shared page on a write, splitting a huge one) runs them between
 * its sequence check's two halves. Replayed afterwards they would take away what the fault mapped,
 * which the kernel did not map at all.
 */
static void look_for_nested(struct replay_run *run, const struct vmmu_trace_event *fault)
{
	struct vmmu_trace_event *event;
	bool is_moved = false;
	unsigned i;

	run->nested_count = 0;
	for (i = 0; fault->pid && i < NESTED_LOOK_AHEAD && run->nested_count < REPLAY_NESTED_MAX;
	     i++) {
		event = replay_queue_peek(&run->queue, i);
		if (!event)
			return;
		if (event->pid != fault->pid)
			continue;
		switch (event->kind) {
		case VMMU_TRACE_INVALIDATE:
			is_moved = event->count;
			if (!is_page_left(run, event))
				run->nested[run->nested_count++] = event;
			break;
		case VMMU_TRACE_STAGE2:
			/* of the invalidation; else the fault's own doing */
			if (event->count != VMMU_TRACE_STAGE2_UNMAP && !is_moved)
				return;
			is_moved = false;
			break;
		case VMMU_TRACE_AGE:
		case VMMU_TRACE_FAST_FIX:
		case VMMU_TRACE_MMIO_CHECK:
		case VMMU_TRACE_OTHER:
			break;
		default:
			return;
		}
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

	look_for_host_line(run, &event->fault);
	look_for_frames(run);
	look_for_nested(run, event);
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

/* Like an invalidation: the slots make guest pages of the host's. */
static void apply_age(struct replay_run *run, const struct vmmu_trace_event *event)
{
	int young;

	if (!replay_layout_meets(&run->layout, event->hva.start, event->hva.end)) {
		run->report->ages_outside++;
		return;
	}
	young = event->count ? vmmu_test_age(run->vm, &event->hva) : vmmu_age(run->vm, &event->hva);
	run->report->ages++;
	run->report->ages_young += young > 0;
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

/*
 * Script lines that change the host's memory: the invalidation they cause is an event of its own.
 */
static void apply_host_change(struct replay_run *run, const struct vmmu_trace_event *event)
{
	struct vmmu_slot slot;
	uint64_t start;

	if (vmmu_slot_get(run->vm, event->slot.as_id, event->slot.id, &slot))
		return;
	start = slot.hva + event->gpa;
	if (event->kind == VMMU_TRACE_DROP)
		replay_backing_drop(&run->backing, start, start + event->bytes);
	else if (event->writable)
		replay_backing_allow(&run->backing, start, start + event->bytes);
	else
		replay_backing_forbid(&run->backing, start, start + event->bytes);
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
	look_for_nested(run, fault);
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
	case VMMU_TRACE_SLOT:
	case VMMU_TRACE_DIRTY_GET:
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
		invalidate(run, event);
		return 0;
	case VMMU_TRACE_AGE:
		apply_age(run, event);
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
		apply_host_change(run, event);
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
		return 0;
	}
}
