/* SPDX-License-Identifier: MIT */
/*
 * For every operation of inject_ops.c and every n: the n-th thing it asks for is not there. Then
 *
 *   it says so in a way that its header lists, or gets by without;
 *   the VM is as sound as before, and not poisoned;
 *   it succeeds when asked again, and the tables are those of a run in which nothing failed;
 *   nothing is left of it when all is destroyed: no block, no file descriptor.
 */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>

#include "base/mem.h"
#include "faults/inject.h"
#include "faults/lender.h"
#include "faults/roots.h"
#include "faults/vm.h"
#include "format/outside.h"

/* No operation here asks for more. */
#define NTH_MAX 600
/* The first NTH_FULL are each tried; of the rest (a replay's) every NTH_STEP-th. */
#define NTH_FULL 60
#define NTH_STEP 17

static long heap_left = -1; /* < 0: none fails */
static bool has_failed;

static void *failing_alloc(size_t bytes)
{
	if (heap_left >= 0 && heap_left-- == 0) {
		has_failed = true;
		return NULL;
	}
	return calloc(1, bytes);
}

static const struct mem_ops failing = {.alloc = failing_alloc, .free = free};

/* One way to fail: what, and for a lookup how. */
struct failure {
	enum inject_kind kind;
	enum vmmu_resolve_status answer;
};

static const struct failure failures[] = {
	{.kind = INJECT_HEAP},
	{.kind = INJECT_FRAME},
	{.kind = INJECT_LENDER},
	{INJECT_CALLBACK, VMMU_RESOLVE_READ_ONLY},
	{INJECT_CALLBACK, VMMU_RESOLVE_UNMAPPED},
	{INJECT_CALLBACK, VMMU_RESOLVE_POISONED},
	{INJECT_CALLBACK, VMMU_RESOLVE_WOULD_BLOCK},
	{INJECT_CALLBACK, VMMU_RESOLVE_INTERRUPTED},
};

static void arm(struct inject_stage *stage, const struct failure *failure, long n)
{
	has_failed = false;
	stage->has_answered = false;
	stage->answer = failure->answer;
	heap_left = failure->kind == INJECT_HEAP ? n : -1;
	stage->lookups_left = failure->kind == INJECT_CALLBACK ? n : -1;
	if (failure->kind == INJECT_FRAME)
		stage->vm->tree.frames.left = (uint64_t)n;
	lender.left = failure->kind == INJECT_LENDER ? n : -1;
	lender.has_refused = false;
}

/* Did anything fail? */
static bool disarm(struct inject_stage *stage, const struct failure *failure, int result)
{
	heap_left = -1;
	stage->lookups_left = -1;
	stage->vm->tree.frames.left = UINT64_MAX;
	lender.left = -1;
	/* frames are looked for before they are taken: the refusal is all that shows */
	if (failure->kind == INJECT_FRAME)
		return result == -ENOMEM || result == -EAGAIN;
	return has_failed || stage->has_answered || lender.has_refused;
}

static unsigned descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned count = 0;

	cr_assert_not_null(dir);
	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

static void check_sound(struct inject_stage *stage, const struct inject_op *op, long n)
{
	struct vmmu_audit audit = {0};

	cr_assert_eq(vmmu_audit(stage->vm, &audit, NULL, NULL), 0);
	cr_assert_eq(audit.violations, 0, "%s, %ld: audit", op->name, n);
	cr_assert_eq(stage->bugs, 0, "%s, %ld: poisoned", op->name, n);
}

/*
 * Is RESULT one that the failure may lead to? Of prefault the errors, of faults the outcomes;
 * -EAGAIN is a prefault that went as far as it could.
 */
static bool is_result_legal(const struct failure *failure, int result)
{
	if (failure->kind != INJECT_CALLBACK)
		return result == -ENOMEM || result == -EAGAIN;
	switch (failure->answer) {
	case VMMU_RESOLVE_READ_ONLY:
		/* of a read, as prefault's are, no host may say so: taken as no memory there */
		return result == VMMU_EMULATE || result == -ENOENT || result == -EAGAIN;
	case VMMU_RESOLVE_INTERRUPTED:
		return result == VMMU_RETRY || result == -EINTR || result == -EAGAIN;
	case VMMU_RESOLVE_POISONED:
		return result == VMMU_EXIT_TO_HOST || result == -EHWPOISON || result == -EAGAIN;
	default:
		return result == VMMU_EXIT_TO_HOST || result == -EFAULT || result == -EAGAIN;
	}
}

static struct vmmu_digest digest_of(struct inject_stage *stage)
{
	struct vmmu_digest digest;

	cr_assert_eq(vmmu_digest(stage->vm, &digest), 0);
	return digest;
}

/* Tables of a run in which nothing fails, and what it returns. */
static struct vmmu_digest run_undisturbed(const struct vmmu_format *format,
					  const struct inject_op *op, int *result)
{
	struct inject_stage stage;
	struct vmmu_digest digest;

	inject_stage_make(&stage, format, op->mode, INJECT_KINDS);
	if (op->prepare)
		op->prepare(&stage);
	*result = op->run(&stage);
	cr_assert_geq(*result, 0, "%s: %d", op->name, *result);
	digest = digest_of(&stage);
	check_sound(&stage, op, -1);
	inject_stage_end(&stage);
	return digest;
}

struct reference {
	struct vmmu_digest digest;
	int result;
};

/* One run; false: OP did not ask for an n-th. */
static bool run_failing(const struct vmmu_format *format, const struct inject_op *op,
			const struct failure *failure, long n, const struct reference *reference)
{
	size_t blocks = mem_live();
	unsigned files = descriptors();
	struct inject_stage stage;
	struct vmmu_digest digest;
	bool is_hit, is_repeated;
	int result;

	inject_stage_make(&stage, format, op->mode, failure->kind);
	if (op->prepare)
		op->prepare(&stage);
	arm(&stage, failure, n);
	result = op->run(&stage);
	is_hit = disarm(&stage, failure, result);
	check_sound(&stage, op, n);
	is_repeated = is_hit && result != reference->result;
	if (is_repeated) {
		cr_assert(is_result_legal(failure, result), "%s, %ld: %d", op->name, n, result);
		result = op->run(&stage);
	}
	cr_assert_eq(result, reference->result, "%s, after %ld: %d", op->name, n, result);
	check_sound(&stage, op, n);
	digest = digest_of(&stage);
	/* a lookup ahead of need that found nothing is no failure: less is mapped */
	if (is_repeated || !is_hit || failure->kind != INJECT_CALLBACK)
		cr_assert(digest.high == reference->digest.high &&
				  digest.low == reference->digest.low,
			  "%s, after %ld: other tables", op->name, n);
	inject_stage_end(&stage);
	cr_assert_eq(mem_live(), blocks, "%s, %ld: %zu blocks leaked", op->name, n,
		     mem_live() - blocks);
	cr_assert_eq(descriptors(), files, "%s, %ld: file descriptors leaked", op->name, n);
	return is_hit;
}

static void run_op(const struct vmmu_format *format, const struct inject_op *op)
{
	struct reference reference;

	reference.digest = run_undisturbed(format, op, &reference.result);
	for (size_t i = 0; i < sizeof(failures) / sizeof(failures[0]); i++) {
		long n = 0;

		/* heap and frames are taken away from everybody */
		if (failures[i].kind == INJECT_CALLBACK && !(op->kinds >> INJECT_CALLBACK & 1))
			continue;
		while (run_failing(format, op, &failures[i], n, &reference)) {
			n += n < NTH_FULL ? 1 : NTH_STEP;
			cr_assert_lt(n, NTH_MAX, "%s asks for no end of it", op->name);
		}
		/* faults of tdp roots take nothing from the heap: those that need frames */
		if (is_tdp() && failures[i].kind == INJECT_HEAP &&
		    (op->kinds >> INJECT_FRAME & 1)) {
			cr_assert_eq(n, 0, "%s uses the heap", op->name);
			continue;
		}
		/* an operation that is never refused would prove nothing */
		cr_assert(n || !(op->kinds >> failures[i].kind & 1), "%s: kind %d never fails",
			  op->name, (int)failures[i].kind);
	}
}

ParameterizedTestParameters(inject, nth_thing_missing__fails_clean_and_succeeds_later)
{
	static unsigned indexes[32];
	unsigned count = 0;

	while (count < 32 && outside_at(count)) {
		indexes[count] = count;
		count++;
	}
	return cr_make_param_array(unsigned, indexes, count);
}

ParameterizedTest(unsigned *index, inject, nth_thing_missing__fails_clean_and_succeeds_later)
{
	const struct vmmu_format *format = outside_at(*index);

	mem_ops_set(&failing);
	vmmu_thread_register();
	for (const struct inject_op *op = inject_ops; op->name; op++) {
		if (!*index || !(op->kinds & INJECT_ONCE))
			run_op(format, op);
	}
	vmmu_thread_unregister();
}
