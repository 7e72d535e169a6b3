/* SPDX-License-Identifier: MIT */
/*
 * Linked into a command of its own, never into the real one: an entry is lost just before the audit
 * of a replay, or before the digest of its second run, as a stray store or a cosmic ray might have
 * it; or faults are told to try again, every third (retry) or all of them (stuck); or the second
 * thread cannot be had. SABOTAGE in the environment says which: audit, digest, retry, stuck or
 * thread; nothing else: nothing.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <vmmu/audit.h>
#include <vmmu/fault.h>
#include <vmmu/walk.h>

int __real_vmmu_audit(struct vmmu_vm *vm, struct vmmu_audit *audit,
		      void (*finding)(void *ctx, const struct vmmu_finding *finding), void *ctx);
int __wrap_vmmu_audit(struct vmmu_vm *vm, struct vmmu_audit *audit,
		      void (*finding)(void *ctx, const struct vmmu_finding *finding), void *ctx);
int __real_vmmu_digest(struct vmmu_vm *vm, struct vmmu_digest *digest);
int __wrap_vmmu_digest(struct vmmu_vm *vm, struct vmmu_digest *digest);
int __real_vmmu_fault(struct vmmu_vcpu *vcpu, struct vmmu_fault *fault);
int __wrap_vmmu_fault(struct vmmu_vcpu *vcpu, struct vmmu_fault *fault);
int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
			  void *(*start)(void *), void *arg);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
			  void *(*start)(void *), void *arg);

/* The first entry of the first table at level 1 that has any. */
static int lose_entry(void *ctx, const struct vmmu_table_frame *frame)
{
	uint64_t *entries = (uint64_t *)frame->data;

	(void)ctx;
	for (uint64_t i = 0; frame->level == 1 && i < frame->bytes / sizeof(*entries); i++) {
		if (!entries[i])
			continue;
		entries[i] = 0;
		return 1;
	}
	return 0;
}

static int is_to_break(const char *what)
{
	const char *wanted = getenv("SABOTAGE");

	return wanted && !strcmp(wanted, what);
}

int __wrap_vmmu_audit(struct vmmu_vm *vm, struct vmmu_audit *audit,
		      void (*finding)(void *ctx, const struct vmmu_finding *finding), void *ctx)
{
	if (is_to_break("audit"))
		vmmu_tables(vm, lose_entry, NULL);
	return __real_vmmu_audit(vm, audit, finding, ctx);
}

int __wrap_vmmu_digest(struct vmmu_vm *vm, struct vmmu_digest *digest)
{
	static unsigned runs;

	if (is_to_break("digest") && ++runs == 2)
		vmmu_tables(vm, lose_entry, NULL);
	return __real_vmmu_digest(vm, digest);
}

int __wrap_vmmu_fault(struct vmmu_vcpu *vcpu, struct vmmu_fault *fault)
{
	static atomic_uint faults;

	if (is_to_break("stuck") || (is_to_break("retry") && atomic_fetch_add(&faults, 1) % 3 == 0))
		return VMMU_RETRY;
	return __real_vmmu_fault(vcpu, fault);
}

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
			  void *(*start)(void *), void *arg)
{
	static unsigned threads;

	if (is_to_break("thread") && ++threads == 2)
		return EAGAIN;
	return __real_pthread_create(thread, attributes, start, arg);
}
