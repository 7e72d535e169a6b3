/* SPDX-License-Identifier: MIT */
/*
 * Modelled CPUs that run a VM's tables: guest accesses from translation to vmmu_fault() and back,
 * and a check that no TLB holds what the tables no longer say.
 *
 * A machine is made first; its callbacks go into the VM's environment, or are called from the
 * embedder's own, with the machine as their context; then it is attached to the VM, and CPUs are
 * made, one for each vCPU that is to run:
 *
 * 	vmmu_machine_create(&options, &machine);
 * 	env.flush = vmmu_machine_flush;  env.kick = vmmu_machine_kick;
 * 	vm_options.env_ctx = machine;
 * 	vmmu_vm_create(&vm_options, &vm);
 * 	vmmu_machine_attach(machine, vm);
 * 	vmmu_cpu_create(machine, &cpu_options, &cpu);
 * 	vmmu_cpu_access(cpu, &access, &result);
 *
 * The bus must reach the tables: vmmu_vm_options.tables. With env.event = vmmu_machine_event the
 * order of writes and flushes is checked as well: that no entry is made before the old one was
 * flushed where the architecture wants a break, and that no table is used anew before that.
 *
 * A machine, its CPUs and its VM are used by one thread at a time. Guests' own tables lie in the
 * guest's memory, on the same bus.
 */
#ifndef VMMU_MACHINE_H
#define VMMU_MACHINE_H

#include <vmmu/env.h>
#include <vmmu/event.h>
#include <vmmu/fault.h>
#include <vmmu/tlb.h>
#include <vmmu/types.h>
#include <vmmu/vm.h>

#ifdef __cplusplus
extern "C" {
#endif

struct vmmu_machine;
struct vmmu_cpu;

/* How vmmu_machine_flush() acts on TLBs. */
enum vmmu_flushing {
	VMMU_FLUSH_EXACT,  /* the least that was asked for: vmmu_tlb_forget() */
	VMMU_FLUSH_NATIVE, /* by the architecture's own operations */
};

/* What is wrong with something that a TLB remembers, or with the order of writes. */
enum vmmu_stale_kind {
	VMMU_STALE_GRANT,  /* it grants what the tables do not, or leads elsewhere */
	VMMU_STALE_TABLE,  /* a way to a table that is not there any more */
	VMMU_STALE_DENIAL, /* it denies what the tables grant, and a flush was due */
	VMMU_STALE_OWED,   /* an operation ended with an entry changed and no flush after it */
	VMMU_STALE_BREAK,  /* an entry was made before TLBs had forgotten the old one */
	VMMU_STALE_REUSE,  /* a table was put to new use before TLBs had forgotten the old one */
	VMMU_STALE_KINDS,
};

struct vmmu_stale {
	enum vmmu_stale_kind kind;
	const char *operation; /* as vmmu_machine_operation() named it */
	unsigned vcpu_id;      /* whose TLB; ~0u: OWED, BREAK, REUSE */
	unsigned as_id, level;
	uint64_t gpa;     /* bytes */
	uint64_t old_pte; /* as remembered */
	uint64_t new_pte; /* as it stands now; 0 also where nothing does */
};

struct vmmu_machine_options {
	size_t size; /* sizeof(struct vmmu_machine_options) of the caller */
	struct vmmu_hw_bus bus;
	enum vmmu_flushing flushing;
	/*
	 * Called with each finding; NULL: they are counted alone. May be called from inside the
	 * VM's callbacks: it may not call into the VM.
	 */
	void (*finding)(void *ctx, const struct vmmu_stale *stale);
	void *finding_ctx;
};

struct vmmu_cpu_options {
	size_t size; /* sizeof(struct vmmu_cpu_options) of the caller */
	struct vmmu_vcpu *vcpu;
	unsigned id;                 /* as given to vmmu_vcpu_create() */
	struct vmmu_tlb_options tlb; /* size and arch are filled in */
};

/* How an access ended. */
enum vmmu_access_end {
	VMMU_ACCESS_DONE,
	VMMU_ACCESS_GUEST_FAULT,   /* by the guest's own tables: see walk->report */
	VMMU_ACCESS_EMULATE,       /* no memory there: fault.gpa, fault.access */
	VMMU_ACCESS_EXIT,          /* only the host can go on: fault.exit */
	VMMU_ACCESS_RETRY,         /* the engine has answered RETRY all along */
	VMMU_ACCESS_LOG_FULL,      /* EPT: drain the log, set pml_index, and try again */
	VMMU_ACCESS_MACHINE_CHECK, /* nothing answers where an entry should be; see walk->fault */
	VMMU_ACCESS_LIVELOCK,      /* faults without end: see livelock */
	VMMU_ACCESS_ERROR,         /* a call failed: see error */
};

enum vmmu_livelock {
	VMMU_NO_LIVELOCK,
	VMMU_LIVELOCK_TLB,    /* the tables grant the access, the TLB remembers a refusal */
	VMMU_LIVELOCK_TABLES, /* faults are called fixed, and the tables still refuse */
	VMMU_LIVELOCK_RACES,  /* entries change under every walk */
};

/* Faults of one part of an access, on the same page for the same right, that are a livelock. */
#define VMMU_ACCESS_REPEATS_MAX 4
/* Faults of one part of an access at all. */
#define VMMU_ACCESS_FAULTS_MAX 64

struct vmmu_access_result {
	enum vmmu_access_end end;
	enum vmmu_livelock livelock;
	int error;           /* ERROR: -errno */
	unsigned part_count; /* DONE: 2 if the access crosses a 4 KiB boundary */
	struct {
		uint64_t gpa, hpa; /* bytes */
		unsigned bytes;
	} part[2];
	unsigned fault_count;                  /* calls of vmmu_fault() */
	unsigned outcome_count[VMMU_OUTCOMES]; /* by what came of them */
	struct vmmu_fault fault;               /* the last */
	const struct vmmu_hw_walk *walk;       /* of the last try; until the next access */
};

/* Flushes that one operation asked for. */
struct vmmu_flush_count {
	const char *operation;
	uint64_t remote, local;                   /* asked for */
	uint64_t needless_remote, needless_local; /* of those: nothing needed them */
};

/* Operations that are told apart; those past them are counted with the last. */
#define VMMU_OPERATIONS_MAX 32

/*
 * The registers that FORMAT's tables want, root and tags left 0, guest paging off. -EINVAL: NULL;
 * -ENOTSUP: no architecture of the model, or a geometry that it does not have.
 */
VMMU_API int vmmu_machine_registers(const struct vmmu_format *format, struct vmmu_hw_cpu *cpu);

/* -EINVAL: NULL, an unknown size, or a bus without load or swap; -ENOMEM. */
VMMU_API int vmmu_machine_create(const struct vmmu_machine_options *options,
				 struct vmmu_machine **machine);
/* And its CPUs, but not the VM. NULL is ignored. */
VMMU_API void vmmu_machine_destroy(struct vmmu_machine *machine);
/*
 * Run VM's tables; NULL: none any more, before VM is destroyed. -EINVAL; -EBUSY: there are CPUs;
 * -ENOTSUP: as vmmu_machine_registers().
 */
VMMU_API int vmmu_machine_attach(struct vmmu_machine *machine, struct vmmu_vm *vm);

/* Callbacks of struct vmmu_env, with the machine as CTX. */
VMMU_API void vmmu_machine_flush(void *machine, const struct vmmu_flush *flush);
VMMU_API void vmmu_machine_kick(void *machine, unsigned vcpu_id);
VMMU_API void vmmu_machine_event(void *machine, const struct vmmu_event *event);

/*
 * What is done to the VM from here on, for findings and counts: a string that outlives the machine.
 * Faults that accesses raise count as "fault" by themselves.
 */
VMMU_API void vmmu_machine_operation(struct vmmu_machine *machine, const char *operation);
/*
 * Hold every TLB against the tables, once an operation is over. Returns how many things are stale;
 * CPUs that were kicked and have not entered since are left out, as they forget everything first.
 * -EINVAL: NULL or not attached. Cost: a few loads for each thing remembered.
 */
VMMU_API int vmmu_machine_check(struct vmmu_machine *machine);
/* Findings since creation, those of callbacks included. */
VMMU_API uint64_t vmmu_machine_findings(const struct vmmu_machine *machine);
/*
 * Call FN for each operation that asked for a flush. What nothing needed is known with
 * vmmu_machine_event alone.
 */
VMMU_API void vmmu_machine_flush_counts(const struct vmmu_machine *machine,
					void (*fn)(void *ctx, const struct vmmu_flush_count *count),
					void *ctx);

/* -EINVAL: NULL, an unknown size, or not attached; -EEXIST: a CPU has this id; -ENOMEM. */
VMMU_API int vmmu_cpu_create(struct vmmu_machine *machine, const struct vmmu_cpu_options *options,
			     struct vmmu_cpu **cpu);
VMMU_API void vmmu_cpu_destroy(struct vmmu_cpu *cpu);
/*
 * Its registers, to be changed like a guest or host would; the second stage's root and tags are
 * written by vmmu_cpu_enter(). NULL for NULL.
 */
VMMU_API struct vmmu_hw_cpu *vmmu_cpu_registers(struct vmmu_cpu *cpu);
/* Its TLB, for flushes of the guest's. NULL for NULL. */
VMMU_API struct vmmu_tlb *vmmu_cpu_tlb(struct vmmu_cpu *cpu);
/*
 * What is done before each guest entry: vmmu_vcpu_root(), root register and tags, the local flush
 * if one is due. Errors as vmmu_vcpu_root(); -EINVAL: NULL.
 */
VMMU_API int vmmu_cpu_enter(struct vmmu_cpu *cpu);
/*
 * One access of the guest: enter, translate, fault, again, until it is done or somebody else has to
 * act. One that crosses a page is translated in two parts, both of which must go through. 0: see
 * *result; -EINVAL: NULL, or an access that vmmu_hw_translate() refuses.
 */
VMMU_API int vmmu_cpu_access(struct vmmu_cpu *cpu, const struct vmmu_hw_access *access,
			     struct vmmu_access_result *result);

/* "grant", "table" ...; "?" for a number that is none. */
VMMU_API const char *vmmu_stale_name(int kind);

#ifdef __cplusplus
}
#endif
#endif
