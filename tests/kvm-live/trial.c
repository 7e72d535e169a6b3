/* SPDX-License-Identifier: MIT */
#include "kvm-live/trial.h"

#include <criterion/criterion.h>

static void trial_run(struct trial *trial, const struct recording *recording)
{
	cr_assert(script_build(&trial->script, recording));
	expected_build(&trial->kvm, recording);
	cr_assert(machine_run(&trial->script, &trial->run));
}

void trial_open(struct trial *trial, const char *name)
{
	*trial = (struct trial){0};
	cr_assert(recording_load(&trial->recording, name));
	trial_run(trial, &trial->recording);
}

void trial_open_copy(struct trial *trial, const struct recording *copy)
{
	*trial = (struct trial){0};
	trial_run(trial, copy);
}

void trial_close(struct trial *trial)
{
	machine_run_free(&trial->run);
	facts_free(&trial->kvm);
	script_free(&trial->script);
	recording_free(&trial->recording);
}
