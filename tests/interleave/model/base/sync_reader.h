/* SPDX-License-Identifier: MIT */
/* In the place of src/base/sync_reader.h: readers that the scheduler knows. */
#ifndef VMMU_BASE_SYNC_READER_H
#define VMMU_BASE_SYNC_READER_H

#include "base/bits.h"
#include "base/sync.h"
#include "interleave/point.h"

enum sync_section {
	SYNC_SECTION_LIGHT,
	SYNC_SECTION_USUAL
};

#define sync_reader_enter()             (point_reader_enter(__func__), SYNC_SECTION_USUAL)
#define sync_reader_leave(section)      ((void)(section), point_reader_leave(__func__))
#define sync_reader_is_inside()         point_reader_is_inside()
#define sync_reader_try_light()         false
#define sync_reader_leave_light(result) (result)

#endif
