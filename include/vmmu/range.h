/* SPDX-License-Identifier: MIT */
/*
 * Tables without faults: for VMMs that map a guest up front, and for translating.
 *
 * Mapping needs a VM made with VMMU_MODE_RANGES: it has no memslots, and what is mapped is what the
 * calls here mapped. The tables are the ones that faults would have built for the same pages.
 * Translating works on every VM.
 *
 * Changes are made inside an update, an exclusive section; translations inside a reader, a lockless
 * one:
 *
 * 	struct vmmu_update update;
 * 	struct vmmu_attr attr;
 *
 * 	vmmu_attr_make(vm, VMMU_RWX, VMMU_MEM_WRITEBACK, &attr);
 * 	vmmu_update_begin(vm, 0, &update);
 * 	err = vmmu_map(&update, gpa, hpa, bytes, &attr, &done);
 * 	vmmu_update_end(&update);
 *
 * TLBs have forgotten what was unmapped or restricted when vmmu_update_end() returns, not before.
 */
#ifndef VMMU_RANGE_H
#define VMMU_RANGE_H

#include <vmmu/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What vmmu_translate() gives for a gpa that is not mapped. */
#define VMMU_NOT_MAPPED UINT64_MAX

/*
 * Rights and memory type, compiled to the VM's format once. Members but access and memtype are
 * private.
 */
struct vmmu_attr {
	unsigned access;
	enum vmmu_memtype memtype;
	uint64_t leaf[VMMU_LEVELS_MAX + 1];
};

struct vmmu_update;
struct vmmu_reader;

/* Private: the calls of one format, reached through the inline functions below. */
struct vmmu_range_ops {
	int (*map)(struct vmmu_update *update, uint64_t gpa, uint64_t hpa, uint64_t bytes,
		   const struct vmmu_attr *attr, uint64_t *done);
	int (*unmap)(struct vmmu_update *update, uint64_t gpa, uint64_t bytes, uint64_t *done);
	int (*protect)(struct vmmu_update *update, uint64_t gpa, uint64_t bytes, unsigned access,
		       uint64_t *done);
	int (*write_protect)(struct vmmu_update *update, uint64_t gpa, uint64_t bytes,
			     uint64_t *done);
	int (*write_allow)(struct vmmu_update *update, uint64_t gpa, uint64_t bytes,
			   uint64_t *done);
	uint64_t (*translate)(const struct vmmu_reader *reader, uint64_t gpa);
	void (*translate_batch)(const struct vmmu_reader *reader, const uint64_t *gpas,
				uint64_t *hpas, size_t count);
	void (*attr_make)(const struct vmmu_vm *vm, struct vmmu_attr *attr);
	uint64_t (*translate_once)(struct vmmu_vm *vm, unsigned as_id, uint64_t gpa);
	void (*settle)(struct vmmu_vm *vm);
	const struct vmmu_range_ops *share; /* those of shared updates */
};

/* A section that changes the tables of one address space. All members are private. */
struct vmmu_update {
	const struct vmmu_range_ops *ops;
	struct vmmu_vm *vm;
	struct vmmu_vcpu *vcpu;
	void *root;
	uint64_t root_hpa;
	uint64_t offset;
	uint64_t records;
	unsigned records_shift;
	unsigned as_id;
};

/* A lockless section on the tables of one address space. All members are private. */
struct vmmu_reader {
	const struct vmmu_range_ops *ops;
	const struct vmmu_vm *vm;
	const void *root;
	uint64_t offset;
};

/*
 * Prepare ACCESS (VMMU_READ, and any of WRITE, EXEC) and MEMTYPE for VM's format. The result serves
 * all VMs of that format, from any thread, as long as it lives. -EINVAL: NULL, or access without
 * READ or with unknown bits.
 */
VMMU_API int vmmu_attr_make(const struct vmmu_vm *vm, unsigned access, enum vmmu_memtype memtype,
			    struct vmmu_attr *attr);

/*
 * Begin to change the tables of address space AS_ID: takes the VM's mmu lock until
 * vmmu_update_end() by the same thread. In between, this thread calls nothing else on the VM.
 * -EINVAL; -ENOTSUP: the VM is not one of VMMU_MODE_RANGES;
 * -ENOMEM: no frame for the root; -EIO: poisoned.
 */
VMMU_API int vmmu_update_begin(struct vmmu_vm *vm, unsigned as_id, struct vmmu_update *update);
/*
 * The same for several threads at once, each as a vCPU of its own (of VMMU_MODE_RANGES), in the
 * vCPU's address space. They exclude vmmu_update_begin(), not each other. In such an update there
 * are vmmu_map() and vmmu_write_allow(); the other calls give -EPERM. The tables are the same,
 * whoever comes first; two that map a page differently: the second is told -EEXIST. Of groups of
 * entries (contiguous bit, NAPOT), only whole tables are made.
 *
 * The first one of a vCPU makes every vmmu_update_begin() from then on, until the vCPU is
 * destroyed, wait for sections like this to end.
 *
 * -EINVAL; -ENOTSUP, -ENOMEM, -EIO as vmmu_update_begin(); -EBUSY: VCPU is in such a section or in
 * another call; -EDEADLK: the thread is inside a reader.
 * Cost: no lock, no line that another vCPU writes; one compare-exchange for each leaf, or for each
 * table that a range fills.
 */
VMMU_API int vmmu_update_begin_shared(struct vmmu_vcpu *vcpu, struct vmmu_update *update);
/* Flush what is owed and let go of the lock. */
VMMU_API void vmmu_update_end(struct vmmu_update *update);

/*
 * Map [gpa, gpa + bytes) to hpa onwards, all three page aligned, with the largest pages that
 * alignment, format and the VM's max_level allow.
 *
 * Errors leave what comes before *done mapped (bytes from gpa on, also written on success; done may
 * be NULL):
 *   -EINVAL  misaligned, no bytes, gpa beyond the input size or hpa beyond the output size: nothing
 *            was mapped
 *   -EEXIST  the page at gpa + *done is mapped already, and not in just this way
 *   -ENOMEM  no table frame
 * What is mapped already in just this way counts as mapped.
 *
 * Cost: one page: a walk, three tests and a store, no lock, nothing allocated but a missing table.
 * Ranges go table by table. In a shared update frames for tables come sixteen at a time.
 */
static inline int vmmu_map(struct vmmu_update *update, uint64_t gpa, uint64_t hpa, uint64_t bytes,
			   const struct vmmu_attr *attr, uint64_t *done)
{
	return update->ops->map(update, gpa, hpa, bytes, attr, done);
}

/*
 * Unmap [gpa, gpa + bytes), page aligned; what is not mapped is skipped. A large page that the
 * range cuts is split. Tables that the range covers whole are given back.
 * -EINVAL as vmmu_map(); -ENOMEM: no frame for the table of a split at gpa + *done, before which
 *         all is unmapped.
 */
static inline int vmmu_unmap(struct vmmu_update *update, uint64_t gpa, uint64_t bytes,
			     uint64_t *done)
{
	return update->ops->unmap(update, gpa, bytes, done);
}

/*
 * Give what is mapped in [gpa, gpa + bytes), page aligned, the rights ACCESS (with READ); what is
 * not mapped is skipped. WRITE is given only to what was mapped with it. A large page that the
 * range cuts is split. Accessed and dirty bits that hardware sets meanwhile are kept.
 * -EINVAL as vmmu_map(), or access without READ or with unknown bits; -ENOMEM as vmmu_unmap().
 */
static inline int vmmu_protect(struct vmmu_update *update, uint64_t gpa, uint64_t bytes,
			       unsigned access, uint64_t *done)
{
	return update->ops->protect(update, gpa, bytes, access, done);
}

/*
 * Take WRITE from all that is mapped in [gpa, gpa + bytes), whatever else it may; vmmu_protect() or
 * the lockless fix of vmmu_fault() gives it back. Errors as vmmu_protect(). Cost: no atomic for
 * entries in which hardware has nothing left to set, and whole lines or tables of them at once; one
 * for each other that changes.
 */
static inline int vmmu_write_protect(struct vmmu_update *update, uint64_t gpa, uint64_t bytes,
				     uint64_t *done)
{
	return update->ops->write_protect(update, gpa, bytes, done);
}

/*
 * Give WRITE back to all in [gpa, gpa + bytes) that was mapped with it: undoes
 * vmmu_write_protect(). Errors as vmmu_protect(). Cost: one page: a walk, three tests and a store.
 *
 * In a shared update: -ENOTSUP at a large page that the range cuts, which stays as it is.
 */
static inline int vmmu_write_allow(struct vmmu_update *update, uint64_t gpa, uint64_t bytes,
				   uint64_t *done)
{
	return update->ops->write_allow(update, gpa, bytes, done);
}

/*
 * Begin to read the tables of address space AS_ID, as they are now: an RCU read section until
 * vmmu_reader_end() by the same thread, in which it must not sleep long and not change the VM.
 * Another thread's changes are seen or not, each as a whole entry.
 * -EINVAL; -ENOENT: there is no root yet.
 */
VMMU_API int vmmu_reader_begin(struct vmmu_vm *vm, unsigned as_id, struct vmmu_reader *reader);
VMMU_API void vmmu_reader_end(struct vmmu_reader *reader);

/* The hpa behind GPA (both bytes), or VMMU_NOT_MAPPED. Cost: the walk. */
static inline uint64_t vmmu_translate(const struct vmmu_reader *reader, uint64_t gpa)
{
	return reader->ops->translate(reader, gpa);
}

/*
 * vmmu_translate() of COUNT addresses, their cache misses overlapped. GPAS and HPAS may be the same
 * array.
 */
static inline void vmmu_translate_batch(const struct vmmu_reader *reader, const uint64_t *gpas,
					uint64_t *hpas, size_t count)
{
	reader->ops->translate_batch(reader, gpas, hpas, count);
}

/*
 * One translation with its own read section; VMMU_NOT_MAPPED also for a bad VM, as_id or no root.
 * RCU: reader.
 */
VMMU_API uint64_t vmmu_translate_once(struct vmmu_vm *vm, unsigned as_id, uint64_t gpa);

#ifdef __cplusplus
}
#endif
#endif
