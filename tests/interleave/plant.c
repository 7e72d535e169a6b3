/* SPDX-License-Identifier: MIT */
/* Bugs, planted by the hooks: the library's source stays as it is. */
#include <string.h>

#include "interleave/schedule.h"

enum plant plant_now;

/* By plant: its name, and the functions whose atomics are bent, separated by blanks. */
static const struct {
	const char *name, *functions;
} plants[PLANTS] = {
	[PLANT_NOTHING] = {"nothing", ""},
	[PLANT_NO_RECHECK] = {"no-recheck", " vm_must_retry "},
	[PLANT_STORE] = {"plain-store", " funnel_put funnel_try funnel_freeze "},
	[PLANT_NO_FREEZE] = {"no-freeze", " funnel_bury "},
	[PLANT_NO_GRACE] = {"no-grace", " sync_wait_readers "},
	[PLANT_NO_CLAIM] = {"no-claim", " brlock_wait_outside "},
};

bool plant_belongs(enum plant plant, const char *function)
{
	const char *at = strstr(plants[plant].functions, function);
	size_t length = strlen(function);

	return at && at[-1] == ' ' && at[length] == ' ';
}

const char *plant_name(enum plant plant)
{
	return (unsigned)plant < PLANTS ? plants[plant].name : NULL;
}

/* What a fault of each thread read of the sequence, and where. */
static struct {
	const volatile void *address;
	uint64_t value;
} first_look[THREADS_MAX];

uint64_t plant_load(const volatile void *address, uint64_t value, const char *function)
{
	unsigned thread = schedule_thread();

	if (plant_is_in(PLANT_NO_CLAIM, function))
		return 0;
	if (plant_now != PLANT_NO_RECHECK || !schedule_is_running())
		return value;
	if (!strcmp(function, "fault_find_slot")) {
		first_look[thread].address = address;
		first_look[thread].value = value;
	}
	if (!plant_belongs(PLANT_NO_RECHECK, function))
		return value;
	/* The sequence as it was at first; and no invalidation is ever under way. */
	return first_look[thread].address == address ? first_look[thread].value : 0;
}
