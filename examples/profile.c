/* SPDX-License-Identifier: MIT */
/* vmmu/profile.h: one entry, as three kernels mean it. */
#include <stdio.h>
#include <vmmu/profile.h>

int main(void)
{
	static const char *const versions[] = {"6.1", "6.12", "7.2"};
	const struct vmmu_format *ept = vmmu_format_find("ept4");

	for (int i = 0; ept && i < 3; i++) {
		const struct vmmu_profile *profile = vmmu_profile_find(versions[i], "x86-ept");
		char text[64];

		/* Not present; what a table's entries hold before anything is mapped. */
		if (!profile || vmmu_profile_entry_text(profile, ept, UINT64_C(1) << 63, 1, text,
							sizeof(text)) < 0)
			return 1;
		printf("%s%s: %s", i ? " - " : "", vmmu_profile_info(profile)->name, text);
	}
	putchar('\n');
}
