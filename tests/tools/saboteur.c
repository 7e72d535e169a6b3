/* SPDX-License-Identifier: MIT */
/*
 * Linked into a command of its own, never into the real one: an entry is lost just before the audit
 * of a replay, or before the digest of its second run, as a stray store or a cosmic ray might have
 * it. SABOTAGE in the environment says which: audit or digest; nothing else: nothing.
 */
#include <stdlib.h>
#include <string.h>
#include <vmmu/audit.h>
#include <vmmu/walk.h>

int __real_vmmu_audit(struct vmmu_vm *vm, struct vmmu_audit *audit,
		      void (*finding)(void *ctx, const struct vmmu_finding *finding), void *ctx);
int __wrap_vmmu_audit(struct vmmu_vm *vm, struct vmmu_audit *audit,
		      void (*finding)(void *ctx, const struct vmmu_finding *finding), void *ctx);
int __real_vmmu_digest(struct vmmu_vm *vm, struct vmmu_digest *digest);
int __wrap_vmmu_digest(struct vmmu_vm *vm, struct vmmu_digest *digest);

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
