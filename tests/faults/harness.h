/* SPDX-License-Identifier: MIT */
/*
 * A machine for black-box tests: one VM, a fake host behind it, vCPUs with TLBs, and a flat model
 * that says what may be mapped. Everything goes through the public headers. Where the library has a
 * model of the hardware, that is what the vCPUs are; formats of no hardware get a small fake TLB.
 *
 * The oracle is machine_grant(): gfn -> (pfn, rights) by the slots that were set and the host pages
 * that exist. A walk must never grant more (machine_check_gfn()), a finished access must be granted
 * (machine_access()), a TLB entry must never outlive its flush (machine_check_tlb()), and a dirty
 * log must report each write and nothing untouched (machine_dirty_get()).
 *
 * Any disagreement ends the test with the last operations printed.
 */
#ifndef TESTS_FAULTS_HARNESS_H
#define TESTS_FAULTS_HARNESS_H

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <vmmu/vmmu.h>

#include "faults/roots.h"
#include "format/outside.h"

#define MACHINE_VCPUS   3
#define MACHINE_SLOTS   12
#define MACHINE_FLUSHES 256
#define MACHINE_OPS     24
/* Entries of a vCPU's TLB; fuzz targets, which look at all of them very often, take fewer. */
#ifndef MACHINE_TLB
#define MACHINE_TLB 4096
#endif
/* Host page 0 lives here; aligned to the largest page of every format. */
#define HOST_VA (UINT64_C(1) << 46)
/* Host frame of host page 0 by the default rule: aligned to 2^20 pages. */
#define HOST_PFN (UINT64_C(1) << 20)
/* An access that goes round more often than this is a livelock. */
#define ACCESS_ROUNDS 8

enum host_status {
	HOST_RAM,
	HOST_IO,
	HOST_UNMAPPED,
	HOST_POISONED,
	HOST_SLOW, /* RAM on its way: a lookup that may not wait gets "would block" */
};

/* What the host has at one page of hva. */
struct host_page {
	uint64_t pfn;
	enum host_status status;
	unsigned level;
	enum vmmu_memtype memtype;
	bool writable;
};

/*
 * Host pages 0..count-1 are listed; those above follow REST: the page at index i is REST with pfn +
 * i. A page of level L promises that its whole aligned block is listed alike, with consecutive
 * frames.
 */
struct host {
	struct host_page *pages;
	uint64_t count;
	struct host_page rest;
};

/* A slot as the model knows it; page maps exist while it logs. */
struct model_slot {
	bool used;
	struct vmmu_slot set;
	uint64_t base_gfn, gfns;
	uint8_t *written; /* [gfns]: written by the guest since the last dirty_get */
	uint8_t *touched; /* [gfns]: accessed in any way since then */
};

struct tlb_entry {
	bool valid;
	unsigned as_id;
	unsigned access; /* 0: "not mapped" is what is remembered */
	uint64_t gfn, pfn;
};

struct machine_vcpu {
	struct vmmu_vcpu *vcpu;
	struct vmmu_root root;
	unsigned as_id;
	bool kicked; /* told to leave its root, has not asked for the next one yet */
	uint64_t kicks;
	struct vmmu_cpu *cpu;              /* NULL: the fake one below */
	struct tlb_entry tlb[MACHINE_TLB]; /* of the fake one */
};

struct machine;

struct machine_options {
	unsigned address_spaces;
	unsigned vcpus;
	unsigned max_level;
	bool nx_huge;
	bool eager_split;
	enum vmmu_resize resize;
	unsigned policies;  /* enum vmmu_policy, or-ed */
	bool no_host_level; /* env.host_level stays NULL */
	/* what env.host_span answers at most; 0: it stays NULL */
	unsigned span_lg2_max;
	bool prefetch;              /* lookups ahead of an access find pages */
	const struct vmmu_env *env; /* NULL: machine_env */
	uint64_t tables_bytes;
	uint64_t tables_max;
	uint64_t host_pages; /* listed ones: RAM of level 1, writable, frames by the default rule */
	unsigned rest_level; /* level of the pages above */
	unsigned dirty_flags; /* enum vmmu_dirty_flag, or-ed */
	uint32_t ring_entries;
	enum vmmu_dirty_source dirty_source;
};

struct machine {
	struct vmmu_vm *vm;
	const struct vmmu_format *format;
	const struct vmmu_format_info *info;
	const struct vmmu_geometry *geometry;
	unsigned page_shift, as_count, vcpu_count, max_level;
	bool nx_huge;
	unsigned dirty_flags;
	enum vmmu_dirty_source dirty_source;
	bool has_rings;
	bool prefetch;
	unsigned span_lg2_max;
	bool is_forced;       /* lookups answer forced_status, whatever the host has */
	bool faults_drop_tlb; /* a fault makes the TLB forget the page it was about (x86) */
	struct vmmu_machine *hardware; /* NULL: there is no model of it */
	void *tables;                  /* memory for tables that the hardware reads */
	uint64_t tables_bytes;
	struct host host;
	struct machine_vcpu vcpu[MACHINE_VCPUS];
	struct model_slot slots[MACHINE_SLOTS];
	/* gfns [private_base, private_base + private_count): 1: private; all others are shared */
	uint8_t *private_pages;
	uint64_t private_base, private_count;
	/* host ranges being invalidated: they may hold no mapping */
	struct vmmu_hva_range invalidating[4];
	/* what the callbacks saw */
	struct vmmu_page_request request; /* the last */
	uint64_t resolves, prefetches, spans_asked;
	struct vmmu_flush flushes[MACHINE_FLUSHES];
	unsigned invalidating_count;
	unsigned flush_count; /* since machine_flushes_forget(); those past the array are counted
				 only */
	uint64_t events[VMMU_EVENTS];
	uint64_t fault_calls, all_flushes, local_flushes; /* since creation */
	unsigned bugs, findings;
	unsigned largest_level; /* of a leaf that an access met */
	/*
	 * one-shot: run by the next resolve after it has read the page, so that its answer is out
	 * of date
	 */
	void (*on_resolve)(struct machine *machine, const struct vmmu_page_request *request);
	unsigned interrupts; /* this many lookups are interrupted by a signal */
	enum vmmu_resolve_status forced_status;
	struct vmmu_page forced_page;
	/* for people: the last operations */
	char ops[MACHINE_OPS][96];
	uint64_t op_count;
};

/* What became of a guest access. */
enum access_end {
	ACCESS_GRANTED,
	ACCESS_EMULATED,
	ACCESS_EXITED,  /* to the host: see fault.exit */
	ACCESS_RETRIED, /* still RETRY after ACCESS_ROUNDS */
};

struct access_result {
	enum access_end end;
	unsigned faults;         /* how many vmmu_fault() it took */
	unsigned first_outcome;  /* of the first of them */
	struct vmmu_fault fault; /* the last */
	struct vmmu_walk walk;   /* GRANTED: what granted it, if the TLB did not */
};

/* What the model says about a page. */
struct grant {
	const struct model_slot *slot; /* NULL: no memory there */
	struct host_page page;
	unsigned access; /* most rights that a mapping may have; 0: none may exist */
	bool is_invalidating;
};

/* Parameters for a test that runs once for each format: the index of outside_at(). */
struct criterion_test_params machine_formats(void);

#define FORMAT_TEST(suite, name)                 \
	ParameterizedTestParameters(suite, name) \
	{                                        \
		return machine_formats();        \
	}                                        \
	ParameterizedTest(unsigned *index, suite, name)

/* machine.c */
/* Create; NULL options: one address space, one vCPU, 64 listed host pages. Never NULL. */
struct machine *machine_create(unsigned format_index, const struct machine_options *options);
/*
 * Another VM of OPTIONS in the place of its VM, with one vCPU. The modelled CPUs, which know the
 * memory of the other one, go.
 */
void machine_replace(struct machine *machine, const struct vmmu_vm_options *options);
/* Audit, then destroy; and destroy what need not be in order any more. */
void machine_destroy(struct machine *machine);
void machine_discard(struct machine *machine);
void machine_op(struct machine *machine, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* Print the last operations and end the test. */
void machine_fail(struct machine *machine, const char *format, ...)
	__attribute__((format(printf, 2, 3), noreturn));
void machine_audit(struct machine *machine);
struct vmmu_stats machine_stats(struct machine *machine);
/*
 * The engine's counters are what was called and seen; only where all faults came through
 * machine_access().
 */
void machine_check_counters(struct machine *machine);

static inline uint64_t machine_pages(const struct machine *machine, unsigned level)
{
	return UINT64_C(1) << (machine->geometry->shift[level] - machine->page_shift);
}

static inline uint64_t machine_gpa(const struct machine *machine, uint64_t gfn)
{
	return gfn << machine->page_shift;
}

static inline uint64_t machine_hva(const struct machine *machine, uint64_t host_page)
{
	return HOST_VA + (host_page << machine->page_shift);
}

/* The largest leaf level not above LIMIT. */
unsigned machine_leaf_level(const struct machine *machine, unsigned limit);

/* host.c */
extern const struct vmmu_env machine_env;
struct host_page host_page_at(const struct machine *machine, uint64_t index);
/* Change listed pages [index, index + count): with an invalidation around it. */
void machine_host_set(struct machine *machine, uint64_t index, uint64_t count,
		      struct host_page page);
int machine_invalidate_begin(struct machine *machine, uint64_t index, uint64_t count);
int machine_invalidate_end(struct machine *machine, uint64_t index, uint64_t count);
void machine_flushes_forget(struct machine *machine);
/* Was every gfn of [start, end) of as_id flushed everywhere since machine_flushes_forget()? */
bool machine_was_flushed(const struct machine *machine, unsigned as_id, uint64_t start,
			 uint64_t end);
/* Flushes of all TLBs since then. */
unsigned machine_global_flushes(const struct machine *machine);
unsigned machine_local_flushes(const struct machine *machine, unsigned vcpu);

/* model.c */
/* The errno that vmmu_slot_set() owes for this call, 0 if none. */
int model_slot_error(const struct machine *machine, const struct vmmu_slot *slot);
/*
 * vmmu_slot_set() with the model's judgement of the result; changes the model too. Returns the
 * result.
 */
int machine_slot_set(struct machine *machine, const struct vmmu_slot *slot);
/* Shorthand: set slot ID to PAGES pages at GFN with host pages from HOST_PAGE on; must succeed. */
void machine_slot_in(struct machine *machine, unsigned as_id, unsigned id, uint64_t gfn,
		     uint64_t pages, uint64_t host_page, unsigned flags);
/* The same in address space 0. */
void machine_slot(struct machine *machine, unsigned id, uint64_t gfn, uint64_t pages,
		  uint64_t host_page, unsigned flags);
void machine_slot_delete(struct machine *machine, unsigned as_id, unsigned id);
/* Let the model know which of COUNT gfns from BASE on are private: none yet. */
void machine_attributes_init(struct machine *machine, uint64_t base, uint64_t count);
/*
 * Make COUNT gfns, of those, private or (ATTRIBUTES 0) shared; must succeed, and unmap them unless
 * they were so before.
 */
void machine_attributes_set(struct machine *machine, uint64_t gfn, uint64_t count,
			    unsigned attributes);
bool machine_is_private(const struct machine *machine, uint64_t gfn);
/* Is host page INDEX behind private memory, which does not follow what stands at the hva? */
bool machine_has_private(const struct machine *machine, uint64_t index);
struct model_slot *model_slot_at(struct machine *machine, unsigned as_id, uint64_t gfn);
struct model_slot *model_slot_by_id(struct machine *machine, unsigned as_id, unsigned id);
struct grant machine_grant(struct machine *machine, unsigned as_id, uint64_t gfn);
/* The largest level that a mapping over gfn may have. */
unsigned machine_level_limit(struct machine *machine, const struct model_slot *slot, uint64_t gfn);
/* The walk of this gfn grants nothing that the model does not. */
void machine_check_gfn(struct machine *machine, unsigned as_id, uint64_t gfn);
void machine_check_range(struct machine *machine, unsigned as_id, uint64_t start, uint64_t end);
/* Every leaf of the tables is one that machine_check_gfn() knows a slot for. */
void machine_check_leaves(struct machine *machine);
/*
 * vmmu_dirty_get(), with the result held against what was written and touched; returns the count.
 */
uint64_t machine_dirty_get(struct machine *machine, unsigned as_id, unsigned id);
/*
 * vmmu_dirty_clear() for all that RANGE names; must succeed. Returns how many pages were cleared,
 * which the model expects to be seen when they are written again.
 */
uint64_t machine_dirty_clear(struct machine *machine, const struct vmmu_dirty_range *range);
/*
 * Harvest all rings and reset them, with the pages held against what was written and touched;
 * returns how many different ones there were.
 */
uint64_t machine_ring_round(struct machine *machine);
void model_note_access(struct machine *machine, unsigned as_id, uint64_t gfn, unsigned access);

/* guest.c */
/*
 * One guest access with everything that hardware and a VMM's loop do; checks the result against the
 * model.
 */
struct access_result machine_access(struct machine *machine, unsigned vcpu, uint64_t gpa,
				    unsigned access);
/*
 * The same with flags or-ed into those of the first fault, and a limit of the mapping's level.
 * VMMU_FAULT_PRIVATE: an access of the wrong kind, whichever that is.
 */
struct access_result machine_access_with(struct machine *machine, unsigned vcpu, uint64_t gpa,
					 unsigned access, unsigned flags, unsigned max_level);
/* A read, write or fetch of gfn that must be granted. */
struct access_result machine_touch(struct machine *machine, uint64_t gfn, unsigned access);
/* One vmmu_fault() of vCPU 0, nothing around it; -errno fails the test. */
int machine_fault(struct machine *machine, uint64_t gfn, unsigned access, unsigned flags,
		  struct vmmu_fault *fault);
/* Ask for the root as at a guest entry. */
void machine_enter(struct machine *machine, unsigned vcpu);
void machine_vcpu_as(struct machine *machine, unsigned vcpu, unsigned as_id);
/* Destroy a vCPU and the CPU that runs it; and make both anew under the same id. */
void machine_vcpu_remove(struct machine *machine, unsigned vcpu);
void machine_vcpu_renew(struct machine *machine, unsigned vcpu);
/* The model of the hardware, if there is one: before the VM is made, and after. */
void hardware_create(struct machine *machine, const struct machine_options *options,
		     struct vmmu_vm_options *vm_options);
void hardware_attach(struct machine *machine);
void hardware_destroy(struct machine *machine);
struct vmmu_hw_bus hardware_bus(struct machine *machine);
/* No TLB holds what the model forbids. */
void machine_check_tlb(struct machine *machine);
struct vmmu_walk machine_walk(struct machine *machine, unsigned as_id, uint64_t gfn);
/* The walk's kind; ABSENT where there is no root yet. */
enum vmmu_entry_kind machine_kind(struct machine *machine, unsigned as_id, uint64_t gfn);
void tlb_flush_range(struct machine *machine, unsigned vcpu, unsigned as_id, uint64_t start,
		     uint64_t end);

#endif
