/* SPDX-License-Identifier: MIT */
/* Comparisons: made, begun, asked, gone. */
#include <errno.h>

#include "base/bits.h"
#include "base/mem.h"
#include "tracing/compare.h"
#include "tracing/profile.h"

int vmmu_compare_create(const struct vmmu_compare_options *options, struct vmmu_compare **compare)
{
	struct vmmu_compare *made;

	if (!options || !compare || options->size != sizeof(*options))
		return -EINVAL;
	made = mem_alloc(sizeof(*made));
	if (!made)
		return -ENOMEM;
	made->options = *options;
	made->frames = mem_alloc_array(COMPARE_FRAMES, sizeof(*made->frames));
	if (!made->frames) {
		mem_free(made);
		return -ENOMEM;
	}
	*compare = made;
	return 0;
}

void vmmu_compare_destroy(struct vmmu_compare *compare)
{
	if (!compare)
		return;
	for (unsigned i = 0; i < COMPARE_WINDOWS; i++) {
		mem_free(compare->windows[i].kernel.facts);
		mem_free(compare->windows[i].engine.facts);
	}
	mem_free(compare->looks[0].seen);
	mem_free(compare->looks[1].seen);
	mem_free(compare->frames);
	mem_free(compare);
}

int compare_begin(struct vmmu_compare *compare, const struct vmmu_format *format,
		  enum vmmu_root_mode root, struct vmmu_vm *vm)
{
	const char *architecture = vmmu_format_info(format)->architecture;
	struct vmmu_profile_entry entry;

	compare->format = format;
	compare->root = root;
	compare->vm = vm;
	compare->own = vmmu_profile_find("vmmu", architecture);
	if (!compare->own || vmmu_profile_read(compare->profile, format, 0, 1, &entry))
		return -EINVAL;
	compare->has_looks = compare->profile->info.rules & VMMU_RULE_NO_RMAPS;
	if (compare->has_looks && vmmu_format_info(format)->geometry->page_shift != 12)
		return -EINVAL;
	return 0;
}

const struct vmmu_profile *vmmu_compare_profile(const struct vmmu_compare *compare)
{
	return compare ? compare->profile : NULL;
}

/* Class number INDEX in the order of the table, whether it occurred or not. */
static void compare_class_fill(const struct vmmu_compare *compare, unsigned index,
			       struct vmmu_compare_class *class)
{
	class->new_entry = index % VMMU_COMPARE_ENTRIES;
	index /= VMMU_COMPARE_ENTRIES;
	class->old_entry = index % VMMU_COMPARE_ENTRIES;
	index /= VMMU_COMPARE_ENTRIES;
	class->level = index % (VMMU_LEVELS_MAX + 1);
	class->event = index / (VMMU_LEVELS_MAX + 1);
	class->tally =
		compare->classes[class->event][class->level][class->old_entry][class->new_entry];
}

#define CLASSES                                                                         \
	(VMMU_COMPARE_EVENTS * (VMMU_LEVELS_MAX + 1) * (unsigned)VMMU_COMPARE_ENTRIES * \
	 VMMU_COMPARE_ENTRIES)

void vmmu_compare_tally(const struct vmmu_compare *compare, enum vmmu_compare_event event,
			struct vmmu_compare_tally *tally)
{
	struct vmmu_compare_class class;

	*tally = (struct vmmu_compare_tally){0};
	for (unsigned i = 0; i < CLASSES; i++) {
		compare_class_fill(compare, i, &class);
		if (event != VMMU_COMPARE_EVENTS && event != class.event)
			continue;
		tally->total += class.tally.total;
		tally->agree += class.tally.agree;
		tally->explained += class.tally.explained;
	}
}

bool vmmu_compare_class_at(const struct vmmu_compare *compare, unsigned index,
			   struct vmmu_compare_class *class_)
{
	for (unsigned i = 0; i < CLASSES; i++) {
		compare_class_fill(compare, i, class_);
		if (class_->tally.total && !index--)
			return true;
	}
	return false;
}

const char *vmmu_compare_reason_at(const struct vmmu_compare *compare, unsigned index,
				   uint64_t *count)
{
	const char *name = compare_reason_name(index);

	*count = name ? compare->reasons[index] : 0;
	return name;
}

uint64_t vmmu_compare_teardown(const struct vmmu_compare *compare)
{
	return compare->teardown;
}
