/* SPDX-License-Identifier: MIT */
/*
 * KVM's facts against the engine's, line by line and in order.
 *
 * Frames that the recording does not name (host.h) are compared through a table: whatever KVM had
 * the first time is what it must have each time. Of a leaf, gfn, level, permissions and frame
 * decide; whether the whole entry is equal bit for bit is counted beside it.
 */
#ifndef TESTS_KVM_LIVE_JUDGE_H
#define TESTS_KVM_LIVE_JUDGE_H

#include <stdbool.h>
#include <stdio.h>

#include "kvm-live/facts.h"
#include "kvm-live/script.h"

struct tally {
	size_t agree, total;
};

struct judgement {
	struct tally classes[FACT_CLASSES];
	struct tally order; /* lines whose facts come in the same order */
	struct tally bits;  /* leaves that are equal bit for bit */
	size_t differences; /* facts */
};

/* Do they agree in everything? Stops at the first difference. */
bool judge_agrees(const struct facts *kvm, const struct facts *engine);
/*
 * Compare all of it and print a table by script line to OUT (NULL: nowhere), the first differences
 * after it.
 */
void judge_report(const struct script *script, const struct facts *kvm, const struct facts *engine,
		  FILE *out, struct judgement *judgement);

#endif
