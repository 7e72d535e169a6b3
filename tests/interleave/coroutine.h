/* SPDX-License-Identifier: MIT */
/* Threads of a run: each a stack of its own on one thread of the system's. */
#ifndef TESTS_INTERLEAVE_COROUTINE_H
#define TESTS_INTERLEAVE_COROUTINE_H

/* Who called; coroutines are numbered from 0. */
#define COROUTINE_CALLER 3u

/* Make coroutine INDEX anew: when switched to, it calls BODY(INDEX), which never returns. */
void coroutine_make(unsigned index, void (*body)(unsigned index));
/* Go on in TO; returns when somebody goes on in whoever calls. */
void coroutine_switch(unsigned from, unsigned to);

#endif
