/* SPDX-License-Identifier: MIT */
/*
 * Emulators as judges of tables that the library built. Three sides are compared: what the engine
 * meant (a flat model of what was asked of it, and vmmu_walk()), what the model of the hardware
 * says (vmmu/hw.h), and what an emulator's own MMU does (job.h).
 *
 * The host makes a job, of scenes: a scene is a VM, its tables, a window through which the guest
 * runs, probes, and changes between probes. Each probe is put to the model while the job is made,
 * so that model and emulator see the same memory in the same order.
 */
#ifndef TESTS_ORACLE_ORACLE_H
#define TESTS_ORACLE_ORACLE_H

#include <vmmu/vmmu.h>

#include "base/random.h"
#include "oracle/job.h"

#define ORACLE_OK      0
#define ORACLE_DIFFERS 1 /* exit codes */
#define ORACLE_USAGE   2
#define ORACLE_FAILED  3  /* the emulator did not do its job, no memory ... */
#define ORACLE_SKIPPED 77 /* nothing here to judge with */

/* Pages of the window: the guest's code, its root table, its second table. */
#define ORACLE_WINDOW_PAGES 3
/* Most registers that set up a second stage; see JOB_ROOT. */
#define ORACLE_ROOT_ARGS 3
/* The guest's address space: the window below, the page under test behind a leaf of 1 GiB. */
#define ORACLE_GUEST_LEAF_LG2 30
#define ORACLE_AIMED          (UINT64_C(1) << ORACLE_GUEST_LEAF_LG2)
/* A known defect may explain one probe in so many; more, and such probes must not be made. */
#define ORACLE_DEFECT_SHARE 50

/* Physical memory as an emulator has it. Bytes. */
struct oracle_layout {
	uint64_t ram_start, ram_end; /* plain RAM, half-open */
	uint64_t program_hpa, job_hpa, result_hpa, window_hpa;
	uint64_t job_bytes, result_bytes; /* room for them */
	uint64_t tables_hpa, tables_bytes;
	uint64_t tag_hpa, tag_bytes;
};

/* A second stage set up. */
struct oracle_root {
	struct vmmu_hw_cpu cpu; /* as the emulator's CPU is */
	uint64_t arg[ORACLE_ROOT_ARGS];
	bool has_guest; /* stage 1 is on: gvas are not gpas */
};

/* What a root is made for. */
struct oracle_stage {
	const struct vmmu_format_info *info;
	uint64_t root_hpa, window_gpa, window_stride;
	/* false: as the engine's tables are meant; true: any registers that make sense */
	bool is_wild;
};

/* When a probe was made: which sides there are. */
enum oracle_phase {
	ORACLE_MEANT,   /* the engine's tables: all three */
	ORACLE_STALE,   /* changed and not flushed yet: old and new are both right */
	ORACLE_CORRUPT, /* bits flipped: model and emulator */
};

struct oracle_probe {
	enum oracle_phase phase;
	unsigned kind;   /* enum job_kind, JOB_USER */
	bool is_at_code; /* the guest does not get to it: its code's fetch is the result */
	uint64_t gpa, gva, value;
};

/* What one result must be: the words of WANT where MASK has bits. */
struct oracle_wanted {
	struct job_result want, mask;
};

/* A result to come. */
struct oracle_expectation {
	bool is_read; /* of an entry; else a probe */
	bool has_other;
	struct oracle_probe probe;
	uint64_t hpa; /* read: where; probe: output, if it went through */
	uint64_t root_arg[ORACLE_ROOT_ARGS];
	struct oracle_wanted wanted;
	struct oracle_wanted other; /* stale probes: before the change */
	/* what the model said; of a read: in the walk before it */
	enum vmmu_hw_status status;
	struct vmmu_hw_fault fault;
	struct vmmu_hw_mapping stage2;
	uint64_t leaf; /* entry at which the walk ended */
};

/* A known defect of an emulator, as narrow as can be. */
struct oracle_defect {
	const char *name; /* what it does wrong, one line */
	bool (*matches)(const struct oracle_expectation *expectation, const struct job_result *got);
};

/* An emulator and all that is particular to it and its architecture. */
struct oracle_emulator {
	const char *name;
	const char *command;     /* executable */
	const char *programs[2]; /* files of ours that it runs; NULL: none */
	/* NULL at the end; @: the directory of those files. "job" lies in the current directory */
	const char *const *arguments;
	const char *const *gaps; /* what it cannot judge, one line each; NULL at the end */
	const struct oracle_defect *defects; /* name NULL at the end */
	struct oracle_layout layout;
	unsigned kinds;       /* bit k: kind k can be probed; bit k + 16: by the user */
	unsigned kinds_guest; /* the same with stage 1 on */
	unsigned stale_kind;  /* kind of load that shows missing flushes; JOB_KINDS: none */
	/* probes stay below: bits of a gpa at most, and bits less than the format's */
	unsigned gpa_bits, gpa_bits_lost;
	bool has_memtypes; /* entries may say that memory is a device's */
	uint64_t (*tag)(uint64_t hpa);
	/* Registers for STAGE; choices among them are RANDOM's. */
	void (*root)(const struct oracle_stage *stage, struct random_state *random,
		     struct oracle_root *root);
	/* Words of the window's second and third page: guest tables. TABLE is 1 or 2. */
	uint64_t (*guest_entry)(const struct oracle_stage *stage, unsigned table, unsigned index);
	/*
	 * Value of the guest's leaf that aims at GPA's gigabyte, and which table's entry 1 it is.
	 */
	uint64_t (*guest_leaf)(uint64_t gpa);
	unsigned guest_leaf_table;
	/* The result that agrees with WALK. */
	void (*want)(const struct oracle_probe *probe, const struct vmmu_hw_walk *walk,
		     bool is_proved, struct oracle_wanted *wanted);
	/* Fault registers as vmmu_fault_decode() takes them. */
	void (*registers)(const struct vmmu_hw_walk *walk, struct vmmu_syndrome *syndrome);
	/* The rest may be NULL. Mode of a job, enum job_mode. */
	uint64_t (*job_mode)(const struct vmmu_format_info *info);
	/* Make what a run needs beside the job, which has JOB_BYTES. 0 or -errno. */
	int (*prepare)(const char *programs, uint64_t job_bytes);
	/* Can it judge the format at all? NULL: yes; else why not. */
	const char *(*refuses)(const struct vmmu_format_info *info);
	/* A probe that it cannot judge is not made. NULL: it can; else why not. */
	const char *(*excludes)(const struct oracle_root *root, const struct oracle_probe *probe,
				const struct vmmu_hw_walk *walk);
	/* Instruction-specific parts of the syndrome of KIND. */
	uint32_t (*syndrome)(unsigned kind);
};

extern const struct oracle_emulator oracle_qemu_riscv, oracle_qemu_arm64, oracle_qemu_npt,
	oracle_bochs_ept;

/* The emulator that judges INFO's architecture. */
const struct oracle_emulator *oracle_emulator_for(const struct vmmu_format_info *info);

#endif
