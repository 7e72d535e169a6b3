/* SPDX-License-Identifier: MIT */
/* What KVM did in a recording, as facts: the verdicts that the engine is judged by. */
#ifndef TESTS_KVM_LIVE_EXPECTED_H
#define TESTS_KVM_LIVE_EXPECTED_H

#include "kvm-live/facts.h"
#include "kvm-live/recording.h"

/* Append RECORDING's facts to FACTS. Total: whatever the events say. */
void expected_build(struct facts *facts, const struct recording *recording);

#endif
