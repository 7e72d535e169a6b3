/* SPDX-License-Identifier: MIT */
#include "kernel.h"

#include <stdio.h>
#include <string.h>

#include "tool.h"

/* "6.1, 6.12, vmmu": the versions for ARCHITECTURE. */
static const char *versions(const char *architecture)
{
	static char text[160];
	const struct vmmu_profile *profile;
	size_t used = 0;

	*text = '\0';
	for (unsigned i = 0; (profile = vmmu_profile_at(i)) && used < sizeof(text); i++)
		if (!strcmp(vmmu_profile_info(profile)->architecture, architecture))
			used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s",
						 used ? ", " : "",
						 vmmu_profile_info(profile)->version);
	return text;
}

int kernel_find(const char *version, const char *architecture, const struct vmmu_profile **profile)
{
	*profile = vmmu_profile_find(version ? version : "vmmu", architecture);
	if (*profile)
		return TOOL_OK;
	return tool_fail(TOOL_USAGE, "no KVM version '%s' for %s: there are %s",
			 version ? version : "vmmu", architecture, versions(architecture));
}

int kernel_of_trace(struct kernel *kernel, const struct vmmu_trace *trace)
{
	const char *architecture = vmmu_trace_architecture(trace);

	kernel->is_chosen = kernel->version && architecture;
	if (kernel->is_chosen)
		return kernel_find(kernel->version, architecture, &kernel->profile);
	kernel->profile = vmmu_trace_profile(trace, kernel->why, sizeof(kernel->why));
	return TOOL_OK;
}

const char *kernel_name(const struct vmmu_profile *profile)
{
	static char text[64];
	const struct vmmu_profile_info *info = vmmu_profile_info(profile);

	snprintf(text, sizeof(text), "%s%s", info->name, info->verified ? "" : " (unverified)");
	return text;
}
