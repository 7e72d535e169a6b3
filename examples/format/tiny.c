/* SPDX-License-Identifier: MIT */
#include "tiny.h"
#define ENGINE_OBJECT engine_tiny
#include "engine/format_impl.h"
