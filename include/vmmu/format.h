/* SPDX-License-Identifier: MIT */
/*
 * PTE formats: which there are, their geometry, how they read an entry and a fault report.
 *
 * Formats are immutable and live as long as the process; every function here is pure, takes no lock
 * and may be called from any thread.
 */
#ifndef VMMU_FORMAT_H
#define VMMU_FORMAT_H

#include <vmmu/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct vmmu_fault;

/* The shape of a format's tables. All arrays are indexed by level, [0] is unused. */
struct vmmu_geometry {
	uint8_t page_shift; /* lg2 bytes of the smallest page: 12, 14, 16 */
	/* table levels, the root's included: 1..VMMU_LEVELS_MAX */
	uint8_t levels;
	uint8_t leaf_levels;                /* bit l set: an entry at level l may be a leaf */
	uint8_t gpa_bits;                   /* input address bits that tables translate */
	uint8_t pa_bits;                    /* output address bits that an entry can hold */
	uint8_t shift[VMMU_LEVELS_MAX + 1]; /* lg2 bytes that one entry at this level maps */
	/* lg2 entries of a table at this level; roots may be wider */
	uint8_t index_bits[VMMU_LEVELS_MAX + 1];
	/* lg2 bytes of a table frame at this level, also its alignment */
	uint8_t table_lg2[VMMU_LEVELS_MAX + 1];
	/*
	 * lg2 entries of a group: aligned neighbours that together map one aligned range of memory
	 * and say so, so that a TLB may hold them as one (Arm's contiguous bit, Svnapot). 0: no
	 * groups. Formats of vmmu_format_register() have none.
	 */
	uint8_t group_lg2[VMMU_LEVELS_MAX + 1];
};

/* What a format can do; flags of vmmu_format_info.caps. */
enum vmmu_format_cap {
	VMMU_CAP_HW_DIRTY = 1 << 0,   /* hardware sets accessed and dirty bits in our entries */
	VMMU_CAP_EXEC_ONLY = 1 << 1,  /* execute without read is representable */
	VMMU_CAP_WRITE_ONLY = 1 << 2, /* write without read is representable */
	/* hardware reports an MMIO entry as its own kind of fault */
	VMMU_CAP_MMIO_TRAP = 1 << 3,
	VMMU_CAP_BREAK_FIRST = 1 << 4,   /* valid-to-valid changes need break-before-make */
	VMMU_CAP_CACHES_ABSENT = 1 << 5, /* not-present entries may be cached by a TLB */
};

struct vmmu_format_info {
	const char *name;         /* "ept4", "npt5", "sv48x4", "arm-s2-4k" ... */
	const char *architecture; /* "x86-ept", "x86-npt", "riscv64", "arm64" */
	const char *description;  /* one line for people */
	const struct vmmu_geometry *geometry;
	unsigned caps; /* enum vmmu_format_cap, or-ed */
	/* width of the generation that an MMIO entry carries */
	unsigned mmio_gen_bits;
};

/*
 * What an entry says. Levels matter: the same bits may mean different things at different levels.
 */
enum vmmu_entry_kind {
	VMMU_ENTRY_ABSENT, /* nothing mapped */
	VMMU_ENTRY_FROZEN, /* owned by a writer for the moment; never seen in an idle tree */
	VMMU_ENTRY_MMIO,   /* no memory behind it: remembers gfn, access, memslot generation */
	VMMU_ENTRY_TABLE,  /* points to a table one level down */
	VMMU_ENTRY_LEAF,   /* maps a page */
};

struct vmmu_entry {
	enum vmmu_entry_kind kind;
	/* LEAF: what hardware grants; MMIO: what the faulting access had */
	unsigned access;
	enum vmmu_memtype memtype; /* LEAF */
	uint64_t pfn;              /* LEAF: first host frame; see group_lg2 */
	uint64_t table_hpa;        /* TABLE: bytes */
	uint64_t gfn;              /* MMIO */
	uint64_t generation;       /* MMIO: memslot generation, mmio_gen_bits wide */
	bool host_writable;        /* LEAF: the host lets the page be written */
	bool mmu_writable;         /* LEAF: write may be given back without a lock */
	bool accessed, dirty;      /* LEAF, as far as the format has the bits */
	bool malformed;            /* reserved bits or combinations set */
	/*
	 * LEAF: lg2 entries of the group that it belongs to; 0: it stands alone. vmmu_entry_read(),
	 * which does not know the entry's place, gives the pfn of the group's first entry.
	 */
	unsigned group_lg2;
};

/* The registers in which hardware (or a trace of it) reports a fault; see vmmu_fault_decode(). */
struct vmmu_syndrome {
	/* bytes: x86 the reported guest-physical address; others 0, it is derived */
	uint64_t gpa;
	/*
	 * EPT: [0] exit reason (48 violation, 49 misconfiguration), [1] qualification
	 * NPT: [0] EXITINFO1 (the error code)
	 * RISC-V: [0] scause, [1] stval, [2] htval, [3] htinst
	 * Arm: [0] ESR_EL2, [1] FAR_EL2, [2] HPFAR_EL2
	 */
	uint64_t reg[5];
};

/* The format called NAME, or NULL. */
VMMU_API const struct vmmu_format *vmmu_format_find(const char *name);
/* Format number INDEX (0, 1, ...) in listing order, or NULL past the last. */
VMMU_API const struct vmmu_format *vmmu_format_at(unsigned index);
/* Never NULL; owned by the format. */
VMMU_API const struct vmmu_format_info *vmmu_format_info(const struct vmmu_format *format);
/*
 * Read PTE as an entry at LEVEL (1..levels). Total: any 64-bit value is accepted. -EINVAL: level
 * out of range.
 */
VMMU_API int vmmu_entry_read(const struct vmmu_format *format, uint64_t pte, unsigned level,
			     struct vmmu_entry *entry);
/*
 * Turn a fault report of ARCHITECTURE (a vmmu_format_info.architecture) into the neutral inputs of
 * FAULT, which is cleared first. -EINVAL: unknown architecture; -ENOMSG: the registers do not
 * report a second-stage fault (a misconfiguration or reserved-bit report is one: VMMU_FAULT_RSVD).
 */
VMMU_API int vmmu_fault_decode(const char *architecture, const struct vmmu_syndrome *syndrome,
			       struct vmmu_fault *fault);

#ifdef __cplusplus
}
#endif
#endif
