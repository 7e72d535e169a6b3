/* SPDX-License-Identifier: MIT */
/*
 * Reading the tables: one translation, or every entry.
 */
#ifndef VMMU_WALK_H
#define VMMU_WALK_H

#include <vmmu/format.h>
#include <vmmu/types.h>
#include <vmmu/vm.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The entry at which a walk ended. */
struct vmmu_walk {
	struct vmmu_entry entry; /* decoded */
	uint64_t pte;            /* as it stands in the table */
	uint64_t pte_hpa;        /* bytes: where it stands */
	uint64_t gfn;            /* first gfn that the entry covers */
	uint64_t pfn;            /* LEAF: host frame of the asked gfn itself */
	unsigned level;
	unsigned access; /* LEAF: what the whole walk grants */
};

/*
 * Walk the current root of address space AS_ID for GPA (bytes), without a lock. It is the one of
 * the VM's own kind (vmmu_vm_options.root), whatever single vCPUs may have asked for. An entry of a
 * tdp root may be VMMU_ENTRY_FROZEN for the moment that a fault takes to replace it.
 * 0, and *walk tells where it ended; -ENOENT: there is no root yet, or gpa is beyond the input
 * size; -EINVAL: as_id. RCU: reader.
 */
VMMU_API int vmmu_walk(struct vmmu_vm *vm, unsigned as_id, uint64_t gpa, struct vmmu_walk *walk);

/*
 * As vmmu_walk(), and every entry on the way: path[0] is the root's, path[*count - 1] the one where
 * the walk ended. All are read in one read section, each once, so that they belong together as
 * hardware would have met them. PATH has room for VMMU_LEVELS_MAX. RCU: reader.
 */
VMMU_API int vmmu_walk_path(struct vmmu_vm *vm, unsigned as_id, uint64_t gpa,
			    struct vmmu_walk *path, unsigned *count);

/* One entry on the way of vmmu_visit(); tables come before what is below them, in gfn order. */
struct vmmu_visit {
	uint64_t pte, pte_hpa; /* bytes */
	uint64_t gfn;
	unsigned level, as_id;
	bool obsolete; /* below a root that is no longer loaded */
	struct vmmu_entry entry;
	enum vmmu_root_mode mode; /* of the root */
};

/*
 * Call FN for each entry that is not absent, of every root, under the mmu lock. FN returns non-zero
 * to stop; that value is returned. FN must not call into the VM.
 */
VMMU_API int vmmu_visit(struct vmmu_vm *vm, int (*fn)(void *ctx, const struct vmmu_visit *visit),
			void *ctx);

/* 128-bit digest of all tables: see vmmu_digest(). */
struct vmmu_digest {
	uint64_t high, low;
};

/*
 * XXH3-128 over (address space, root, gfn, level, access, pfn, entry with table frames numbered in
 * walk order) of every entry below current roots: independent of addresses of tables and of time.
 * Takes the mmu lock.
 */
VMMU_API int vmmu_digest(struct vmmu_vm *vm, struct vmmu_digest *digest);

/* A table frame on the way of vmmu_tables(). */
struct vmmu_table_frame {
	uint64_t hpa; /* bytes */
	uint64_t bytes;
	const void *data; /* valid during the call */
	unsigned level, as_id;
	bool root;
};

/*
 * Call FN for each live table frame below current roots, root first, under the mmu lock; stops and
 * returns as vmmu_visit().
 */
VMMU_API int vmmu_tables(struct vmmu_vm *vm,
			 int (*fn)(void *ctx, const struct vmmu_table_frame *frame), void *ctx);

#ifdef __cplusplus
}
#endif
#endif
