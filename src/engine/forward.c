/* SPDX-License-Identifier: MIT */
#include "format/forward.h"
#define ENGINE_OBJECT engine_forward
#include "engine/current_impl.h"
