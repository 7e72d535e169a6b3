// SPDX-License-Identifier: MIT
#include "oracle/flat.h"

bool flat_add(struct flat *flat, const struct flat_call *call)
{
	if (flat->count == FLAT_CALLS_MAX)
		return false;
	flat->call[flat->count++] = *call;
	return true;
}

static void flat_apply(const struct flat_call *call, uint64_t gpa, struct flat_page *page,
		       unsigned *mapped_access)
{
	unsigned writable = *mapped_access & VMMU_WRITE;

	switch (call->op) {
	case FLAT_MAP:
		if (page->is_mapped)
			break; /* already there, in just this way */
		*page = (struct flat_page){true, call->hpa + (gpa - call->gpa), call->access};
		*mapped_access = call->access;
		break;
	case FLAT_UNMAP:
		*page = (struct flat_page){0};
		*mapped_access = 0;
		break;
	case FLAT_PROTECT:
		page->access = call->access & (~(unsigned)VMMU_WRITE | writable);
		break;
	case FLAT_WRITE_PROTECT:
		page->access &= ~(unsigned)VMMU_WRITE;
		break;
	case FLAT_WRITE_ALLOW:
		page->access |= writable;
		break;
	}
}

struct flat_page flat_find(const struct flat *flat, uint64_t gpa)
{
	struct flat_page page = {0};
	unsigned i, mapped_access = 0;

	for (i = 0; i < flat->count; i++) {
		if (gpa - flat->call[i].gpa < flat->call[i].bytes)
			flat_apply(&flat->call[i], gpa, &page, &mapped_access);
	}
	if (!page.is_mapped)
		page.access = 0;
	return page;
}
