/* SPDX-License-Identifier: MIT */
/*
 * A machine: the CPUs that run one VM's tables, and what is known of changes whose flush is due.
 *
 * Written on the public headers and the heap alone: it asks the model of the hardware, not a
 * format, what an entry does.
 */
#ifndef VMMU_MACHINE_MACHINE_H
#define VMMU_MACHINE_MACHINE_H

#include <vmmu/machine.h>

#include "base/bits.h"
#include "base/list.h"

/* A changed entry whose old value a TLB may still hold. */
struct ledger_item {
	uint64_t start, end; /* gfns */
	uint64_t old_pte, new_pte;
	unsigned as_id, level;
};

/* Changes past this are not followed one by one: see is_lost. */
#define LEDGER_MAX 4096

struct ledger {
	struct ledger_item *item; /* [LEDGER_MAX]; NULL: no event has come yet */
	unsigned count;
	bool is_lost; /* more changes than fit: nothing is said until the next operation */
	/* The last flush, as long as no event came since, and what stood where it began. */
	struct vmmu_flush flush;
	uint64_t flush_pte;
	unsigned absent_level; /* of the entry that was absent there; 0: there was one */
	bool has_flush;
};

/* A root that CPUs run on. */
struct machine_root {
	uint64_t hpa; /* bytes */
	bool is_known;
};

struct vmmu_machine {
	struct vmmu_machine_options options;
	struct vmmu_vm *vm; /* NULL: not attached */
	const struct vmmu_format *format;
	const struct vmmu_geometry *geometry;
	struct vmmu_hw_cpu registers; /* what a CPU starts with */
	struct list cpus;
	const char *operation;
	uint64_t findings;
	struct vmmu_flush_count count[VMMU_OPERATIONS_MAX];
	unsigned count_used;
	struct ledger ledger;
	struct vmmu_hw_walk walk, other_walk; /* scratch of checks */
};

struct vmmu_cpu {
	struct vmmu_machine *machine;
	struct list link;
	struct vmmu_vcpu *vcpu;
	unsigned id, as_id;
	bool is_kicked; /* out of the guest until vmmu_cpu_enter() */
	struct machine_root root[VMMU_ADDRESS_SPACES_MAX];
	struct vmmu_hw_cpu registers;
	struct vmmu_tlb *tlb;
	struct vmmu_hw_walk walk; /* of the last access */
};

/* Put the second stage's root at HPA, for address space AS_ID, into REGISTERS, with its tag. */
void registers_set_root(struct vmmu_hw_cpu *registers, uint64_t hpa, unsigned as_id);
/* The tag under which a TLB keeps what REGISTERS' second stage gives. */
uint64_t registers_context(const struct vmmu_hw_cpu *registers);
/* Let hardware set what a fresh entry lacks: for probes, which do not write. */
void registers_allow_marks(struct vmmu_hw_cpu *registers);

/* What the tables make of an address now. */
struct machine_probe {
	unsigned access; /* VMMU_*; 0: nothing */
	struct vmmu_hw_mapping mapping;
	uint64_t pte; /* where the walk ended; 0: nowhere */
};
/* Ask BUS, which is only read, for GPA by the second stage of REGISTERS; WALK is scratch. */
void machine_probe(const struct vmmu_hw_cpu *registers, const struct vmmu_hw_bus *bus, uint64_t gpa,
		   struct vmmu_hw_walk *walk, struct machine_probe *probe);
/* The machine's memory, to be read alone. */
struct vmmu_hw_bus machine_read_bus(const struct vmmu_machine *machine);
/* A root of address space AS_ID that some CPU runs on now; NULL: none. */
const struct vmmu_cpu *machine_cpu_in(const struct vmmu_machine *machine, unsigned as_id);
/* Count and tell. */
void machine_report(struct vmmu_machine *machine, const struct vmmu_stale *stale);

/* CPU has answered a fault for GPA: is a denial left that its fence should have removed? */
void check_denial(struct vmmu_cpu *cpu, uint64_t gpa);

/* An entry changed. */
void ledger_event(struct vmmu_machine *machine, const struct vmmu_event *event);
/*
 * TLBs are about to forget a range. Was there a change that needed it? True also while nothing is
 * known.
 */
bool ledger_flush(struct vmmu_machine *machine, const struct vmmu_flush *flush);
/* An operation is over: nothing may be owed. */
void ledger_settle(struct vmmu_machine *machine);

#endif
