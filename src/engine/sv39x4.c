/* SPDX-License-Identifier: MIT */
#include "format/sv39x4.h"
#define ENGINE_OBJECT engine_sv39x4
#include "engine/engine_impl.h"
