/* SPDX-License-Identifier: MIT */
/*
 * Formats from outside: what a PTE format is made of, and how to hand one to the library.
 *
 * A format is a geometry, some facts, and a table of functions that make and read entries. All of
 * them are pure and total: any 64-bit entry at any level 1..levels is a legal argument and gives a
 * defined answer, always the same one. Where a comment below says "LEAF", the answer for an entry
 * of another kind means nothing, but there must be one. All take the level, since the same bits may
 * mean different things at different levels. They are called from any thread, with locks held: they
 * call nothing of this library and never wait.
 *
 * Once a format is registered the library trusts it as it trusts its own. Hence the selftest: the
 * laws that every format keeps, listed in docs/formats.md with what each is there for.
 */
#ifndef VMMU_FORMAT_OPS_H
#define VMMU_FORMAT_OPS_H

#include <vmmu/format.h>
#include <vmmu/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What a leaf is made of. */
struct vmmu_leaf {
	/* First host frame, aligned to the level. */
	uint64_t pfn;
	/*
	 * VMMU_READ unless the caps say that it can be left out; WRITE only with both flags below.
	 */
	unsigned access;
	enum vmmu_memtype memtype;
	/* Software bit: the host lets the page be written. */
	bool host_writable;
	/* Software bit: WRITE may be given back locklessly; implies host_writable. */
	bool mmu_writable;
	/*
	 * Hardware's bits as to be written. Formats without VMMU_CAP_HW_DIRTY, where nobody would
	 * set them later, set accessed always and dirty at least with WRITE.
	 */
	bool accessed, dirty;
};

/* Every format's MMIO entry has room for gfns of this many bits. */
#define VMMU_MMIO_GFN_BITS 40

/* What an MMIO entry is made of. */
struct vmmu_mmio {
	/* Below 2^VMMU_MMIO_GFN_BITS; for a larger one no entry is installed. */
	uint64_t gfn;
	/* What the installing fault's entry would have granted: VMMU_READ always, WRITE, EXEC. */
	unsigned access;
	/* Memslot generation, mmio_gen_bits wide. */
	uint64_t generation;
};

/* Which TLBs must forget when an entry changes. */
enum vmmu_flush_due {
	VMMU_FLUSH_NONE,
	/* The vCPU that faulted, and lazily any other: absent entries may be cached. */
	VMMU_FLUSH_LOCAL,
	/* All vCPUs, before the lock is dropped. */
	VMMU_FLUSH_REMOTE,
};

struct vmmu_format_ops {
	size_t size; /* sizeof(struct vmmu_format_ops) of the author */

	enum vmmu_entry_kind (*classify)(uint64_t pte, unsigned level);
	/* TABLE or LEAF? */
	bool (*is_present)(uint64_t pte, unsigned level);
	/* LEAF: first frame, in smallest pages. */
	uint64_t (*leaf_pfn)(uint64_t pte, unsigned level);
	/* TABLE: bytes. */
	uint64_t (*table_hpa)(uint64_t pte, unsigned level);
	/* LEAF, not malformed: VMMU_* that hardware grants. */
	unsigned (*access)(uint64_t pte, unsigned level);
	/* LEAF. */
	enum vmmu_memtype (*memtype)(uint64_t pte, unsigned level);
	/* Hardware would call it reserved or misconfigured, and it is no MMIO entry. */
	bool (*is_malformed)(uint64_t pte, unsigned level);

	/* level has its bit in leaf_levels. */
	uint64_t (*make_leaf)(struct vmmu_leaf leaf, unsigned level);
	/* LEAF as make_leaf() makes it for pfn 0: its value for PFN, all else equal. */
	uint64_t (*leaf_with_pfn)(uint64_t leaf, uint64_t pfn, unsigned level);
	/* level >= 2; hpa of a table one level down, bytes. */
	uint64_t (*make_table)(uint64_t hpa, unsigned level);
	uint64_t (*make_absent)(unsigned level);
	/* Not present to hardware; classify says FROZEN. */
	uint64_t (*make_frozen)(unsigned level);
	/* level 1. */
	uint64_t (*make_mmio)(struct vmmu_mmio mmio, unsigned level);
	/* MMIO. */
	struct vmmu_mmio (*parse_mmio)(uint64_t pte, unsigned level);

	/* LEAF, all from here to is_volatile. */
	bool (*host_writable)(uint64_t pte, unsigned level);
	bool (*mmu_writable)(uint64_t pte, unsigned level);
	/* Without WRITE, mmu_writable kept. */
	uint64_t (*write_protect)(uint64_t pte, unsigned level);
	/* Without WRITE and mmu_writable. */
	uint64_t (*write_forbid)(uint64_t pte, unsigned level);
	/* With mmu_writable: WRITE and dirty set. */
	uint64_t (*write_allow)(uint64_t pte, unsigned level);
	/* Formats without the bit: true. */
	bool (*is_accessed)(uint64_t pte, unsigned level);
	/* Formats without the bit: WRITE granted. */
	bool (*is_dirty)(uint64_t pte, unsigned level);
	uint64_t (*clear_accessed)(uint64_t pte, unsigned level);
	/* Formats without VMMU_CAP_HW_DIRTY take WRITE away too, mmu_writable kept. */
	uint64_t (*clear_dirty)(uint64_t pte, unsigned level);

	/*
	 * LEAF: may hardware or the lockless fix change it at any moment? (A missing, or W set and
	 * D missing, where hardware may set them; WRITE missing and mmu_writable set.) Others:
	 * false.
	 */
	bool (*is_volatile)(uint64_t pte, unsigned level);
	/* Is break-before-make due? */
	bool (*needs_break)(uint64_t old_pte, uint64_t new_pte, unsigned level);
	enum vmmu_flush_due (*flush_needed)(uint64_t old_pte, uint64_t new_pte, unsigned level);
};

/* Longest name of a format, in bytes. */
#define VMMU_FORMAT_NAME_MAX 63

/* A law that a format breaks, and by which values. */
struct vmmu_broken_law {
	const char *law;     /* one of docs/formats.md; lives as long as the process */
	unsigned level;      /* of the entries below; 0: the law is about none */
	uint64_t pte, other; /* the entry; the changed or second one, if the law is about two */
};

/* The functions of FORMAT, one of ours or from outside; never NULL, owned by the format. */
VMMU_API const struct vmmu_format_ops *vmmu_format_ops(const struct vmmu_format *format);

/*
 * Does what INFO and OPS describe keep the laws of all formats? Each family of laws is tried with
 * single bits, pairs of bits and random values that start from SEED; FN (NULL: not) is called with
 * the first broken law of each. A broken shape ends it: the others rest on it.
 *
 * Returns how many laws were found broken, 0 for a sound format; -EINVAL: INFO or OPS is NULL, or
 * OPS has another size. Nothing is registered, kept or allocated. Any thread; takes no lock. Cost:
 * some ten million calls of OPS, a fraction of a second.
 */
VMMU_API int vmmu_format_conformance(const struct vmmu_format_info *info,
				     const struct vmmu_format_ops *ops, uint64_t seed,
				     void (*fn)(void *ctx, const struct vmmu_broken_law *broken),
				     void *ctx);

/*
 * Register what INFO and OPS describe, if it keeps the laws: VMs can be made with *FORMAT then, and
 * vmmu_format_find() and vmmu_format_at() have it. Strings, geometry and table are copied; the
 * functions must stay until vmmu_format_unregister(). The name has 1 to VMMU_FORMAT_NAME_MAX
 * printable characters and no space.
 *
 *   -EINVAL  NULL, another size, a bad name, or a law is broken
 *   -EEXIST  a format of this name exists, or the name is one of ours
 *   -ENOMEM
 *
 * With an error WHY (WHY_BYTES of it, NULL: not wanted) holds one line that says what is wrong;
 * without, it is empty. Any thread. Cost: vmmu_format_conformance().
 */
VMMU_API int vmmu_format_register(const struct vmmu_format_info *info,
				  const struct vmmu_format_ops *ops,
				  const struct vmmu_format **format, char *why, size_t why_bytes);

/*
 * Take FORMAT, which vmmu_format_register() gave, out of the list and free it; nobody may use it
 * afterwards. -EINVAL: NULL, or one of ours; -EBUSY: a VM uses it. Any thread. The child of a
 * fork() has the list as it was, whatever other threads were doing to it.
 */
VMMU_API int vmmu_format_unregister(const struct vmmu_format *format);

#ifdef __cplusplus
}
#endif
#endif
