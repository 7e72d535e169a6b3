/* SPDX-License-Identifier: MIT */
/* Which formats there are: ours, every Arm geometry by name, and those registered at run time. */
#include "format/registry.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/bits.h"
#include "base/mem.h"
#include "format/arm_geometry.h"
#include "format/conformance.h"

static const struct vmmu_format *const registry_formats[] = {
	&format_ept4,
	&format_ept5,
	&format_npt4,
	&format_npt5,
	&format_sv39x4,
	&format_sv48x4,
	&format_sv57x4,
	&format_arm_s2_4k,
	&format_arm_s2_4k_40,
	&format_arm_s2_4k_43,
	&format_arm_s2_64k,
	&format_arm_s2_16k,
	&format_arm_s2_4k_lpa2,
	&format_arm_s2_16k_lpa2,
	&format_arm_s2_64k_lpa,
	&format_ept4_noad,
	&format_ept4_mbe,
	&format_ept4_ve,
	&format_arm_s2_4k_cont,
	&format_arm_s2_16k_cont,
	&format_arm_s2_64k_cont,
	&format_sv39x4_napot,
	&format_sv48x4_napot,
	&format_sv57x4_napot,
	&format_sv48x4_adu,
};

/* A registered format with everything that it points to but the functions. */
struct registration {
	struct vmmu_format format;
	struct vmmu_format_ops ops;
	struct vmmu_geometry geometry;
	uint64_t users;            /* VMs; registry_lock */
	struct registration *next; /* registry_lock */
	char strings[];            /* name, architecture, description, each with its 0 */
};

/* Guards the list below, in order of registration. Innermost: nothing is called under it. */
static pthread_mutex_t registry_lock = PTHREAD_MUTEX_INITIALIZER;
static struct registration *registry_outside;
static pthread_once_t registry_once = PTHREAD_ONCE_INIT;

/*
 * Whoever forks takes the lock, so that the child finds a whole list and a lock that its one thread
 * can take.
 */
static void registry_before_fork(void)
{
	pthread_mutex_lock(&registry_lock);
}

static void registry_after_fork(void)
{
	pthread_mutex_unlock(&registry_lock);
}

static void registry_init(void)
{
	pthread_atfork(registry_before_fork, registry_after_fork, registry_after_fork);
}

static void registry_enter(void)
{
	pthread_once(&registry_once, registry_init);
	pthread_mutex_lock(&registry_lock);
}

static void registry_leave(void)
{
	pthread_mutex_unlock(&registry_lock);
}

static bool has_name(const struct vmmu_format *format, const char *name)
{
	return !strcmp(format->info.name, name);
}

/* One of ours, or NULL. */
static const struct vmmu_format *find_constant(const char *name)
{
	for (unsigned i = 0; i < ARRAY_COUNT(registry_formats); i++)
		if (has_name(registry_formats[i], name))
			return registry_formats[i];
	return arm_geometry_find(name);
}

/* With registry_lock: where the registration called NAME is linked, or the end of the list. */
static struct registration **find_outside(const char *name)
{
	struct registration **at = &registry_outside;

	while (*at && !has_name(&(*at)->format, name))
		at = &(*at)->next;
	return at;
}

const struct vmmu_format *vmmu_format_find(const char *name)
{
	const struct vmmu_format *format;
	const struct registration *outside;

	if (!name)
		return NULL;
	format = find_constant(name);
	if (format)
		return format;
	registry_enter();
	outside = *find_outside(name);
	format = outside ? &outside->format : NULL;
	registry_leave();
	return format;
}

const struct vmmu_format *vmmu_format_at(unsigned index)
{
	const struct vmmu_format *format;
	const struct registration *outside;

	if (index < ARRAY_COUNT(registry_formats))
		return registry_formats[index];
	index -= ARRAY_COUNT(registry_formats);
	registry_enter();
	outside = registry_outside;
	while (outside && index--)
		outside = outside->next;
	format = outside ? &outside->format : NULL;
	registry_leave();
	return format;
}

const struct vmmu_format_info *vmmu_format_info(const struct vmmu_format *format)
{
	return &format->info;
}

const struct vmmu_format_ops *vmmu_format_ops(const struct vmmu_format *format)
{
	return format->ops;
}

void registry_pin(const struct vmmu_format *format)
{
	if (!format->registration)
		return;
	registry_enter();
	format->registration->users++;
	registry_leave();
}

void registry_unpin(const struct vmmu_format *format)
{
	if (!format->registration)
		return;
	registry_enter();
	format->registration->users--;
	registry_leave();
}

/* ---- coming and going ---- */

/* Where the author reads what is wrong: a line of at most BYTES. */
struct why {
	char *text;
	size_t bytes;
};

/* Say it, and give ERROR back. */
__attribute__((format(printf, 3, 4))) static int refuse(const struct why *why, int error,
							const char *format, ...)
{
	va_list args;

	if (!why->text || !why->bytes)
		return error;
	va_start(args, format);
	vsnprintf(why->text, why->bytes, format, args);
	va_end(args);
	return error;
}

static void say_law(void *ctx, const struct vmmu_broken_law *broken)
{
	const struct why *why = ctx;

	/* The first one. */
	if (!why->text || !why->bytes || *why->text)
		return;
	if (!broken->level)
		refuse(why, 0, "%s", broken->law);
	else
		refuse(why, 0, "%s (level %u, entry %#" PRIx64 ", other %#" PRIx64 ")", broken->law,
		       broken->level, broken->pte, broken->other);
}

/* Laid out as vmmu_format_register() promises. NULL: no memory. */
static struct registration *copy_format(const struct vmmu_format_info *info,
					const struct vmmu_format_ops *ops)
{
	const char **strings[3];
	struct registration *copy = mem_alloc(sizeof(*copy) + strlen(info->name) +
					      strlen(info->architecture) +
					      strlen(info->description) + ARRAY_COUNT(strings));
	char *end;

	if (!copy)
		return NULL;
	copy->ops = *ops;
	copy->geometry = *info->geometry;
	copy->format = (struct vmmu_format){.info = *info, .ops = &copy->ops, .registration = copy};
	copy->format.info.geometry = &copy->geometry;
	strings[0] = &copy->format.info.name;
	strings[1] = &copy->format.info.architecture;
	strings[2] = &copy->format.info.description;
	end = copy->strings;
	for (unsigned i = 0; i < ARRAY_COUNT(strings); i++) {
		size_t bytes = strlen(*strings[i]) + 1;

		*strings[i] = memcpy(end, *strings[i], bytes);
		end += bytes;
	}
	return copy;
}

/* 0, or -EEXIST: the name went to somebody else meanwhile. */
static int link_format(struct registration *copy)
{
	struct registration **at;
	bool is_taken;

	registry_enter();
	at = find_outside(copy->format.info.name);
	is_taken = *at != NULL;
	if (!is_taken)
		*at = copy;
	registry_leave();
	return is_taken ? -EEXIST : 0;
}

int vmmu_format_register(const struct vmmu_format_info *info, const struct vmmu_format_ops *ops,
			 const struct vmmu_format **format, char *why_text, size_t why_bytes)
{
	struct why why = {why_text, why_bytes};
	struct registration *copy;
	int broken;

	if (why_text && why_bytes)
		*why_text = 0;
	if (!format)
		return refuse(&why, -EINVAL, "format is NULL");
	broken = vmmu_format_conformance(info, ops, 1, say_law, &why);
	if (broken < 0)
		return refuse(&why, -EINVAL, "info or ops is NULL, or ops has another size");
	if (broken > 0)
		return -EINVAL;
	copy = find_constant(info->name) ? NULL : copy_format(info, ops);
	if (!copy && !find_constant(info->name))
		return refuse(&why, -ENOMEM, "out of memory");
	if (!copy || link_format(copy)) {
		mem_free(copy);
		return refuse(&why, -EEXIST, "there is a format \"%s\"", info->name);
	}
	*format = &copy->format;
	return 0;
}

int vmmu_format_unregister(const struct vmmu_format *format)
{
	struct registration **at, *gone = NULL;

	if (!format || !format->registration)
		return -EINVAL;
	registry_enter();
	at = find_outside(format->info.name);
	if (*at == format->registration && !(*at)->users) {
		gone = *at;
		*at = gone->next;
	}
	registry_leave();
	mem_free(gone);
	return gone ? 0 : -EBUSY;
}
