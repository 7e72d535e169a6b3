/* SPDX-License-Identifier: MIT */
/*
 * x86 page tables proper: guest tables of every mode and AMD's nested tables are the same thing
 * read for different people.
 */
#ifndef VMMU_HW_X86_H
#define VMMU_HW_X86_H

#include "hw/walk.h"

#define X86_CR0_WP    BIT64(16)
#define X86_CR0_PG    BIT64(31)
#define X86_CR4_PSE   BIT64(4)
#define X86_CR4_PAE   BIT64(5)
#define X86_CR4_LA57  BIT64(12)
#define X86_CR4_SMEP  BIT64(20)
#define X86_CR4_SMAP  BIT64(21)
#define X86_CR4_PKE   BIT64(22)
#define X86_CR4_PKS   BIT64(24)
#define X86_CR4_LAM   BIT64(28)
#define X86_CR3_LAM48 BIT64(62)
#define X86_CR3_LAM57 BIT64(61)
#define X86_EFER_LMA  BIT64(10)
#define X86_EFER_NXE  BIT64(11)
#define X86_FLAGS_AC  BIT64(18)

#define X86_P  BIT64(0)
#define X86_W  BIT64(1)
#define X86_U  BIT64(2)
#define X86_A  BIT64(5)
#define X86_D  BIT64(6)
#define X86_PS BIT64(7)
#define X86_G  BIT64(8)
#define X86_NX BIT64(63)

/* Bits of the page-fault error code; NPF's EXITINFO1 begins with the same. */
#define X86_ERR_P    (1u << 0)
#define X86_ERR_W    (1u << 1)
#define X86_ERR_U    (1u << 2)
#define X86_ERR_RSVD (1u << 3)
#define X86_ERR_ID   (1u << 4)
#define X86_ERR_PK   (1u << 5)
#define X86_ERR_SS   (1u << 6)

/* One set of tables and how the CPU reads them. */
struct x86_tables {
	uint64_t root;         /* bytes */
	const uint64_t *pdpte; /* PAE: top-level entries held in registers, or NULL */
	uint8_t stage;         /* 1 guest, 2 nested */
	uint8_t levels;        /* 2: 32-bit, 3: PAE, 4, 5 */
	uint8_t entry_bytes;
	uint8_t maxphyaddr;
	bool has_nx, has_pse, has_pse36, has_1g, is_amd;
};

/* How a walk of tables ended. */
enum x86_end {
	X86_LEAF,
	X86_ABSENT,
	X86_RESERVED
};

/* The entries a walk met, root first, and what they grant together. */
struct x86_path {
	struct hw_slot slot[VMMU_LEVELS_MAX];
	unsigned count;
	const struct hw_slot *last; /* the entry read or updated last: a failure is its */
	enum x86_end end;
	uint64_t rights;       /* X86_W and X86_U and-ed, X86_NX or-ed */
	uint64_t upper_rights; /* the same without the leaf */
	uint64_t output;       /* LEAF: bytes */
	uint8_t page_lg2;      /* LEAF */
};

/* Tables that these paging registers ask for; root and pdpte are left to the caller. */
void x86_tables_init(struct x86_tables *tables, const struct vmmu_hw_x86 *x86, uint64_t cr4,
		     uint64_t efer);
/* Lg2 bytes that an entry at LEVEL covers. */
unsigned x86_shift(const struct x86_tables *tables, unsigned level);
/*
 * Walk to where INPUT is mapped or not. HW_OK: path->end says how it ended; else as walk_fetch():
 * path->last is the entry that could not be read. No permission is judged and nothing is updated.
 */
enum hw_result x86_walk(struct hw_run *run, const struct x86_tables *tables, uint64_t input,
			struct x86_path *path);
/* Set A in every entry of PATH, and D in the leaf if ACCESS writes; root first. As walk_store(). */
enum hw_result x86_mark(struct hw_run *run, const struct x86_tables *tables, struct x86_path *path,
			unsigned access);
/* Fill what does not depend on rights: addresses, size, type, dirty, global. */
void x86_mapping(const struct x86_path *path, struct vmmu_hw_mapping *mapping);
/* Registers that hold for any x86: address width, known features. */
bool x86_is_valid(const struct vmmu_hw_cpu *cpu);
/* The guest's part of an access. */
enum hw_result x86_stage1(struct hw_run *run);

#endif
