/* SPDX-License-Identifier: MIT */
#include "format/sv48x4.h"
#define ENGINE_OBJECT engine_sv48x4
#include "engine/engine_impl.h"
