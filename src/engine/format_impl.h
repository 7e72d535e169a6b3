/* SPDX-License-Identifier: MIT */
/*
 * A format and its engine in one object, for a program that brings a format of its own: include
 * after its format header and after defining ENGINE_OBJECT. The const struct vmmu_format that the
 * header names FMT_OBJECT can be given to vmmu_vm_create() then. docs/formats.md has an example.
 */
#include "engine/engine.h"

extern const struct vmmu_engine ENGINE_OBJECT;
extern const struct vmmu_format FMT_OBJECT;

#define FMT_ENGINE &ENGINE_OBJECT
#include "format/ops_impl.h"

#include "engine/engine_impl.h"
