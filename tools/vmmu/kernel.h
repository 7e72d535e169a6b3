/* SPDX-License-Identifier: MIT */
/* The option --kvm and the line about the kernel that wrote a trace. */
#ifndef VMMU_TOOLS_KERNEL_H
#define VMMU_TOOLS_KERNEL_H

#include <vmmu/profile.h>

struct kernel {
	const char *version;                /* as asked for; NULL: not */
	const struct vmmu_profile *profile; /* NULL: not told */
	bool is_chosen;
	char why[160]; /* not chosen: what told, or what keeps it from being told */
};

/*
 * The profile of VERSION (NULL: the engine's own) for ARCHITECTURE into *PROFILE: TOOL_OK, or
 * TOOL_USAGE and a message that lists those there are.
 */
int kernel_find(const char *version, const char *architecture, const struct vmmu_profile **profile);
/* As KERNEL.version says, or what TRACE tells of itself. An exit code. */
int kernel_of_trace(struct kernel *kernel, const struct vmmu_trace *trace);
/* "kvm-7.2 (unverified)". Valid until the next call. */
const char *kernel_name(const struct vmmu_profile *profile);

#endif
