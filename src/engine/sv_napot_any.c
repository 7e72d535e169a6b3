/* SPDX-License-Identifier: MIT */
#include "format/sv_napot_any.h"
#define ENGINE_OBJECT engine_sv_napot_any
#include "engine/current_impl.h"
