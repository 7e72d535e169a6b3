/* SPDX-License-Identifier: MIT */
/* vmmu/format_ops.h: a format of one's own, here EPT again, and one that breaks a law. */
#include <stdio.h>
#include <vmmu/format_ops.h>

/* Forgets to take WRITE away. */
static uint64_t write_protect_nothing(uint64_t pte, unsigned level)
{
	(void)level;
	return pte;
}

static void print_law(void *ctx, const struct vmmu_broken_law *broken)
{
	(void)ctx;
	fprintf(stderr, "%s at level %u: 0x%llx\n", broken->law, broken->level,
		(unsigned long long)broken->pte);
}

int main(void)
{
	const struct vmmu_format *ept = vmmu_format_find("ept4"), *mine, *broken;
	struct vmmu_format_info info = *vmmu_format_info(ept);
	struct vmmu_format_ops ops = *vmmu_format_ops(ept);
	char why[256];

	info.name = "my-ept";
	if (vmmu_format_register(&info, &ops, &mine, why, sizeof(why)))
		return 1;
	printf("%s is %s, ", vmmu_format_info(mine)->name,
	       vmmu_format_find("my-ept") == mine ? "there" : "missing");

	info.name = "my-broken-ept";
	ops.write_protect = write_protect_nothing;
	if (!vmmu_format_conformance(&info, &ops, 1, print_law, NULL) ||
	    !vmmu_format_register(&info, &ops, &broken, why, sizeof(why)))
		return 1;
	fprintf(stderr, "%s\n", why);
	printf("my-broken-ept is %s\n", vmmu_format_find("my-broken-ept") ? "there" : "refused");
	return vmmu_format_unregister(mine) != 0;
}
