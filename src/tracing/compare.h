/* SPDX-License-Identifier: MIT */
/*
 * Comparing a replay with its recording, inside: facts of both sides are collected in windows, one
 * for each thread of the recording, and compared when a window's step is over. Of a script's
 * recording all threads but those of the host's own that change its memory share one window, and
 * its steps are lines of the script.
 *
 * 	compare.c        the windows: what a step is, and what the recording says in it
 * 	compare_engine.c what the engine says
 * 	compare_look.c   the same where tables are read instead of traced
 * 	compare_fact.c   one fact: equality, classes, words
 * 	compare_settle.c the two sides of a window held against each other
 * 	compare_reason.c what explains a difference
 * 	compare_api.c    create, destroy, counts
 *
 * Memory is bounded by the longest steps, and these by COMPARE_FACTS_MAX in all.
 */
#ifndef VMMU_TRACING_COMPARE_H
#define VMMU_TRACING_COMPARE_H

#include <vmmu/compare.h>
#include <vmmu/dirty.h>
#include <vmmu/event.h>
#include <vmmu/trace.h>
#include <vmmu/vm.h>

/* Threads whose steps are kept apart; a power of two. Others share. */
#define COMPARE_WINDOWS 64u
/* Facts that are kept, of all steps that are not over. What comes beyond is a difference. */
#define COMPARE_FACTS_MAX (UINT64_C(1) << 22)
/* Reasons there may be. */
#define COMPARE_REASONS_MAX 16u
/* vCPUs of which is known whether they are in SMM; a power of two. Others share. */
#define COMPARE_VCPUS 1024u
/* Table frames told apart, 4 KiB each: as many as a replay's VM has room for. */
#define COMPARE_FRAMES (UINT64_C(1) << 18)
/* What a replay's VM takes for the address of its first table frame: the library's default. */
#define COMPARE_TABLES_HPA (UINT64_C(1) << 32)

/* How a fault ended, as far as a recording tells. */
enum compare_outcome {
	COMPARE_FIXED,
	COMPARE_AGAIN, /* nothing was changed, and the guest went on */
	COMPARE_EMULATED,
	COMPARE_ERROR,
	COMPARE_ON, /* the guest went on, nobody told why: any of them but ERROR */
};

/* What an access meets in the tables. */
enum compare_why {
	COMPARE_GRANTED,
	COMPARE_ABSENT, /* also where hardware does not tell which of the three it is */
	COMPARE_NO_RIGHT,
	COMPARE_MMIO,
};

/* What either side did. Entries in the layout of the kernel's profile. */
struct compare_fact {
	enum vmmu_compare_event event;
	unsigned as_id, level, access;
	/* gfn; with FAST_FIX, OUTCOME and ACCESS a gpa in bytes, with DIRTY a slot's word (enum
	 * vmmu_trace_kind has it in two), with PAGE a page of the slot with word VALUE */
	uint64_t address;
	uint64_t pfn;
	uint64_t old_pte, new_pte;
	uint64_t pte_hpa; /* bytes; MAP_SET: where it stands */
	uint64_t generation, current;
	int64_t value;
	uint64_t line; /* of the recording; the engine's: 0 */
};

struct compare_list {
	struct compare_fact *facts;
	size_t count, capacity;
	uint64_t lost; /* facts that there was no room for */
};

/* A fault whose end the recording has not told yet. */
struct compare_fault {
	bool is_open;
	bool has_set, has_mmio, is_fast, is_spurious;
	bool is_moved; /* the host's own change of the page is about to be mapped */
	uint64_t gpa;
};

/* Accesses of the script's line under way. */
struct compare_accesses {
	unsigned access; /* 0: none, or none that we know the gpa of */
	uint64_t gpa, count, stride, done;
	bool is_emulated; /* the one under way */
	bool has_engine_emulated;
	bool has_engine_failed; /* the last fault of the engine's ended in an error */
	/* of the line: what the kit's VMM printed about it */
	bool has_reply;
	int64_t reply;
	bool is_log;  /* it reads the dirty log of slot gpa, or all rings */
	bool is_call; /* so it does, or it is another call: engine_reply is what came of it */
	int64_t engine_reply;
	bool is_slot; /* it sets a slot, which is not there before the call */
};

/* An entry of the engine's that is not absent, as a look at its tables found it. */
struct compare_seen {
	uint64_t gfn;
	unsigned level;
	uint64_t pte;   /* the engine's */
	uint64_t value; /* as the kernel would have written it, with the table's number for frame */
	uint64_t place; /* where it stands, by its table's number */
	uint64_t table; /* number of the table that it points to */
};

/* All of them, in gfn order, tables before what is below. */
struct compare_look {
	struct compare_seen *seen;
	size_t count, capacity;
};

struct compare_window {
	bool is_used;
	uint64_t step_line;
	struct compare_list kernel, engine;
	struct compare_fault fault;
	/* the engine's, of tables whose end is told when all below is: topmost first */
	struct compare_fact held[VMMU_LEVELS_MAX];
	unsigned held_count;
	size_t stop_count; /* kernel facts when the guest last stopped by itself */
	bool has_stopped;
};

struct vmmu_compare {
	struct vmmu_compare_options options;
	const struct vmmu_profile *profile, *own;
	const struct vmmu_format *format;
	enum vmmu_root_mode root;
	struct vmmu_vm *vm;
	bool has_script;
	bool has_paging;               /* of the guest: accesses are at addresses of its own */
	uint64_t last_line;            /* of the recording, so far */
	struct compare_window *window; /* of the input that is being applied */
	struct compare_window windows[COMPARE_WINDOWS];
	/* bits by thread % 64, of a script's recording: those of the script, and those of the host
	 * that invalidate and are none of them */
	uint64_t script_threads, host_threads;
	uint64_t fact_count; /* in the lists of all of them */
	struct compare_accesses accesses;
	uint64_t smm[COMPARE_VCPUS / 64]; /* [vcpu / 64]: a bit for each that is in SMM */
	uint64_t *frames; /* [engine's table frame]: the kernel's hpa plus 1; 0: not known */
	struct vmmu_compare_tally step;
	struct vmmu_compare_tally classes[VMMU_COMPARE_EVENTS][VMMU_LEVELS_MAX + 1]
					 [VMMU_COMPARE_ENTRIES][VMMU_COMPARE_ENTRIES];
	uint64_t reasons[COMPARE_REASONS_MAX];
	uint64_t teardown;
	/* where tables are read: no tracepoint tells of entries */
	bool has_looks;
	bool has_probes;  /* and the recording has the kit's probes */
	bool has_changed; /* entries, since the last look */
	/* the same by a thread of the host's own; nor has the kit, as far as known */
	bool has_host_changed, is_host_change_new;
	bool is_look_due; /* an access is over, and the tables were not read since */
	struct compare_look looks[2];
	unsigned look_index;  /* the last one */
	uint64_t table_count; /* numbers given to tables so far */
	int error;            /* -ENOMEM: a fact was lost for want of memory */
};

/*
 * A replay begins: of FORMAT into VM, whose vCPUs have roots of kind ROOT. HAS_SCRIPT in
 * compare->has_script before. -EINVAL: FORMAT is not of the profile's architecture.
 */
int compare_begin(struct vmmu_compare *compare, const struct vmmu_format *format,
		  enum vmmu_root_mode root, struct vmmu_vm *vm);
/* EVENT comes next in the recording: before it is applied, as an input. -ENOMEM. */
int compare_recorded(struct vmmu_compare *compare, const struct vmmu_trace_event *event);
/*
 * What is applied from here on is EVENT, ahead of its place in the recording, until the next one
 * comes or another is turned to.
 */
void compare_turn_to(struct vmmu_compare *compare, const struct vmmu_trace_event *event);
/* EVENT is a fault of a script's access, not applied yet: what the engine's tables say to it. */
void compare_fault(struct vmmu_compare *compare, const struct vmmu_trace_event *event);
/* For vmmu_env.event while an input is applied. */
void compare_engine(struct vmmu_compare *compare, const struct vmmu_event *event);
/* Nothing more comes in WINDOW's step: what is held back of the engine's has its place. */
void compare_release(struct vmmu_compare *compare, struct compare_window *window);
/* The bits that hardware sets in a leaf that it uses for ACCESS; 0: none. */
uint64_t compare_marks(const struct vmmu_compare *compare, unsigned access);
/* The address space that the vCPU of EVENT sees. */
unsigned compare_space(const struct vmmu_compare *compare, const struct vmmu_trace_event *event);
/* The guest stopped by itself: what the engine's tables say to the access it came from. */
void compare_stop(struct vmmu_compare *compare, const struct vmmu_trace_event *event);
/*
 * What came of the call that the script's line is: pages of a dirty log or of all rings; -1: the
 * engine refused.
 */
void compare_called(struct vmmu_compare *compare, int64_t result);
/* PAGE was in one of the engine's dirty rings. */
void compare_page(struct vmmu_compare *compare, const struct vmmu_dirty_page *page);
/* The recording is over. -ENOMEM. */
int compare_end(struct vmmu_compare *compare);

/* compare_engine.c */
/* PTE of the engine as the kernel would have written it. */
uint64_t compare_engine_pte(const struct vmmu_compare *compare, uint64_t pte, unsigned level);
/* PTE, which points to a table, pointing to HPA instead. */
uint64_t compare_table_pte(const struct vmmu_compare *compare, uint64_t pte, uint64_t hpa);

/* compare_look.c */
/*
 * Read the engine's tables, if anything changed; what is not as it was are the engine's facts in
 * WINDOW. Sets compare->error.
 */
void compare_look(struct vmmu_compare *compare, struct compare_window *window);

/* compare.c */
/* Is WINDOW that of the script's own threads, or is there no script? */
bool compare_is_main(const struct vmmu_compare *compare, const struct compare_window *window);
void compare_add(struct vmmu_compare *compare, struct compare_list *list,
		 const struct compare_fact *fact);

/* compare_fact.c */
/* Are both the same? Table frames as compare_bind() learned them. */
bool compare_is_equal(const struct vmmu_compare *compare, const struct compare_fact *kernel,
		      const struct compare_fact *engine);
/* Learn the table frames of two equal facts. */
void compare_bind(struct vmmu_compare *compare, const struct compare_fact *kernel,
		  const struct compare_fact *engine);
enum vmmu_compare_entry compare_entry(const struct vmmu_compare *compare, uint64_t pte,
				      unsigned level);
struct vmmu_compare_tally *compare_class(struct vmmu_compare *compare,
					 const struct compare_fact *fact);
/* FACT in words. Returns TEXT. */
const char *compare_text(const struct vmmu_compare *compare, const struct compare_fact *fact,
			 char *text, size_t bytes);

/* compare_settle.c */
/* Compare what WINDOW holds, and empty it. */
void compare_settle(struct vmmu_compare *compare, struct compare_window *window);

/* compare_reason.c */
/*
 * Index of the reason that explains a difference; a side may be NULL, not both. -1: none does.
 */
int compare_reason(const struct vmmu_compare *compare, const struct compare_fact *kernel,
		   const struct compare_fact *engine);
/* NULL: no such reason. */
const char *compare_reason_name(unsigned index);

#endif
