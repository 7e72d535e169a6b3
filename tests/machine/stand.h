/* SPDX-License-Identifier: MIT */
/*
 * A whole machine for tests: a VM with its host, modelled CPUs with TLBs on its tables, and a guest
 * with tables of its own in the VM's memory. Beside it a flat model, that knows slots, host pages
 * and what the guest mapped, and asks nobody.
 *
 * The guest-physical window, in pages (L: pages in one of level 2; the host has blocks of L):
 *
 * 	slot 0  [0, L)            the guest's tables, in its first pages, and RAM; in both spaces
 * 	slot 1  [L, 2L)           RAM, in both spaces at different host pages
 * 	slot 2  [2L, 2L+40)       RAM, not aligned to the host's blocks
 * 	none    [3L, 4L)          devices
 */
#ifndef TESTS_MACHINE_STAND_H
#define TESTS_MACHINE_STAND_H

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <vmmu/vmmu.h>

#include "base/draw.h"

#define STAND_CPUS   2
#define STAND_BLOCKS 6
#define STAND_SLOTS  6
/* Guest-virtual pages of 4 KiB that the guest may map, and its tables: a root and two below. */
#define STAND_GVAS 64
#define STAND_KEPT 16

/* What the environment gets wrong on purpose. */
enum plant {
	PLANT_NOTHING,
	PLANT_NO_FLUSH,       /* no flush reaches a TLB */
	PLANT_NO_LOCAL_FLUSH, /* no fence after a fault */
	PLANT_SHORT,          /* ranges are one page short */
	PLANT_WRONG_SPACE,    /* the other address space's tag is flushed */
};

/* A host page: what is behind one page of hva. */
struct host_page {
	uint64_t pfn;
	bool is_absent, is_read_only;
	unsigned level;   /* of the host's own mapping */
	uint64_t *memory; /* its contents, when somebody looked; else zeros */
};

/* A guest-virtual page. */
struct guest_page {
	uint64_t gpa; /* bytes, of 4 KiB */
	bool is_mapped, is_writable, is_user;
};

struct stand_options {
	enum vmmu_mode mode;
	enum vmmu_flushing flushing;
	bool has_events, nx_huge, eager_split;
	bool has_spans; /* the host tells what it has in one piece, see vmmu_env.host_span */
	unsigned address_spaces;
	unsigned tlb_entries, tlb_ways; /* of each kind */
	uint64_t tables_bytes;          /* 0: 16 MiB */
	unsigned cpus;                  /* 0: STAND_CPUS */
	enum vmmu_root_mode root;
	unsigned dirty_flags;
	uint32_t ring_entries;
	enum vmmu_dirty_source dirty_source;
};

struct stand {
	const struct vmmu_format *format;
	const struct vmmu_format_info *info;
	unsigned shift; /* page_shift */
	uint64_t large; /* L */
	struct vmmu_vm *vm;
	struct vmmu_machine *machine;
	unsigned cpu_count, as_count;
	struct vmmu_vcpu *vcpu[STAND_CPUS];
	struct vmmu_cpu *cpu[STAND_CPUS];
	unsigned as_id[STAND_CPUS];
	unsigned char *tables;
	uint64_t tables_bytes;
	struct host_page *host; /* [host_count] */
	uint64_t host_count;
	uint32_t *owner; /* [pfn_count]: host page + 1 of a frame; 0: free */
	uint64_t pfn_count;
	struct vmmu_slot slot[STAND_SLOTS];
	bool is_slot_used[STAND_SLOTS];
	struct guest_page guest[STAND_GVAS];
	bool has_guest[STAND_CPUS]; /* runs with the guest's tables */
	enum plant plant;
	struct vmmu_stale stale[STAND_KEPT]; /* the first findings */
	unsigned stale_count;
	unsigned wild_count; /* references to frames that are nobody's */
	struct draw draw;
};

/* Formats that the model of the hardware can run, as parameters: vmmu_format_at() indexes. */
struct criterion_test_params stand_formats(void);

#define STAND_TEST(suite, name)                  \
	ParameterizedTestParameters(suite, name) \
	{                                        \
		return stand_formats();          \
	}                                        \
	ParameterizedTest(unsigned *index, suite, name)

/* Never NULL; NULL options: faults, exact flushes, events, one space, large TLBs. */
struct stand *stand_make(const struct vmmu_format *format, const struct stand_options *options);
void stand_end(struct stand *stand);

/* The bus of STAND's physical memory. */
struct vmmu_hw_bus stand_bus(struct stand *stand);
/* Make or delete slot ID as it is laid out above. FLAGS: enum vmmu_slot_flag. */
void stand_slot(struct stand *stand, unsigned id, unsigned flags);
void stand_slot_delete(struct stand *stand, unsigned id);
/* Put host pages [index, index + count) elsewhere, large if LEVEL is 2; with an invalidation. */
void stand_host_move(struct stand *stand, uint64_t index, uint64_t count, unsigned level);
/* The slot of gfn in an address space; NULL: none. */
const struct vmmu_slot *stand_slot_at(const struct stand *stand, unsigned as_id, uint64_t gfn);
/* Its host page. */
struct host_page *stand_host_of(struct stand *stand, unsigned as_id, uint64_t gfn);

/* Let CPU's guest run with tables of its own. */
void guest_start(struct stand *stand, unsigned cpu);
/* Where gva page NUMBER begins. */
uint64_t guest_gva(const struct stand *stand, unsigned number);
/* Map gva page NUMBER by the guest's tables, and flush the CPUs as the guest would. */
void guest_map(struct stand *stand, unsigned number, struct guest_page page);
/* The same by a guest that forgets to flush. */
void guest_map_quietly(struct stand *stand, unsigned number, struct guest_page page);

/* One access of gpa (no guest tables) or gva by CPU; the result is checked by the model. */
struct vmmu_access_result stand_access(struct stand *stand, unsigned cpu, uint64_t address,
				       unsigned access, unsigned flags);
/* Read, write or fetch gfn by CPU 0, which has no tables of its own; must be done. */
void stand_touch(struct stand *stand, uint64_t gfn, unsigned access);
/* Findings of a check after OPERATION. */
int stand_check(struct stand *stand);
/* Nothing was ever stale, and nothing is now. */
void stand_expect_clean(struct stand *stand);
void stand_op(struct stand *stand, const char *operation);
/* Is a finding of KIND among those kept? */
bool stand_found(const struct stand *stand, enum vmmu_stale_kind kind);

static inline uint64_t stand_gpa(const struct stand *stand, uint64_t gfn)
{
	return gfn << stand->shift;
}

/* hva of a host page of 4 KiB formats. */
uint64_t stand_host_va(uint64_t index);

static inline uint64_t stand_below(struct stand *stand, uint64_t bound)
{
	return draw_below(&stand->draw, bound);
}

#endif
