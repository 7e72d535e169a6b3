/* SPDX-License-Identifier: MIT */
/*
 * What the architectures of the hardware model share: one run of one access, references to table
 * entries.
 *
 * A run does stage 1 (which asks stage 2 for each entry it reads), then stage 2 for the result. The
 * first thing that fails ends it. Nothing here knows a bit of any entry.
 */
#ifndef VMMU_HW_WALK_H
#define VMMU_HW_WALK_H

#include <vmmu/hw.h>

#include "base/bits.h"

/* How a step of a run went. */
enum hw_result {
	HW_OK,
	HW_FAULT, /* the report is written: end of the run */
	HW_BUS,   /* nothing answered at the entry's address: whoever sees this first reports it */
	HW_RACE,  /* an update met another value: walk again */
};

struct hw_arch;
struct hw_cache;

/* One access under way; lives on the caller's stack. */
struct hw_run {
	const struct vmmu_hw_cpu *cpu;
	const struct vmmu_hw_bus *bus;
	const struct vmmu_hw_access *access;
	struct vmmu_hw_walk *walk;
	const struct hw_arch *arch;
	struct hw_cache *cache; /* NULL: memory alone */
};

/* The operations of an architecture. */
struct hw_arch {
	/* Would hardware run with these registers? */
	bool (*is_valid)(const struct vmmu_hw_cpu *cpu);
	/* Translate access->gva into walk->stage1. */
	enum hw_result (*stage1)(struct hw_run *run);
	/* Translate a guest-physical address into *MAPPING; never returns HW_BUS. */
	enum hw_result (*stage2)(struct hw_run *run, const struct vmmu_hw_gpa *gpa,
				 struct vmmu_hw_mapping *mapping);
};

extern const struct hw_arch hw_arch_x86, hw_arch_ept, hw_arch_npt, hw_arch_riscv, hw_arch_arm64;

/* A table entry that a walk met: where it stands and what it said. */
struct hw_slot {
	uint64_t address; /* bytes, in the stage's own output space: guest-physical in stage 1 */
	uint64_t hpa;     /* bytes */
	uint64_t input;   /* what is being translated */
	uint64_t value;
	uint8_t stage, level, bytes;
	bool is_writable;   /* the second-stage translation that found it lets it be written as well
			     */
	bool is_pdpte_load; /* read on behalf of MOV to CR3, not of an access */
	bool is_served;     /* by a TLB, not by memory: may be out of date */
};

/*
 * Find and read the entry at slot->address; stage, level, bytes and input are set by the caller. In
 * stage 1 the address goes through stage 2 first, and that translation is noted in walk->table.
 */
enum hw_result walk_fetch(struct hw_run *run, struct hw_slot *slot);

/*
 * Replace the entry by VALUE, atomically: an accessed or dirty update. In stage 1 this is a write
 * of the guest table's page: stage 2 is asked again unless the translation at hand allows it
 * already.
 */
enum hw_result walk_store(struct hw_run *run, struct hw_slot *slot, uint64_t value);

/*
 * Note the cause of a fault at SLOT (NULL: no entry was read) of STAGE, translating ADDRESS for
 * PURPOSE.
 */
struct walk_failure {
	enum vmmu_hw_cause cause;
	uint8_t stage;
	enum vmmu_hw_purpose purpose;
	uint64_t gpa;
	const struct hw_slot *slot;
};
void walk_fail(struct hw_run *run, const struct walk_failure *failure);

/*
 * Call ATTEMPT on a cleared result until it loses no race; bounded, so that a bus that always
 * answers "changed" cannot hang us. 0, or -EAGAIN.
 */
int walk_run(struct hw_run *run, enum hw_result (*attempt)(struct hw_run *run, const void *arg),
	     const void *arg);

/* Forget what an earlier access left in the result. */
void walk_begin(struct hw_run *run);
/* walk_run()'s attempt of a whole access. */
enum hw_result walk_both(struct hw_run *run, const void *arg);
/* The same of the second stage alone; ARG: struct vmmu_hw_gpa, one that walk_is_gpa(). */
enum hw_result walk_gpa(struct hw_run *run, const void *arg);
/* Is GPA one that CPU's second stage can be asked? */
bool walk_is_gpa(const struct vmmu_hw_cpu *cpu, const struct vmmu_hw_gpa *gpa);

/* Fill *RUN of an acceptable request; false: it is none (-EINVAL). */
bool walk_start(struct hw_run *run, const struct vmmu_hw_cpu *cpu, const struct vmmu_hw_bus *bus,
		const struct vmmu_hw_access *access, struct vmmu_hw_walk *walk);

/* The mapping of a stage that is off: ADDRESS is itself, everything is allowed. */
void walk_identity(struct vmmu_hw_mapping *mapping, uint64_t address);

/* The single rights, for loops over them. */
extern const unsigned walk_rights[3];

#endif
