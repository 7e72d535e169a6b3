/* SPDX-License-Identifier: MIT */
/*
 * Formats that come in through the door of vmmu_format_register(), for every test that runs once
 * for each format. Criterion runs each test in a process of its own, so each process registers
 * them when it first asks for one.
 */
#ifndef VMMU_TESTS_FORMAT_OUTSIDE_H
#define VMMU_TESTS_FORMAT_OUTSIDE_H

#include <vmmu/format.h>

/* EPT's own functions under this name, served by the forwarding engine. */
#define OUTSIDE_EPT "ept4-outside"

/* Numbers from here on are the Arm geometries that vmmu_format_find() has, one by one. */
#define OUTSIDE_GEOMETRIES 1000u

/*
 * vmmu_format_at(), where the formats of the library are followed by OUTSIDE_EPT and the hostile
 * one. NULL past the last.
 */
const struct vmmu_format *outside_at(unsigned index);
/*
 * Is it among those that a test of all formats takes? Sanitizers, which look at how the code
 * behaves and not at what it computes, need one of each family; each test's process costs them ten
 * times as much. ./dev mutate asks for the same at first (VMMU_ONE_OF_EACH).
 */
bool outside_is_worth_a_run(unsigned index);
/* The index that outside_at() has for the format called NAME; there must be one. */
unsigned outside_index(const char *name);
/* vmmu_format_find(), these included. */
const struct vmmu_format *outside_find(const char *name);

#endif
