/* SPDX-License-Identifier: MIT */
/*
 * Words that every vmmu header shares: access rights, memory types, levels.
 *
 * A gfn (guest frame number) and a pfn (host frame number) count smallest pages of the VM's format:
 * the shift is vmmu_geometry.page_shift (12, 14 or 16). Addresses (gpa, hva, hpa) are in bytes.
 * Levels count up from 1, the smallest page; the architecture manuals' own numbers stay inside a
 * format.
 */
#ifndef VMMU_TYPES_H
#define VMMU_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define VMMU_API __attribute__((visibility("default")))
#else
#define VMMU_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Table levels any format may have; arrays indexed by level have VMMU_LEVELS_MAX + 1 slots. */
#define VMMU_LEVELS_MAX 5
/* Address spaces of a VM: 0 is the normal one, 1 is x86 SMM's. */
#define VMMU_ADDRESS_SPACES_MAX 2

/* Access rights; a fault has exactly one, an entry any combination. */
enum vmmu_access {
	VMMU_READ = 1,
	VMMU_WRITE = 2,
	VMMU_EXEC = 4,
	VMMU_RWX = 7,
};

/* What the host wants cached how; a format maps it to its own encoding. */
enum vmmu_memtype {
	VMMU_MEM_WRITEBACK,    /* ordinary RAM */
	VMMU_MEM_NONCACHEABLE, /* RAM-like, uncached or write-combining */
	VMMU_MEM_DEVICE,       /* I/O memory */
};

struct vmmu_vm;
struct vmmu_vcpu;
struct vmmu_format;

#ifdef __cplusplus
}
#endif
#endif
