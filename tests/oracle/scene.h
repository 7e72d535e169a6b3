/* SPDX-License-Identifier: MIT */
/* A scene: one VM, its tables in the emulator's memory, a guest that accesses through them. */
#ifndef TESTS_ORACLE_SCENE_H
#define TESTS_ORACLE_SCENE_H

#include "oracle/flat.h"
#include "oracle/jobs.h"

#define SCENE_SLOTS_MAX   4
#define SCENE_UPDATES_MAX 16
#define SCENE_FOLDED      (UINT64_C(1) << 40)
#define REASONS_MAX       16

/* Counts over all scenes. */
struct scene_tally {
	uint64_t scenes, probes, reads;
	uint64_t meant, stale, corrupt; /* probes, by phase */
	uint64_t passed, refused;       /* by what the model says */
	uint64_t compared; /* probes that were also compared with what was asked of the engine */
	uint64_t engine_differs; /* of those: the engine meant something else */
	struct {
		const char *why;
		uint64_t count;
	} left_out[REASONS_MAX]; /* probes not made */
	unsigned reports;        /* disagreements printed */
};

struct scene {
	struct jobs *jobs;
	const struct oracle_emulator *emulator;
	const struct vmmu_format *format;
	const struct vmmu_format_info *info;
	struct scene_tally *tally;
	struct random_state random;
	enum vmmu_mode mode;
	struct vmmu_vm *vm;
	struct vmmu_vcpu *vcpu;
	struct oracle_stage stage;
	struct oracle_root root;
	struct flat flat; /* ranges, or slots as if mapped */
	unsigned slot_count;
	unsigned bugs;
	/* the probe to make before a flush takes effect, and what it was before the change */
	bool is_watching, is_live;
	struct oracle_probe watched;
	struct oracle_wanted watched_before;
	bool is_lost; /* the last walks found no code of ours where the guest's should be */
	uint64_t update[SCENE_UPDATES_MAX]; /* hpas of entries that the last walks updated */
	unsigned update_count;
};

/* Is gpa within what probes may use? Bytes. */
uint64_t scene_gpa_limit(const struct scene *scene);
/* A random scene; about PROBES probes are added to the job. 0 or -errno. */
int scene_random(struct jobs *jobs, const struct vmmu_format *format, uint64_t seed,
		 uint64_t probes, struct scene_tally *tally);

/* Make a VM of MODE with a window at gpa WINDOW_GPA. 0 or -errno. */
int scene_open(struct scene *scene, enum vmmu_mode mode, uint64_t window_gpa);
/* The tables are built: send them, choose registers. 0 or -errno. */
int scene_start(struct scene *scene);
/* Choose registers anew. IS_WILD: see struct oracle_stage. */
void scene_registers(struct scene *scene, bool is_wild);
void scene_close(struct scene *scene);
/* A slot (VMMU_MODE_FAULTS) whose hvas are the hpas that back it. 0 or -errno. */
int scene_slot(struct scene *scene, uint64_t gpa, uint64_t bytes, uint64_t hpa, unsigned flags);

/* Note a slot that the engine has taken. 0 or -ENOSPC. */
int scene_slot_note(struct scene *scene, const struct vmmu_slot *slot);
/* hpa of HVA: itself, or, from SCENE_FOLDED on, somewhere in tagged memory, aligned alike. */
uint64_t scene_backing(const struct scene *scene, uint64_t hva);
/*
 * The root to run on, as before each guest entry; registers follow when it is another. 0 or -errno.
 */
int scene_root(struct scene *scene);

/*
 * Put a probe to the model and, if the emulator can judge it, into the job. False: left out; *WALK
 * is what the model says all the same.
 */
bool scene_probe(struct scene *scene, struct oracle_probe *probe, struct vmmu_hw_walk *walk);
/* A probe of the engine's tables, compared with what the engine was asked for. */
void scene_probe_meant(struct scene *scene, unsigned kind, uint64_t gpa);
/*
 * VMMU_MODE_FAULTS: access, fault, engine, and again until the access is through or the engine
 * will not have it.
 */
void scene_access(struct scene *scene, unsigned kind, uint64_t gpa);
/* What the model says of PROBE, without consequences. */
void scene_trial(struct scene *scene, struct oracle_probe *probe, struct vmmu_hw_walk *walk);
/* Rights that KIND needs. */
unsigned scene_need(unsigned kind);
/* A kind that the emulator can do. */
unsigned scene_kind(struct scene *scene);
/* Change an entry on the way to GPA, probe, put it back; once. */
void scene_corrupt(struct scene *scene, uint64_t gpa);
/* A gpa worth probing: mostly mapped, or near. 8-byte aligned. */
uint64_t scene_gpa(struct scene *scene);

#endif
