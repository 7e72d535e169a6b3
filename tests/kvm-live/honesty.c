/* SPDX-License-Identifier: MIT */
/*
 * The judge and the machine on trial themselves: no verdict of KVM's can change unnoticed, and none
 * can reach the engine.
 */
#include <criterion/criterion.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <vmmu/fault.h>

#include "base/random.h"
#include "kvm-live/trial.h"

#define HONESTY_SEED 20261120

static const char *const names[] = {"slots-and-dirty", "huge-pages", "mmio",    "hugetlb",
				    "guest-64",        "guest-pae",  "guest-32"};
#define NAMES (sizeof(names) / sizeof(*names))

/* A judged field of a recorded event and the bits to turn over in it. */
struct alteration {
	enum vmmu_trace_kind kind;
	size_t offset, bytes;
	uint64_t flip;
};

#define ALTER(kind, field, flip)                                            \
	{                                                                   \
		kind, offsetof(struct vmmu_trace_event, field),             \
			sizeof(((struct vmmu_trace_event *)0)->field), flip \
	}

/* Every judged field of every judged kind; levels 1 and 2 change places. */
static const struct alteration alterations[] = {
	ALTER(VMMU_TRACE_FAULT, fault.gpa, 0x1000),
	ALTER(VMMU_TRACE_FAULT, fault.access, VMMU_READ | VMMU_WRITE),
	ALTER(VMMU_TRACE_FAULT, fault.flags, VMMU_FAULT_RSVD),
	ALTER(VMMU_TRACE_MAP_REQUESTED, gfn, 1),
	ALTER(VMMU_TRACE_MAP_REQUESTED, pfn, 1),
	ALTER(VMMU_TRACE_MAP_REQUESTED, level, 3),
	ALTER(VMMU_TRACE_MAP_SET, gfn, 1),
	ALTER(VMMU_TRACE_MAP_SET, level, 3),
	ALTER(VMMU_TRACE_MAP_SET, access, VMMU_READ),
	ALTER(VMMU_TRACE_MAP_SET, access, VMMU_WRITE),
	ALTER(VMMU_TRACE_MAP_SET, access, VMMU_EXEC),
	ALTER(VMMU_TRACE_MAP_SET, new_pte, UINT64_C(1) << 21),
	ALTER(VMMU_TRACE_MMIO_SET, gfn, 1),
	ALTER(VMMU_TRACE_MMIO_SET, access, VMMU_WRITE),
	ALTER(VMMU_TRACE_MMIO_SET, generation, 2),
	ALTER(VMMU_TRACE_MMIO_CHECK, new_pte, 0x1000),
	ALTER(VMMU_TRACE_MMIO_CHECK, new_pte, 8),
	ALTER(VMMU_TRACE_MMIO_CHECK, count, 2),
	ALTER(VMMU_TRACE_MMIO_CHECK, writable, 1),
	ALTER(VMMU_TRACE_FAST_FIX, gpa, 0x1000),
	ALTER(VMMU_TRACE_FAST_FIX, old_pte, 2),
	ALTER(VMMU_TRACE_FAST_FIX, new_pte, 2),
	ALTER(VMMU_TRACE_FAST_FIX, count, 1),
	ALTER(VMMU_TRACE_FAST_FIX, stride, 1),
	ALTER(VMMU_TRACE_TABLE_GET, gfn, 0x200),
	ALTER(VMMU_TRACE_TABLE_GET, level, 1),
	ALTER(VMMU_TRACE_TABLE_GET, writable, 1),
	ALTER(VMMU_TRACE_TABLE_ZAP, gfn, 0x200),
	ALTER(VMMU_TRACE_TABLE_ZAP, level, 1),
};

static void alter(struct vmmu_trace_event *event, const struct alteration *alteration,
		  uint64_t flip)
{
	unsigned char *field = (unsigned char *)event + alteration->offset;
	uint64_t value = 0;

	memcpy(&value, field, alteration->bytes);
	value ^= flip;
	memcpy(field, &value, alteration->bytes);
}

/* Index of the last access's hlt in RECORDING, or SIZE_MAX where its last line is no access. */
static size_t last_access_end(const struct recording *recording)
{
	size_t end = SIZE_MAX;

	for (size_t i = 0; i < recording->event_count; i++) {
		if (recording_is_mark(&recording->events[i]))
			end = SIZE_MAX;
		if (recording->events[i].kind == VMMU_TRACE_EXIT &&
		    strstr(recording->events[i].text, "reason hlt"))
			end = i;
	}
	return end;
}

/* Does event INDEX of RECORDING say something that the engine is held to? */
static bool is_judged(const struct recording *recording, size_t index, size_t last_access)
{
	const struct vmmu_trace_event *event = &recording->events[index];

	switch (event->kind) {
	case VMMU_TRACE_EXIT:
		return strstr(event->text, "reason hlt");
	case VMMU_TRACE_TABLE_ZAP: /* a root's second time, and what the VM's end takes down */
		return !strstr(event->text, " invalid ") && index < last_access;
	case VMMU_TRACE_FAULT:
	case VMMU_TRACE_MAP_REQUESTED:
	case VMMU_TRACE_MAP_SET:
	case VMMU_TRACE_MMIO_SET:
	case VMMU_TRACE_MMIO_CHECK:
	case VMMU_TRACE_FAST_FIX:
	case VMMU_TRACE_TABLE_GET:
	case VMMU_TRACE_ZAP_ALL:
		return true;
	default:
		return false;
	}
}

/* The frame of a page that was mapped ahead is in no other event, and in no "host" line maybe. */
static bool is_judged_field(const struct recording *recording, size_t index,
			    const struct alteration *alteration)
{
	return alteration->offset != offsetof(struct vmmu_trace_event, new_pte) ||
	       recording->events[index].kind != VMMU_TRACE_MAP_SET ||
	       recording->events[index - 1].kind != VMMU_TRACE_MAP_SET;
}

/* Does the engine, which did what RUN says, agree with RECORDING? */
static bool agrees(const struct recording *recording, const struct machine_run *run)
{
	struct facts kvm = {0};
	bool result;

	expected_build(&kvm, recording);
	result = judge_agrees(&kvm, &run->facts);
	facts_free(&kvm);
	return result;
}

static size_t check_alterations(const struct trial *trial, const struct alteration *alteration)
{
	size_t last_access = last_access_end(&trial->recording), tried = 0;
	struct recording copy;

	recording_copy(&copy, &trial->recording);
	for (size_t i = 0; i < copy.event_count; i++) {
		if (copy.events[i].kind != alteration->kind || !is_judged(&copy, i, last_access) ||
		    !is_judged_field(&copy, i, alteration))
			continue;
		alter(&copy.events[i], alteration, alteration->flip);
		cr_assert_not(agrees(&copy, &trial->run), "%s, event %zu (%s), offset %zu",
			      copy.name, i, copy.events[i].text, alteration->offset);
		alter(&copy.events[i], alteration, alteration->flip);
		tried++;
	}
	cr_assert(agrees(&copy, &trial->run));
	recording_free(&copy);
	return tried;
}

Test(honesty, any_recorded_value_altered__is_noticed)
{
	enum {
		ALTERATIONS = sizeof(alterations) / sizeof(*alterations)
	};
	size_t tried[ALTERATIONS] = {0};
	struct trial trial;

	for (size_t i = 0; i < NAMES; i++) {
		trial_open(&trial, names[i]);
		for (size_t j = 0; j < ALTERATIONS; j++)
			tried[j] += check_alterations(&trial, &alterations[j]);
		trial_close(&trial);
	}
	for (size_t j = 0; j < ALTERATIONS; j++)
		cr_expect_gt(tried[j], 0, "alteration %zu was never tried", j);
}

Test(honesty, any_recorded_event_missing__is_noticed)
{
	struct recording copy;
	struct trial trial;
	size_t tried = 0;

	for (size_t n = 0; n < NAMES; n++) {
		trial_open(&trial, names[n]);
		for (size_t i = 0; i < trial.recording.event_count; i++) {
			if (!is_judged(&trial.recording, i, last_access_end(&trial.recording)))
				continue;
			recording_copy(&copy, &trial.recording);
			recording_drop(&copy, i);
			cr_assert_not(agrees(&copy, &trial.run), "%s, event %zu (%s)", names[n], i,
				      trial.recording.events[i].text);
			recording_free(&copy);
			tried++;
		}
		trial_close(&trial);
	}
	cr_expect_gt(tried, 1000);
}

/* Several events say that an access was emulated: without any of them it was not. */
Test(honesty, emulation_missing__is_noticed)
{
	struct recording copy;
	struct trial trial;
	size_t at = 0;

	trial_open(&trial, "mmio");
	recording_copy(&copy, &trial.recording);
	while (at < copy.event_count && copy.events[at].kind != VMMU_TRACE_MMIO)
		at++;
	cr_assert_lt(at, copy.event_count);
	while (copy.events[at].kind == VMMU_TRACE_MMIO)
		recording_drop(&copy, at);
	cr_expect_not(agrees(&copy, &trial.run));
	recording_free(&copy);
	trial_close(&trial);
}

Test(honesty, any_reply_altered__is_noticed)
{
	struct recording copy;
	struct trial trial;

	for (size_t n = 0; n < NAMES; n++) {
		trial_open(&trial, names[n]);
		recording_copy(&copy, &trial.recording);
		for (size_t i = 0; i < copy.reply_count; i++) {
			copy.replies[i].result ^= 1;
			cr_assert_not(agrees(&copy, &trial.run), "%s, reply %zu", names[n], i);
			copy.replies[i].result ^= 1;
		}
		cr_expect_gt(copy.reply_count, 1);
		recording_free(&copy);
		trial_close(&trial);
	}
}

/* Did the engine do the very same, frames and entries bit for bit? */
static void expect_same_run(const struct machine_run *a, const struct machine_run *b)
{
	cr_assert_eq(a->facts.count, b->facts.count);
	for (size_t i = 0; i < a->facts.count; i++)
		cr_assert_arr_eq(&a->facts.list[i], &b->facts.list[i], sizeof(struct fact));
	cr_expect_eq(a->digest.high, b->digest.high);
	cr_expect_eq(a->digest.low, b->digest.low);
}

/* Noise in every field that KVM decided on, whether judged or not. */
static void scramble(struct recording *copy, struct random_state *random)
{
	for (size_t i = 0; i < copy->event_count; i++) {
		struct vmmu_trace_event *event = &copy->events[i];

		if (!is_judged(copy, i, SIZE_MAX))
			continue;
		for (size_t j = 0; j < sizeof(alterations) / sizeof(*alterations); j++)
			if (alterations[j].kind == event->kind)
				alter(event, &alterations[j],
				      alterations[j].bytes == sizeof(bool) ? random_u64(random) & 1
									   : random_u64(random));
	}
	for (size_t i = 0; i < copy->reply_count; i++)
		copy->replies[i].result = (int64_t)random_u64(random);
}

Test(honesty, verdicts_scrambled__engine_writes_the_same)
{
	struct random_state random = random_start(HONESTY_SEED);
	struct trial trial, scrambled;
	struct recording copy;

	for (size_t n = 0; n < NAMES; n++) {
		trial_open(&trial, names[n]);
		recording_copy(&copy, &trial.recording);
		scramble(&copy, &random);
		trial_open_copy(&scrambled, &copy);
		expect_same_run(&trial.run, &scrambled.run);
		cr_expect_not(judge_agrees(&scrambled.kvm, &scrambled.run.facts));
		trial_close(&scrambled);
		recording_free(&copy);
		trial_close(&trial);
	}
}

Test(honesty, verdicts_missing__engine_writes_the_same)
{
	struct trial trial, bare;
	struct recording copy;

	for (size_t n = 0; n < NAMES; n++) {
		trial_open(&trial, names[n]);
		recording_copy(&copy, &trial.recording);
		for (size_t i = copy.event_count; i-- > 0;)
			if (is_judged(&copy, i, SIZE_MAX) || copy.events[i].kind == VMMU_TRACE_MMIO)
				recording_drop(&copy, i);
		trial_open_copy(&bare, &copy);
		expect_same_run(&trial.run, &bare.run);
		trial_close(&bare);
		recording_free(&copy);
		trial_close(&trial);
	}
}

/* The other way round: what the host has does decide what the engine writes. */
Test(honesty, host_without_huge_pages__engine_maps_small_ones)
{
	struct trial trial, small;
	struct recording copy;
	size_t huge = 0;

	trial_open(&trial, "huge-pages");
	recording_copy(&copy, &trial.recording);
	for (size_t i = 0; i < copy.event_count; i++)
		if (copy.events[i].kind == VMMU_TRACE_HOST_PAGE)
			copy.events[i].host.huge = false;
	trial_open_copy(&small, &copy);
	for (size_t i = 0; i < small.run.facts.count; i++)
		huge += small.run.facts.list[i].kind == FACT_SET &&
			small.run.facts.list[i].level > 1;
	cr_expect_eq(huge, 0);
	cr_expect_not(judge_agrees(&small.kvm, &small.run.facts));
	trial_close(&small);
	recording_free(&copy);
	trial_close(&trial);
}
