/* SPDX-License-Identifier: MIT */
/* Formats come in by vmmu_format_register() and go again; a broken one stays outside. */
#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vmmu/vmmu.h>

#include "base/bits.h"
#include "base/failing_mem.h"
#include "base/mem.h"
#include "format/hostile.h"

/* EPT under another name, to be changed by each test. */
struct draft {
	struct vmmu_format_info info;
	struct vmmu_format_ops ops;
	struct vmmu_geometry geometry;
	char name[80];
};

static void draft_name(struct draft *draft, const char *name)
{
	snprintf(draft->name, sizeof(draft->name), "%s", name);
}

static void draft_init(struct draft *draft)
{
	const struct vmmu_format *ept4 = vmmu_format_find("ept4");

	draft->info = *vmmu_format_info(ept4);
	draft->ops = *vmmu_format_ops(ept4);
	draft->geometry = *draft->info.geometry;
	draft_name(draft, "mine");
	draft->info.name = draft->name;
	draft->info.geometry = &draft->geometry;
}

static unsigned count_formats(void)
{
	unsigned count = 0;

	while (vmmu_format_at(count))
		count++;
	return count;
}

/* The result and *WHY of registering DRAFT; nothing may be left of a format that was refused. */
static int try_register(const struct draft *draft, char *why, size_t why_bytes)
{
	const struct vmmu_format *format = NULL;
	size_t live = mem_live();
	unsigned count = count_formats();
	int err = vmmu_format_register(&draft->info, &draft->ops, &format, why, why_bytes);

	if (err) {
		cr_expect_null(format);
		cr_expect_eq(mem_live(), live);
		cr_expect_eq(count_formats(), count);
	}
	return err;
}

static enum vmmu_resolve_status resolve(void *ctx, const struct vmmu_page_request *request,
					struct vmmu_page *page)
{
	(void)ctx;
	if (request->flags & VMMU_RESOLVE_NO_FAULT)
		return VMMU_RESOLVE_UNMAPPED;
	*page = (struct vmmu_page){.pfn = request->gfn + 0x1000, .level = 1, .writable = true};
	return VMMU_RESOLVE_OK;
}

static const struct vmmu_env env = {.size = sizeof(env), .resolve = resolve};

static struct vmmu_vm *create_vm(const struct vmmu_format *format, const struct vmmu_env *with,
				 void *ctx)
{
	struct vmmu_vm_options options = {
		.size = sizeof(options), .format = format, .env = with, .env_ctx = ctx};
	struct vmmu_vm *vm;

	cr_assert_eq(vmmu_vm_create(&options, &vm), 0);
	return vm;
}

Test(register, sound_format__is_found_listed_copied_and_gone)
{
	struct draft draft;
	const struct vmmu_format *format;
	unsigned count = count_formats();
	size_t live = mem_live();
	char why[64] = "old";

	draft_init(&draft);
	cr_assert_eq(vmmu_format_register(&draft.info, &draft.ops, &format, why, sizeof(why)), 0);
	cr_expect_str_eq(why, "");
	memset(&draft, 0xff, sizeof(draft));
	cr_expect_eq(vmmu_format_find("mine"), format);
	cr_expect_eq(vmmu_format_at(count), format);
	cr_expect_null(vmmu_format_at(count + 1));
	cr_expect_str_eq(vmmu_format_info(format)->name, "mine");
	cr_expect_str_eq(vmmu_format_info(format)->architecture, "x86-ept");
	cr_expect_str_eq(vmmu_format_info(format)->description,
			 vmmu_format_info(vmmu_format_find("ept4"))->description);
	cr_expect_eq(vmmu_format_info(format)->geometry->gpa_bits, 48);
	cr_expect_eq(vmmu_format_ops(format)->make_frozen(1), 0x5a0);
	cr_assert_eq(vmmu_format_unregister(format), 0);
	cr_expect_null(vmmu_format_find("mine"));
	cr_expect_eq(count_formats(), count);
	cr_expect_eq(mem_live(), live);
}

Test(register, several__are_listed_in_order_and_go_in_any)
{
	const struct vmmu_format *formats[3];
	struct draft draft;
	unsigned count = count_formats();

	draft_init(&draft);
	for (unsigned i = 0; i < 3; i++) {
		draft_name(&draft, (const char *const[]){"b", "a", "c"}[i]);
		cr_assert_eq(vmmu_format_register(&draft.info, &draft.ops, &formats[i], NULL, 0),
			     0);
	}
	for (unsigned i = 0; i < 3; i++)
		cr_expect_eq(vmmu_format_at(count + i), formats[i]);
	cr_assert_eq(vmmu_format_unregister(formats[1]), 0);
	cr_expect_eq(vmmu_format_at(count + 1), formats[2]);
	cr_assert_eq(vmmu_format_unregister(formats[0]), 0);
	cr_assert_eq(vmmu_format_unregister(formats[2]), 0);
	cr_expect_eq(count_formats(), count);
}

Test(register, name_taken__exists)
{
	static const char *const taken[] = {"ept4", "arm-s2-64k", "arm-s2-4k-36-l1"};
	const struct vmmu_format *format;
	struct draft draft;
	char why[128];

	draft_init(&draft);
	for (unsigned i = 0; i < ARRAY_COUNT(taken); i++) {
		draft_name(&draft, taken[i]);
		cr_expect_eq(try_register(&draft, why, sizeof(why)), -EEXIST);
		cr_expect_not_null(strstr(why, taken[i]), "%s", why);
	}
	draft_name(&draft, "mine");
	cr_assert_eq(vmmu_format_register(&draft.info, &draft.ops, &format, NULL, 0), 0);
	cr_expect_eq(try_register(&draft, why, sizeof(why)), -EEXIST);
	cr_expect_eq(vmmu_format_unregister(format), 0);
}

/* ---- refusals ---- */

static uint64_t leaf_with_reserved_bit(struct vmmu_leaf leaf, unsigned level)
{
	return vmmu_format_ops(vmmu_format_find("ept4"))->make_leaf(leaf, level) |
	       (level == 3 ? BIT64(12) : 0);
}

static uint64_t write_protect_nothing(uint64_t pte, unsigned level)
{
	(void)level;
	return pte;
}

Test(register, broken_format__is_refused_with_law_and_values)
{
	struct draft draft;
	char why[256];

	draft_init(&draft);
	draft.ops.make_leaf = leaf_with_reserved_bit;
	cr_expect_eq(try_register(&draft, why, sizeof(why)), -EINVAL);
	cr_expect_not_null(strstr(why, "leaves: a leaf does not read as one (level 3, entry 0x"),
			   "%s", why);
	draft_init(&draft);
	draft.info.mmio_gen_bits = 20;
	cr_expect_eq(try_register(&draft, why, sizeof(why)), -EINVAL);
	cr_expect_not_null(strstr(why, "mmio: generation, gfn or access is lost"), "%s", why);
	draft_init(&draft);
	draft.ops.needs_break = NULL;
	cr_expect_eq(try_register(&draft, why, sizeof(why)), -EINVAL);
	cr_expect_str_eq(why, "ops: a function is missing");
}

Test(register, bad_arguments__invalid)
{
	const struct vmmu_format *format;
	struct draft draft;
	char why[128];

	draft_init(&draft);
	cr_expect_eq(vmmu_format_register(NULL, &draft.ops, &format, NULL, 0), -EINVAL);
	cr_expect_eq(vmmu_format_register(&draft.info, NULL, &format, NULL, 0), -EINVAL);
	cr_expect_eq(vmmu_format_register(&draft.info, &draft.ops, NULL, why, sizeof(why)),
		     -EINVAL);
	cr_expect_str_eq(why, "format is NULL");
	for (size_t wrong = 0; wrong <= 16; wrong += 16) {
		draft.ops.size = sizeof(draft.ops) - 8 + wrong;
		cr_expect_eq(try_register(&draft, why, sizeof(why)), -EINVAL);
		cr_expect_not_null(strstr(why, "size"), "%s", why);
	}
	draft_init(&draft);
	draft.info.geometry = NULL;
	cr_expect_eq(try_register(&draft, why, sizeof(why)), -EINVAL);
	draft_init(&draft);
	memset(draft.name, 'n', VMMU_FORMAT_NAME_MAX + 1);
	draft.name[VMMU_FORMAT_NAME_MAX + 1] = 0;
	cr_expect_eq(try_register(&draft, why, sizeof(why)), -EINVAL);
	cr_expect_eq(vmmu_format_unregister(NULL), -EINVAL);
	cr_expect_eq(vmmu_format_unregister(vmmu_format_find("npt4")), -EINVAL);
	cr_expect_eq(vmmu_format_unregister(vmmu_format_find("arm-s2-4k-36-l1")), -EINVAL);
}

Test(register, reason_longer_than_its_room__is_cut)
{
	struct draft draft;
	char why[8] = "xxxxxxx";

	draft_init(&draft);
	draft.ops.size = 0;
	cr_expect_eq(try_register(&draft, why, 4), -EINVAL);
	cr_expect(!memcmp(why, "inf\0xxx", 8), "%.8s", why);
	cr_expect_eq(try_register(&draft, why, 0), -EINVAL);
	cr_expect_eq(try_register(&draft, NULL, 100), -EINVAL);
}

Test(register, no_memory__fails_clean)
{
	struct draft draft;
	char why[64];

	draft_init(&draft);
	failing_mem_after(0);
	cr_expect_eq(try_register(&draft, why, sizeof(why)), -ENOMEM);
	failing_mem_stop();
	cr_expect_str_eq(why, "out of memory");
	cr_expect_null(vmmu_format_find("mine"));
}

/* Whatever one member of the shape says, there is an answer, and soon. */
Test(register, any_geometry__is_judged)
{
	unsigned accepted = 0, refused = 0;

	for (size_t at = 0; at < sizeof(struct vmmu_geometry); at++) {
		for (unsigned value = 0; value < 256; value += value < 66 ? 1 : 27) {
			struct draft draft;
			uint8_t *member = (uint8_t *)&draft.geometry + at;
			int broken;

			draft_init(&draft);
			/* As it is, or of a level that is none. */
			if (*member == value || !*member)
				continue;
			*member = (uint8_t)value;
			broken = vmmu_format_conformance(&draft.info, &draft.ops, 1, NULL, NULL);
			cr_assert_geq(broken, 0);
			accepted += !broken;
			refused += broken > 0;
		}
	}
	cr_expect(refused > 1000, "%u", refused);
	/* No other shape fits the functions of EPT. */
	cr_expect_eq(accepted, 0, "%u", accepted);
}

/* ---- the list of what is wrong ---- */

struct findings {
	unsigned count;
	struct vmmu_broken_law broken[8];
};

static void collect(void *ctx, const struct vmmu_broken_law *broken)
{
	struct findings *findings = ctx;

	cr_assert_lt(findings->count, ARRAY_COUNT(findings->broken));
	findings->broken[findings->count++] = *broken;
}

Test(conformance_report, several_faults__one_finding_each_family)
{
	struct findings findings = {0};
	struct draft draft;

	draft_init(&draft);
	draft.ops.write_protect = write_protect_nothing;
	draft.info.mmio_gen_bits = 20;
	draft.info.caps |= VMMU_CAP_CACHES_ABSENT;
	cr_expect_eq(vmmu_format_conformance(&draft.info, &draft.ops, 5, collect, &findings), 3);
	cr_assert_eq(findings.count, 3);
	cr_expect_str_eq(findings.broken[0].law,
			 "leaves: write_protect changes something else, or leaves WRITE");
	cr_expect_eq(findings.broken[0].level, 1);
	cr_expect_eq(findings.broken[0].pte, findings.broken[0].other);
	cr_expect_eq(findings.broken[0].pte & 7, 3, "the first writable leaf: read and write");
	cr_expect_str_eq(findings.broken[1].law,
			 "changes: more access without a flush, but denials are cached");
	cr_expect_str_eq(findings.broken[2].law, "mmio: generation, gfn or access is lost");
}

Test(conformance_report, broken_shape__ends_it)
{
	struct findings findings = {0};
	struct draft draft;

	draft_init(&draft);
	draft.ops.write_protect = write_protect_nothing;
	draft.geometry.levels = 0;
	cr_expect_eq(vmmu_format_conformance(&draft.info, &draft.ops, 5, collect, &findings), 1);
	cr_expect_str_eq(findings.broken[0].law, "geometry: levels out of range");
	cr_expect_eq(findings.broken[0].level, 0);
	cr_expect_eq(vmmu_format_conformance(NULL, &draft.ops, 5, collect, &findings), -EINVAL);
	cr_expect_eq(vmmu_format_conformance(&draft.info, NULL, 5, collect, &findings), -EINVAL);
	cr_expect_eq(findings.count, 1);
}

Test(conformance_report, ours_and_the_hostile_one__sound)
{
	for (unsigned i = 0; vmmu_format_at(i); i++)
		cr_expect_eq(vmmu_format_conformance(vmmu_format_info(vmmu_format_at(i)),
						     vmmu_format_ops(vmmu_format_at(i)), i, NULL,
						     NULL),
			     0);
	cr_expect_eq(vmmu_format_conformance(&hostile_info, &hostile_ops, 7, NULL, NULL), 0);
}

/* ---- use ---- */

Test(register, vm_that_uses_it__keeps_it)
{
	const struct vmmu_format *format;
	struct vmmu_vm *vms[2];
	struct vmmu_vm_options bad = {.size = sizeof(bad), .env = &env};
	struct draft draft;

	draft_init(&draft);
	vmmu_thread_register();
	cr_assert_eq(vmmu_format_register(&draft.info, &draft.ops, &format, NULL, 0), 0);
	vms[0] = create_vm(format, &env, NULL);
	vms[1] = create_vm(format, &env, NULL);
	cr_expect_eq(vmmu_vm_format(vms[0]), format);
	cr_expect_eq(vmmu_format_unregister(format), -EBUSY);
	vmmu_vm_destroy(vms[0]);
	cr_expect_eq(vmmu_format_unregister(format), -EBUSY);
	cr_expect_eq(vmmu_format_find("mine"), format);
	/* One that cannot be made holds nothing. */
	bad.format = format;
	bad.tables_hpa = 1;
	cr_expect_eq(vmmu_vm_create(&bad, &vms[0]), -EINVAL);
	vmmu_vm_destroy(vms[1]);
	cr_expect_eq(vmmu_format_unregister(format), 0);
	vmmu_thread_unregister();
}

/* A VM whose callbacks look into another VM, of another format, and in one case change it. */
struct nested {
	struct vmmu_vm *vm;
	struct vmmu_vcpu *vcpu;
	struct nested *other;
	unsigned visits;
};

/* Locks of this VM are held: reading the other is what may be done. */
static void look_at_other(void *ctx, const struct vmmu_flush *flush)
{
	struct nested *nested = ctx;
	struct vmmu_walk walk;

	(void)flush;
	if (nested->other && !vmmu_walk(nested->other->vm, 0, 0, &walk))
		nested->visits++;
}

/* No lock is held: anything may be done to the other. */
static enum vmmu_resolve_status resolve_by_other(void *ctx, const struct vmmu_page_request *request,
						 struct vmmu_page *page)
{
	struct vmmu_fault fault = {.gpa = UINT64_C(5) << 13, .access = VMMU_WRITE};
	struct nested *nested = ctx, *other = nested->other;
	struct vmmu_root root;
	struct vmmu_walk walk;
	bool must_flush;

	if (other && !(request->flags & VMMU_RESOLVE_NO_FAULT)) {
		nested->other = NULL;
		cr_assert_eq(vmmu_zap_all(other->vm), 0);
		cr_assert_eq(vmmu_vcpu_root(other->vcpu, &root, &must_flush), 0);
		other->other = NULL;
		cr_assert_eq(vmmu_fault(other->vcpu, &fault), VMMU_FIXED);
		other->other = nested;
		cr_assert_eq(vmmu_walk(other->vm, 0, fault.gpa, &walk), 0);
		cr_assert_eq(walk.entry.kind, VMMU_ENTRY_LEAF);
		nested->other = other;
		nested->visits++;
	}
	return resolve(NULL, request, page);
}

static void nested_init(struct nested *nested, const struct vmmu_format *format)
{
	struct vmmu_env with_calls = env;
	struct vmmu_slot slot = {.bytes = UINT64_C(64) << 13, .hva = UINT64_C(1) << 40};

	with_calls.flush = look_at_other;
	with_calls.resolve = resolve_by_other;
	nested->vm = create_vm(format, &with_calls, nested);
	cr_assert_eq(vmmu_vcpu_create(nested->vm, 0, &nested->vcpu), 0);
	cr_assert_eq(vmmu_slot_set(nested->vm, &slot), 0);
}

/* Pages 0..31 are mapped, protected by dirty logging, and dropped, with callbacks in between. */
static void nested_use(struct nested *nested)
{
	const struct vmmu_geometry *geometry =
		vmmu_format_info(vmmu_vm_format(nested->vm))->geometry;
	struct vmmu_slot logged = {.flags = VMMU_SLOT_LOG_DIRTY,
				   .bytes = UINT64_C(64) << 13,
				   .hva = UINT64_C(1) << 40};
	struct vmmu_audit audit;
	struct vmmu_root root;
	struct vmmu_walk walk;
	bool flush;

	cr_assert_eq(vmmu_zap_all(nested->vm), 0);
	cr_assert_eq(vmmu_vcpu_root(nested->vcpu, &root, &flush), 0);
	for (uint64_t gfn = 0; gfn < 32; gfn++) {
		struct vmmu_fault fault = {.gpa = gfn << geometry->page_shift,
					   .access = VMMU_WRITE};

		cr_assert_eq(vmmu_fault(nested->vcpu, &fault), VMMU_FIXED);
		cr_assert_eq(vmmu_walk(nested->vm, 0, fault.gpa, &walk), 0);
		cr_assert_eq(walk.pfn, gfn + 0x1000);
	}
	cr_assert_eq(vmmu_slot_set(nested->vm, &logged), 0);
	for (uint64_t gfn = 0; gfn < 32; gfn++) {
		cr_assert_eq(vmmu_walk(nested->vm, 0, gfn << geometry->page_shift, &walk), 0);
		cr_assert_eq(walk.access, VMMU_READ | VMMU_EXEC);
	}
	cr_assert_eq(vmmu_audit(nested->vm, &audit, NULL, NULL), 0);
	cr_assert_eq(audit.violations, 0);
}

static void nest(const struct vmmu_format *a, const struct vmmu_format *b)
{
	struct nested first = {0}, second = {0};

	nested_init(&first, a);
	nested_init(&second, b);
	first.other = &second;
	second.other = &first;
	nested_use(&first);
	cr_assert_gt(first.visits, 32);
	nested_use(&second);
	cr_assert_gt(second.visits, 32);
	first.other = second.other = NULL;
	vmmu_vm_destroy(first.vm);
	vmmu_vm_destroy(second.vm);
}

Test(register, callback_that_enters_with_another_format__disturbs_nothing)
{
	const struct vmmu_format *mine, *hostile, *arm = vmmu_format_find("arm-s2-4k-36-l1");
	struct draft draft;

	draft_init(&draft);
	vmmu_thread_register();
	cr_assert_eq(vmmu_format_register(&draft.info, &draft.ops, &mine, NULL, 0), 0);
	cr_assert_eq(vmmu_format_register(&hostile_info, &hostile_ops, &hostile, NULL, 0), 0);
	nest(mine, hostile);
	nest(hostile, arm);
	nest(arm, vmmu_format_find("ept4"));
	nest(hostile, vmmu_format_find("npt5"));
	cr_expect_eq(vmmu_format_unregister(mine), 0);
	cr_expect_eq(vmmu_format_unregister(hostile), 0);
	vmmu_thread_unregister();
}

/* ---- threads ---- */

static void *come_and_go(void *arg)
{
	unsigned *won = arg;
	struct draft draft;

	vmmu_thread_register();
	draft_init(&draft);
	for (unsigned i = 0; i < 4; i++) {
		const struct vmmu_format *format;
		int err = vmmu_format_register(&draft.info, &draft.ops, &format, NULL, 0);

		if (err) {
			*won += err != -EEXIST ? 1000 : 0;
			continue;
		}
		++*won;
		vmmu_vm_destroy(create_vm(format, &env, NULL));
		*won += vmmu_format_unregister(format) ? 1000 : 0;
	}
	vmmu_thread_unregister();
	return NULL;
}

Test(register, threads_that_want_one_name__one_has_it_at_a_time)
{
	unsigned count = count_formats(), won[4] = {0};
	pthread_t threads[4];

	for (unsigned i = 0; i < 4; i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, come_and_go, &won[i]), 0);
	for (unsigned i = 0; i < 100; i++)
		vmmu_format_find("mine");
	for (unsigned i = 0; i < 4; i++)
		cr_assert_eq(pthread_join(threads[i], NULL), 0);
	cr_expect(won[0] + won[1] + won[2] + won[3] >= 4 && won[0] + won[1] + won[2] + won[3] <= 16,
		  "%u %u %u %u", won[0], won[1], won[2], won[3]);
	cr_expect_eq(count_formats(), count);
}
