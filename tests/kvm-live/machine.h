/* SPDX-License-Identifier: MIT */
/*
 * The guest and its hardware: runs a script on the engine. Each instruction walks the engine's own
 * tables; what they refuse becomes a fault, as nested paging reports it.
 */
#ifndef TESTS_KVM_LIVE_MACHINE_H
#define TESTS_KVM_LIVE_MACHINE_H

#include <vmmu/audit.h>
#include <vmmu/walk.h>

#include "kvm-live/facts.h"
#include "kvm-live/script.h"

struct machine_run {
	struct facts facts;
	struct vmmu_digest digest; /* of the tables at the end */
	struct vmmu_audit audit;
};

/* The format of the recordings: AMD with 5-level host tables. */
#define MACHINE_FORMAT "npt5"

/*
 * Run SCRIPT from its first line to its last. False, with a line on stderr: a call failed that
 * should not have, or the guest made no progress.
 */
bool machine_run(const struct script *script, struct machine_run *run);
void machine_run_free(struct machine_run *run);

#endif
