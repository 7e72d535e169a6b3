/* SPDX-License-Identifier: MIT */
/*
 * A format that nobody would build, to catch whoever decodes an entry at the wrong level, takes an
 * absent entry for 0, all tables for equally large, or a page for 4 KiB.
 *
 * An entry is a sound word, laid out below, that each level rotates by another amount and then
 * flips by another key. So no field stands at the same place on two levels, and what is absent on
 * one is noise on the others. It wants everything of the engine that a format can want: hardware
 * sets accessed and dirty, changes break before they make, and TLBs remember what was not there.
 */
#ifndef VMMU_TESTS_FORMAT_HOSTILE_H
#define VMMU_TESTS_FORMAT_HOSTILE_H

#include <vmmu/format_ops.h>

extern const struct vmmu_format_info hostile_info;
extern const struct vmmu_format_ops hostile_ops;

#endif
