/* SPDX-License-Identifier: MIT */
/* Reading entries and roles by a profile. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/bits.h"
#include "format/contract.h"
#include "tracing/profile.h"

/* x86 keeps the frame in these bits, whatever the level. */
#define ENTRY_X86_ADDRESS BITS64(51, 12)
#define ENTRY_X86_WRITE   BIT64(1)

static uint64_t entry_field(const struct vmmu_bit_field *field, uint64_t word)
{
	return field->count ? word >> field->first & (BIT64(field->count) - 1) : 0;
}

static bool entry_is_ept(const struct vmmu_profile_info *info)
{
	return !strcmp(info->architecture, "x86-ept");
}

/* KVM stores WRITE under nested paging, no access at all under EPT: what it lacks is granted. */
static void entry_read_mmio(const struct vmmu_profile_info *info, uint64_t pte,
			    struct vmmu_entry *entry)
{
	bool is_read_only = !entry_is_ept(info) && !(pte & ENTRY_X86_WRITE);

	*entry = (struct vmmu_entry){
		.kind = VMMU_ENTRY_MMIO,
		.gfn = (pte & ENTRY_X86_ADDRESS & ~info->mmio_value) >> 12,
		.access = is_read_only ? VMMU_READ | VMMU_EXEC : VMMU_RWX,
		.generation = entry_field(&info->generation_low, pte) |
			      entry_field(&info->generation_high, pte)
				      << info->generation_low.count,
	};
}

/* Where KVM keeps no such bits, the entry itself is all there is to tell by. */
static void entry_read_leaf(const struct vmmu_profile_info *info, uint64_t pte,
			    struct vmmu_entry *entry)
{
	bool is_writable = entry->access & VMMU_WRITE;

	entry->host_writable = info->host_writable ? pte & info->host_writable : is_writable;
	entry->mmu_writable = info->mmu_writable ? pte & info->mmu_writable : is_writable;
}

/* A leaf whose rights were put aside to see its next use. It is read with its rights put back. */
static bool entry_read_tracked(const struct vmmu_profile_info *info,
			       const struct vmmu_format *format, uint64_t pte, unsigned level,
			       struct vmmu_profile_entry *out)
{
	uint64_t rights = (pte & info->saved_read ? VMMU_READ : 0) |
			  (pte & info->saved_exec ? VMMU_EXEC : 0);

	if (!info->saved_read || !(pte & info->present_mark) || !rights || out->ad_type != 1)
		return false;
	if (vmmu_entry_read(format, pte | rights, level, &out->entry) ||
	    out->entry.kind != VMMU_ENTRY_LEAF)
		return false;
	out->is_tracked = true;
	entry_read_leaf(info, pte, &out->entry);
	out->saved_access = (unsigned)rights | (out->entry.mmu_writable ? VMMU_WRITE : 0);
	out->entry.access = 0;
	return true;
}

static void entry_read_absent(const struct vmmu_profile_info *info,
			      const struct vmmu_format *format, uint64_t pte, unsigned level,
			      struct vmmu_profile_entry *out)
{
	if (entry_read_tracked(info, format, pte, level, out))
		return;
	/* What the engine takes for MMIO and this kernel does not is a misconfiguration. */
	if (out->entry.kind == VMMU_ENTRY_MMIO && entry_is_ept(info)) {
		out->entry = (struct vmmu_entry){.kind = VMMU_ENTRY_LEAF,
						 .pfn = (pte & ENTRY_X86_ADDRESS) >> 12,
						 .malformed = true};
		return;
	}
	out->entry = (struct vmmu_entry){.kind = VMMU_ENTRY_ABSENT};
	if (info->frozen && pte == info->frozen)
		out->entry.kind = VMMU_ENTRY_FROZEN;
	else
		out->is_unexpected = pte != info->absent;
}

static bool entry_is_mmio(const struct vmmu_profile_info *info, uint64_t pte, unsigned level)
{
	return level == 1 && info->mmio_mask && (pte & info->mmio_mask) == info->mmio_value;
}

int vmmu_profile_read(const struct vmmu_profile *profile, const struct vmmu_format *format,
		      uint64_t pte, unsigned level, struct vmmu_profile_entry *entry)
{
	const struct vmmu_profile_info *info = profile ? &profile->info : NULL;
	int result;

	if (!info || !format || !entry ||
	    strcmp(info->architecture, vmmu_format_info(format)->architecture))
		return -EINVAL;
	*entry = (struct vmmu_profile_entry){0};
	result = vmmu_entry_read(format, pte, level, &entry->entry);
	if (result)
		return result;
	if (profile->is_own) {
		/* Variants of a format have values of their own. */
		entry->is_unexpected = entry->entry.kind == VMMU_ENTRY_ABSENT &&
				       pte != format->ops->make_absent(level);
		return 0;
	}
	if (entry_is_mmio(info, pte, level)) {
		entry_read_mmio(info, pte, &entry->entry);
		return 0;
	}
	entry->ad_type = (unsigned)entry_field(&info->ad_type, pte);
	if (entry->entry.kind == VMMU_ENTRY_LEAF)
		entry_read_leaf(info, pte, &entry->entry);
	else if (entry->entry.kind != VMMU_ENTRY_TABLE)
		entry_read_absent(info, format, pte, level, entry);
	return 0;
}

static const char *entry_letters(unsigned access, char letters[4])
{
	snprintf(letters, 4, "%c%c%c", access & VMMU_READ ? 'r' : '-',
		 access & VMMU_WRITE ? 'w' : '-', access & VMMU_EXEC ? 'x' : '-');
	return letters;
}

static int entry_leaf_text(const struct vmmu_profile_info *info,
			   const struct vmmu_profile_entry *read, char *text, size_t bytes)
{
	static const char *const types[] = {[VMMU_MEM_WRITEBACK] = "",
					    [VMMU_MEM_DEVICE] = " device",
					    [VMMU_MEM_NONCACHEABLE] = " noncacheable"};
	static const char *const ad_types[] = {"", " no-ad", " ad-write-protect", " ad-3"};
	const struct vmmu_entry *entry = &read->entry;
	char letters[4], saved[4];

	entry_letters(read->saved_access, saved);
	return snprintf(text, bytes, "leaf pfn 0x%" PRIx64 " %s%s%s%s%s%s%s%s%s%s", entry->pfn,
			entry_letters(entry->access, letters), types[entry->memtype],
			entry->accessed ? " accessed" : "", entry->dirty ? " dirty" : "",
			info->host_writable && entry->host_writable ? " host-writable" : "",
			info->mmu_writable && entry->mmu_writable ? " mmu-writable" : "",
			ad_types[read->ad_type & 3], read->is_tracked ? " tracked, saved " : "",
			read->is_tracked ? saved : "", entry->malformed ? " malformed" : "");
}

int vmmu_profile_entry_text(const struct vmmu_profile *profile, const struct vmmu_format *format,
			    uint64_t pte, unsigned level, char *text, size_t bytes)
{
	struct vmmu_profile_entry read;
	const struct vmmu_entry *entry = &read.entry;
	char letters[4];
	int result = vmmu_profile_read(profile, format, pte, level, &read);

	if (result)
		return result;
	switch (entry->kind) {
	case VMMU_ENTRY_LEAF:
		return entry_leaf_text(&profile->info, &read, text, bytes);
	case VMMU_ENTRY_TABLE:
		return snprintf(text, bytes, "table 0x%" PRIx64 "%s", entry->table_hpa,
				entry->malformed ? " malformed" : "");
	case VMMU_ENTRY_MMIO:
		return snprintf(text, bytes, "mmio gfn 0x%" PRIx64 " %s generation %" PRIu64,
				entry->gfn, entry_letters(entry->access, letters),
				entry->generation);
	case VMMU_ENTRY_FROZEN:
		return snprintf(text, bytes, "frozen");
	default:
		return snprintf(text, bytes, "absent%s",
				read.is_unexpected ? ", unexpected value" : "");
	}
}

int vmmu_profile_role_text(const struct vmmu_profile *profile, uint32_t role, char *text,
			   size_t bytes)
{
	const struct vmmu_profile_info *info = profile ? &profile->info : NULL;
	int length = 0;

	if (!info || (!text && bytes))
		return -EINVAL;
	if (!info->role)
		return -ENOTSUP;
	for (unsigned i = 0; i < info->role_count; i++) {
		const struct vmmu_bit_field *field = &info->role[i];
		unsigned value = (unsigned)entry_field(field, role);
		size_t left = (size_t)length < bytes ? bytes - (size_t)length : 0;

		if (!value)
			continue;
		length += snprintf(left ? text + length : NULL, left, "%s%s", length ? " " : "",
				   field->name);
		left = (size_t)length < bytes ? bytes - (size_t)length : 0;
		if (field->count > 1)
			length += snprintf(left ? text + length : NULL, left, " %u", value);
	}
	if (!length && bytes)
		*text = '\0';
	return length;
}

unsigned profile_level(const char *architecture, unsigned level)
{
	if (level > VMMU_LEVELS_MAX)
		return 0;
	if (!strcmp(architecture, "arm64"))
		return level < 4 ? 4 - level : 0;
	return strcmp(architecture, "riscv64") ? level : level + 1;
}
