/* SPDX-License-Identifier: MIT */
/*
 * A VM with one memory slot, whose host has a page wherever the guest asks for one, and none where
 * it does not: nothing is mapped ahead.
 */
#ifndef VMMU_BENCH_GUEST_H
#define VMMU_BENCH_GUEST_H

#include <vmmu/dirty.h>
#include <vmmu/fault.h>
#include <vmmu/slot.h>
#include <vmmu/vm.h>

#include "bench.h"

#define GUEST_PAGE  UINT64_C(4096)
#define GUEST_BLOCK (512 * GUEST_PAGE)
#define GUEST_GPA   UINT64_C(0x80000000)

struct guest {
	struct vmmu_vm *vm;
	struct vmmu_vcpu *vcpu; /* number 0 */
	struct vmmu_slot ram;
	uint64_t pages;
	uint64_t step;  /* bytes from one access to the next: what the host maps as one */
	unsigned level; /* of the host's mappings */
};

struct guest_options {
	uint64_t pages;
	enum vmmu_root_mode root;
	unsigned level;   /* 1 or 2 */
	bool tells_ahead; /* the host tells of many pages at once, see vmmu_env.resolve_ahead */
};

/* Nothing mapped. LEVEL: 1 or 2. What fails here ends the program, as everywhere in the bench. */
void guest_open(struct bench_run *run, struct guest *guest, uint64_t pages,
		enum vmmu_root_mode root, unsigned level);
void guest_open_for(struct bench_run *run, struct guest *guest, const struct guest_options *wanted);
void guest_close(struct guest *guest);
/*
 * Nothing is mapped any more, and there are frames for all of it that have been in use before: the
 * floor's have been touched too, and are not known to be zero.
 */
void guest_warm(struct bench_run *run, struct guest *guest);
void guest_clear(struct bench_run *run, struct guest *guest);
/*
 * VCPU writes to every STEPth page of COUNT from page FIRST on, or to those that ORDER lists; FLAGS
 * as hardware gives them. Returns how many faults came to VMMU_FIXED.
 */
uint64_t guest_write(const struct guest *guest, struct vmmu_vcpu *vcpu, uint64_t first,
		     uint64_t count, uint64_t step, unsigned flags);
uint64_t guest_write_order(const struct guest *guest, const uint32_t *order, uint64_t count);
/* Every page once, ascending, as WORKLOAD. FLAGS: VMMU_FAULT_PRESENT: all by the lockless fix. */
void guest_measure(struct bench_run *run, const struct guest *guest, enum workload workload,
		   unsigned flags);
/* Live migration begins: WRITE is taken from every page. */
void guest_log(struct bench_run *run, struct guest *guest);

#endif
