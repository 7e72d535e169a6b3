/* SPDX-License-Identifier: MIT */
/* One recording and both sides of it. */
#ifndef TESTS_KVM_LIVE_TRIAL_H
#define TESTS_KVM_LIVE_TRIAL_H

#include "kvm-live/expected.h"
#include "kvm-live/judge.h"
#include "kvm-live/machine.h"

struct trial {
	struct recording recording;
	struct script script;
	struct facts kvm;
	struct machine_run run; /* of the engine */
};

/* Read recording NAME and run its script; fails the test if that cannot be done. */
void trial_open(struct trial *trial, const char *name);
/* The same for a recording already read (a changed copy); it stays the caller's. */
void trial_open_copy(struct trial *trial, const struct recording *copy);
void trial_close(struct trial *trial);

#endif
