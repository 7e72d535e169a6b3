/* SPDX-License-Identifier: MIT */
/*
 * A CPU's TLB as a model: what hardware may remember of page tables, kept for as long as it may.
 *
 * It holds three kinds of things: ways to a table (paging-structure caches), what one stage made of
 * an address (a leaf, or, on RISC-V, that there is none), and what both stages made of it together.
 * The first two are the very entries that a walk read, root first: a later walk is served from them
 * and judges them anew, so a stale entry gives the stale translation, or the stale fault, that
 * hardware would give. Caching is as bold as each manual allows: x86 never keeps an entry that is
 * not present, reserved or not accessed, Arm never one that faults for another reason than
 * permission, RISC-V keeps all.
 *
 * Tags: the second stage's context (EPT: EP4TA; SVM: ASID; RISC-V, Arm: VMID), x86's VPID, and the
 * guest's own ASID (PCID). The TLB is one CPU's: one thread at a time, no lock.
 */
#ifndef VMMU_TLB_H
#define VMMU_TLB_H

#include <vmmu/hw.h>

#ifdef __cplusplus
extern "C" {
#endif

struct vmmu_tlb;

/* Entries of each kind; 0: 64. WAYS entries share a set; 0: 4. Both are rounded up to 2^n. */
struct vmmu_tlb_options {
	size_t size; /* sizeof(struct vmmu_tlb_options) of the caller */
	enum vmmu_hw_arch arch;
	unsigned combined; /* both stages' */
	unsigned leaves;   /* one stage's, absent ones included */
	unsigned tables;   /* paging-structure caches */
	unsigned ways;
};

/* Most entries of a kind. */
#define VMMU_TLB_ENTRIES_MAX (1u << 20)

enum vmmu_tlb_kind {
	VMMU_TLB_COMBINED, /* both stages together: gva to hpa */
	VMMU_TLB_LEAF,     /* one stage's translation, whatever rights it has */
	VMMU_TLB_ABSENT,   /* one stage's refusal for good: RISC-V alone */
	VMMU_TLB_TABLE,    /* the way down to a table */
	VMMU_TLB_KINDS,
};

/* One thing remembered. */
struct vmmu_tlb_entry {
	enum vmmu_tlb_kind kind;
	uint8_t stage;     /* 1 or 2; COMBINED: 1 */
	uint8_t level;     /* of the last entry; COMBINED: the mapping's */
	uint8_t cover_lg2; /* lg2 bytes of addresses that it serves */
	uint8_t count;     /* entries in pte[], root first; COMBINED: 0 */
	bool is_global;    /* the guest said so */
	unsigned space;    /* as given to vmmu_tlb_translate() */
	uint64_t input;    /* bytes: first address served: gva in stage 1, gpa in stage 2 */
	uint64_t context;  /* EP4TA, ASID of the VMCB, VMID */
	uint32_t vpid;     /* EPT */
	uint32_t asid;     /* PCID, ASID; stage 1 and COMBINED */
	uint64_t regime;   /* COMBINED: of the control registers that gave the rights; private */
	struct {
		uint64_t value;
		uint64_t hpa; /* bytes: where it stood */
	} pte[VMMU_LEVELS_MAX];
	struct vmmu_hw_mapping first, second, both; /* COMBINED, for address INPUT */
};

/* Flush operations, by the architectures' own names. */
enum vmmu_tlb_op {
	VMMU_TLB_INVEPT_SINGLE,   /* context */
	VMMU_TLB_INVEPT_ALL,      /* */
	VMMU_TLB_INVVPID_ADDRESS, /* vpid, gva */
	VMMU_TLB_INVVPID_SINGLE,  /* vpid */
	VMMU_TLB_INVVPID_ALL,     /* */
	VMMU_TLB_INVVPID_RETAIN,  /* vpid; global translations stay */
	VMMU_TLB_SVM_FLUSH_ALL,   /* TLB_CONTROL 1 */
	VMMU_TLB_SVM_FLUSH_ASID,  /* TLB_CONTROL 3: context */
	VMMU_TLB_SVM_FLUSH_LOCAL, /* TLB_CONTROL 7: context; global translations stay */
	VMMU_TLB_INVLPGA,         /* context, gva */
	VMMU_TLB_INVLPG,          /* guest: context, vpid, asid or global, gva */
	VMMU_TLB_MOV_CR3,         /* guest: context, vpid, asid; global translations stay */
	VMMU_TLB_HFENCE_GVMA,     /* context or any; gpa or any: one address: leaves only */
	VMMU_TLB_HFENCE_VVMA,     /* context; asid or any; gva or any */
	VMMU_TLB_TLBI_IPAS2E1,    /* context, gpas; second-stage entries alone; RIPAS2E1 too */
	VMMU_TLB_TLBI_IPAS2LE1,   /* the same, leaves only */
	VMMU_TLB_TLBI_VMALLE1,    /* context; first-stage and combined entries */
	VMMU_TLB_TLBI_VMALLS12E1, /* context */
	VMMU_TLB_TLBI_ALLE1,      /* */
	VMMU_TLB_TLBI_VAE1,       /* context, asid or global, gva */
	VMMU_TLB_TLBI_ASIDE1,     /* context, asid; global translations stay */
	VMMU_TLB_OPS,
};

/* No such restriction. */
#define VMMU_TLB_ANY UINT64_MAX

struct vmmu_tlb_flush {
	enum vmmu_tlb_op op;
	uint64_t context;    /* or VMMU_TLB_ANY */
	uint64_t vpid, asid; /* or VMMU_TLB_ANY */
	uint64_t start, end; /* addresses, bytes, half-open; 0 and VMMU_TLB_ANY: all */
};

/* Since creation. */
struct vmmu_tlb_stats {
	uint64_t combined_hits; /* accesses served by a combined entry */
	uint64_t leaf_hits;     /* stages served down to a leaf, or to that there is none */
	uint64_t table_hits;    /* stages served part of the way */
	uint64_t walks;         /* accesses that were not served by a combined entry */
	uint64_t forgotten;     /* entries that flushes and faults removed */
};

/*
 * A TLB, empty. -EINVAL: NULL, an unknown size or architecture, or more than VMMU_TLB_ENTRIES_MAX;
 * -ENOMEM. *TLB is the caller's, to be given to vmmu_tlb_destroy().
 */
VMMU_API int vmmu_tlb_create(const struct vmmu_tlb_options *options, struct vmmu_tlb **tlb);
/* NULL is ignored. */
VMMU_API void vmmu_tlb_destroy(struct vmmu_tlb *tlb);

/*
 * vmmu_hw_translate() of a CPU with this TLB: served from what it remembers where it may be, and
 * what is learned is remembered, with SPACE, a number of the caller's. References to memory that
 * did not take place are not listed. After a refusal by the second stage x86 forgets what it had
 * for that address, as hardware does. Returns as vmmu_hw_translate(); -EINVAL also for a CPU of
 * another architecture.
 */
VMMU_API int vmmu_tlb_translate(struct vmmu_tlb *tlb, const struct vmmu_hw_cpu *cpu,
				const struct vmmu_hw_bus *bus, unsigned space,
				const struct vmmu_hw_access *access, struct vmmu_hw_walk *walk);

/* The same for vmmu_hw_translate_gpa(): the second stage alone, and what is kept of it. */
VMMU_API int vmmu_tlb_translate_gpa(struct vmmu_tlb *tlb, const struct vmmu_hw_cpu *cpu,
				    const struct vmmu_hw_bus *bus, unsigned space,
				    const struct vmmu_hw_access *access,
				    const struct vmmu_hw_gpa *gpa, struct vmmu_hw_walk *walk);

/* Do FLUSH. -EINVAL: NULL, or an operation that this architecture does not have. */
VMMU_API int vmmu_tlb_flush(struct vmmu_tlb *tlb, const struct vmmu_tlb_flush *flush);
/*
 * The least that vmmu_env.flush() asks for: forget what says something about gpas [start, end) of
 * SPACE: second-stage leaves and combined entries that touch them, and ways to tables that map
 * nothing else.
 */
VMMU_API void vmmu_tlb_forget(struct vmmu_tlb *tlb, unsigned space, uint64_t start, uint64_t end);
/* Forget everything. */
VMMU_API void vmmu_tlb_clear(struct vmmu_tlb *tlb);

/*
 * Call FN for each entry; it returns non-zero to stop, and that is returned. FN may not change the
 * TLB.
 */
VMMU_API int vmmu_tlb_visit(const struct vmmu_tlb *tlb,
			    int (*fn)(void *ctx, const struct vmmu_tlb_entry *entry), void *ctx);
VMMU_API void vmmu_tlb_stats(const struct vmmu_tlb *tlb, struct vmmu_tlb_stats *stats);

/* What the manual asks for when an entry of a second stage is replaced by another. */
enum vmmu_tlb_need {
	VMMU_TLB_NEED_NONE,
	VMMU_TLB_NEED_LOCAL,  /* whoever met the old one forgets it, others when they meet it */
	VMMU_TLB_NEED_REMOTE, /* every TLB forgets the old one */
	VMMU_TLB_NEED_BREAK,  /* the same, before the new one may stand there */
};

/*
 * By raw values, at LEVEL, of CPU's second stage. Total; VMMU_HW_X86, which has none, and a bad
 * level: NONE. Old entries count as cached unless none of their kind ever is. Accessed and dirty
 * bits are left aside: who clears one knows whether uses that go unreported matter.
 */
VMMU_API enum vmmu_tlb_need vmmu_tlb_need(const struct vmmu_hw_cpu *cpu, unsigned level,
					  uint64_t old_pte, uint64_t new_pte);

#ifdef __cplusplus
}
#endif
#endif
