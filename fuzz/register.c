/* SPDX-License-Identifier: MIT */
/*
 * The door for formats from outside, knocked at by liars: EPT's description and functions with some
 * of them made wrong, each time in the same way (a format is pure), at some levels. Registration
 * refuses with a word, or the format is sound, and then a VM of it works.
 *
 * Input: what is wrong with geometry and facts, then with the functions.
 */
#include <vmmu/format_ops.h>
#include <vmmu/vmmu.h>

#include <errno.h>
#include <string.h>

#include "base/bits.h"
#include "base/draw.h"
#include "target.h"

#define NAME_BYTES 80

/* How a function lies. */
enum lie {
	TRUTH,
	FLIPPED,   /* some bits of the answer are wrong */
	CONSTANT,  /* always the same answer */
	NOISE,     /* an answer without sense, but always the same for the same question */
	ELSEWHERE, /* the answer for the next level */
	LIES,
};

/* Functions by the number of their lie. */
enum function {
	CLASSIFY,
	IS_PRESENT,
	LEAF_PFN,
	TABLE_HPA,
	ACCESS,
	IS_MALFORMED,
	MAKE_LEAF,
	MAKE_TABLE,
	MAKE_ABSENT,
	WRITE_PROTECT,
	WRITE_ALLOW,
	CLEAR_DIRTY,
	IS_VOLATILE,
	NEEDS_BREAK,
	FLUSH_NEEDED,
	FUNCTIONS,
};

static const struct vmmu_format_ops *sound;
static struct {
	uint64_t bits;
	enum lie lie;
	unsigned levels; /* bit l set: lies at level l */
} lies[FUNCTIONS];

static uint64_t twist(enum function function, uint64_t truth, uint64_t question, uint64_t elsewhere,
		      unsigned level)
{
	if (!(lies[function].levels >> (level & 7) & 1))
		return truth;
	switch (lies[function].lie) {
	case FLIPPED:
		return truth ^ lies[function].bits;
	case CONSTANT:
		return lies[function].bits;
	case NOISE:
		return draw_mix(question ^ lies[function].bits);
	case ELSEWHERE:
		return elsewhere;
	default:
		return truth;
	}
}

/* A function of an entry and its level that may lie. */
#define LIAR(type, name, function, as)                                                  \
	static type liar_##name(uint64_t pte, unsigned level)                           \
	{                                                                               \
		unsigned next = level % 4 + 1;                                          \
                                                                                        \
		return (type)as(twist(function, (uint64_t)sound->name(pte, level), pte, \
				      (uint64_t)sound->name(pte, next), level));        \
	}
#define ANY(x)  (x)
#define BIT(x)  ((x)&1)
#define KIND(x) ((x) % 6)
LIAR(enum vmmu_entry_kind, classify, CLASSIFY, KIND)
LIAR(bool, is_present, IS_PRESENT, BIT)
LIAR(uint64_t, leaf_pfn, LEAF_PFN, ANY)
LIAR(uint64_t, table_hpa, TABLE_HPA, ANY)
LIAR(unsigned, access, ACCESS, ANY)
LIAR(bool, is_malformed, IS_MALFORMED, BIT)
LIAR(uint64_t, make_table, MAKE_TABLE, ANY)
LIAR(uint64_t, write_protect, WRITE_PROTECT, ANY)
LIAR(uint64_t, write_allow, WRITE_ALLOW, ANY)
LIAR(uint64_t, clear_dirty, CLEAR_DIRTY, ANY)
LIAR(bool, is_volatile, IS_VOLATILE, BIT)

static uint64_t liar_make_leaf(struct vmmu_leaf leaf, unsigned level)
{
	uint64_t truth = sound->make_leaf(leaf, level);

	return twist(MAKE_LEAF, truth, truth, sound->make_leaf(leaf, level % 3 + 1), level);
}

static uint64_t liar_make_absent(unsigned level)
{
	return twist(MAKE_ABSENT, sound->make_absent(level), level, ~UINT64_C(0), level);
}

static bool liar_needs_break(uint64_t old_pte, uint64_t new_pte, unsigned level)
{
	return twist(NEEDS_BREAK, sound->needs_break(old_pte, new_pte, level), old_pte ^ new_pte, 1,
		     level) &
	       1;
}

static enum vmmu_flush_due liar_flush_needed(uint64_t old_pte, uint64_t new_pte, unsigned level)
{
	return (enum vmmu_flush_due)(twist(FLUSH_NEEDED,
					   sound->flush_needed(old_pte, new_pte, level),
					   old_pte ^ new_pte, 0, level) %
				     4);
}

static void draw_ops(struct draw *draw, struct vmmu_format_ops *ops)
{
	*ops = *sound;
	ops->classify = liar_classify;
	ops->is_present = liar_is_present;
	ops->leaf_pfn = liar_leaf_pfn;
	ops->table_hpa = liar_table_hpa;
	ops->access = liar_access;
	ops->is_malformed = liar_is_malformed;
	ops->make_leaf = liar_make_leaf;
	ops->make_table = liar_make_table;
	ops->make_absent = liar_make_absent;
	ops->write_protect = liar_write_protect;
	ops->write_allow = liar_write_allow;
	ops->clear_dirty = liar_clear_dirty;
	ops->is_volatile = liar_is_volatile;
	ops->needs_break = liar_needs_break;
	ops->flush_needed = liar_flush_needed;
	memset(lies, 0, sizeof(lies));
	for (uint64_t n = draw_below(draw, 3); n; n--) {
		unsigned function = (unsigned)draw_below(draw, FUNCTIONS);

		lies[function].lie = (enum lie)draw_below(draw, LIES);
		lies[function].levels = (unsigned)draw_below(draw, 32) << 1;
		lies[function].bits = draw_word(draw) >> draw_below(draw, 64);
	}
	if (draw_below(draw, 16) == 1)
		ops->make_frozen = NULL;
	if (draw_below(draw, 16) == 1)
		ops->size = draw_word(draw);
}

/* One byte of the geometry or of the facts is wrong, or none. */
static void draw_info(struct draw *draw, struct vmmu_format_info *info,
		      struct vmmu_geometry *geometry, char name[NAME_BYTES])
{
	unsigned wrong = (unsigned)draw_below(draw, 2 * sizeof(*geometry));

	*info = *vmmu_format_info(vmmu_format_find("ept4"));
	*geometry = *info->geometry;
	info->geometry = geometry;
	memcpy(name, "liar", sizeof("liar"));
	info->name = name;
	if (wrong && wrong < sizeof(*geometry))
		((uint8_t *)geometry)[wrong] = (uint8_t)draw_below(draw, 256);
	switch (draw_below(draw, 16)) {
	case 1:
		info->caps = (unsigned)draw_word(draw);
		break;
	case 2:
		info->mmio_gen_bits = (unsigned)draw_below(draw, 70);
		break;
	case 3:
		for (unsigned i = 0; i < NAME_BYTES - 1; i++)
			name[i] = (char)draw_below(draw, 256);
		name[NAME_BYTES - 1] = '\0';
		break;
	case 4:
		info->name = "npt4";
		break;
	case 5:
		info->architecture = NULL;
		break;
	default:
		break;
	}
}

static enum vmmu_resolve_status resolve(void *ctx, const struct vmmu_page_request *request,
					struct vmmu_page *page)
{
	(void)ctx;
	*page = (struct vmmu_page){.pfn = request->gfn, .level = 2, .writable = true};
	return VMMU_RESOLVE_OK;
}

/* It was let in, so it is sound: a VM lives on it. */
static void use(const struct vmmu_format *format)
{
	static const struct vmmu_env env = {.size = sizeof(env), .resolve = resolve};
	const struct vmmu_geometry *geometry = vmmu_format_info(format)->geometry;
	struct vmmu_vm_options options = {
		.size = sizeof(options), .format = format, .env = &env, .tables_bytes = 1 << 20};
	struct vmmu_slot slot = {.bytes = BIT64(geometry->page_shift) * 64};
	struct vmmu_fault fault = {.access = VMMU_WRITE};
	struct vmmu_audit audit = {0};
	struct vmmu_vcpu *vcpu;
	struct vmmu_vm *vm;

	if (vmmu_vm_create(&options, &vm))
		return; /* as its address widths may have it */
	TARGET_CHECK(!vmmu_vcpu_create(vm, 0, &vcpu), "vCPU");
	TARGET_CHECK(!vmmu_slot_set(vm, &slot), "slot");
	for (unsigned page = 0; page < 80; page += 3) {
		int outcome;

		fault.gpa = (uint64_t)page << geometry->page_shift;
		outcome = vmmu_fault(vcpu, &fault);
		TARGET_CHECK(outcome == VMMU_FIXED || outcome == VMMU_EMULATE, "fault: %d",
			     outcome);
	}
	TARGET_CHECK(!vmmu_audit(vm, &audit, NULL, NULL) && !audit.violations, "audit");
	TARGET_CHECK(vmmu_format_unregister(format) == -EBUSY, "given up while in use");
	vmmu_vm_destroy(vm);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct draw draw = draw_from_bytes(data, size);
	const struct vmmu_format *format = NULL;
	struct vmmu_format_info info;
	struct vmmu_geometry geometry;
	struct vmmu_format_ops ops;
	char name[NAME_BYTES], why[128];
	int result;

	sound = vmmu_format_ops(vmmu_format_find("ept4"));
	target_begin();
	vmmu_thread_register();
	draw_info(&draw, &info, &geometry, name);
	draw_ops(&draw, &ops);
	result = vmmu_format_register(&info, &ops, &format, why, sizeof(why));
	TARGET_CHECK(!result || result == -EINVAL || result == -EEXIST, "register: %d", result);
	TARGET_CHECK(!result == !*why, "register: %d, and says \"%s\"", result, why);
	if (!result) {
		TARGET_CHECK(vmmu_format_find(info.name) == format, "%s is not found", info.name);
		use(format);
		TARGET_CHECK(!vmmu_format_unregister(format), "unregister");
	}
	vmmu_thread_unregister();
	target_end();
	return 0;
}
