/* SPDX-License-Identifier: MIT */
#ifndef TESTS_INTERLEAVE_PRINT_H
#define TESTS_INTERLEAVE_PRINT_H

#include "interleave/schedule.h"

/* One line for people: thread, what it does, in which function, to what, old -> new value. */
void print_event(const struct event *event);

#endif
