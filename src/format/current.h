/* SPDX-License-Identifier: MIT */
/*
 * The format at work in this thread, for engines that serve more than one: their fmt_*() have no
 * other way to learn which. Set when such an engine is entered, put back when it is left: a
 * callback in between may enter the engine again with another format.
 */
#ifndef VMMU_FORMAT_CURRENT_H
#define VMMU_FORMAT_CURRENT_H

#include "format/contract.h"

/* One load and no call in a shared library, too. */
#if defined(__GNUC__)
#define CURRENT_TLS __attribute__((tls_model("initial-exec")))
#else
#define CURRENT_TLS
#endif

extern _Thread_local const struct vmmu_format *current_format CURRENT_TLS;

/* Work with FORMAT from here on; returns what current_leave() is to put back. */
static inline const struct vmmu_format *current_enter(const struct vmmu_format *format)
{
	const struct vmmu_format *outer = current_format;

	current_format = format;
	return outer;
}

static inline void current_leave(const struct vmmu_format *outer)
{
	current_format = outer;
}

#endif
