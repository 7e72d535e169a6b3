/* SPDX-License-Identifier: MIT */
#include "interleave/coroutine.h"

#include <stddef.h>
#include <ucontext.h>

#include "base/sanitize.h"
#if BASE_HAS_ASAN
#include <sanitizer/common_interface_defs.h>
#endif

/* AddressSanitizer clears as much of its shadow, an eighth, at each switch. */
#define STACK_BYTES (128u << 10)

struct coroutine {
	ucontext_t context;
	void (*body)(unsigned index);
	const void *stack;
	size_t stack_bytes;
	void *fake; /* AddressSanitizer's, while another runs */
};

static struct coroutine coroutines[COROUTINE_CALLER + 1];
static _Alignas(64) unsigned char stacks[COROUTINE_CALLER][STACK_BYTES];

/* AddressSanitizer knows one stack a thread unless it is told. */
static void coroutine_leave(unsigned from, unsigned to)
{
#if BASE_HAS_ASAN
	__sanitizer_start_switch_fiber(&coroutines[from].fake, coroutines[to].stack,
				       coroutines[to].stack_bytes);
#else
	(void)from, (void)to;
#endif
}

static void coroutine_arrive(unsigned index)
{
#if BASE_HAS_ASAN
	const void *stack;
	size_t bytes;

	__sanitizer_finish_switch_fiber(coroutines[index].fake, &stack, &bytes);
	/* Where the caller's stack lies is known from the first switch away from it. */
	if (!coroutines[COROUTINE_CALLER].stack) {
		coroutines[COROUTINE_CALLER].stack = stack;
		coroutines[COROUTINE_CALLER].stack_bytes = bytes;
	}
#else
	(void)index;
#endif
}

static void coroutine_enter(int index)
{
	coroutine_arrive((unsigned)index);
	coroutines[index].body((unsigned)index);
}

void coroutine_make(unsigned index, void (*body)(unsigned index))
{
	struct coroutine *coroutine = &coroutines[index];

	getcontext(&coroutine->context);
	coroutine->body = body;
	coroutine->stack = stacks[index];
	coroutine->stack_bytes = STACK_BYTES;
	coroutine->fake = NULL;
	coroutine->context.uc_stack.ss_sp = stacks[index];
	coroutine->context.uc_stack.ss_size = STACK_BYTES;
	coroutine->context.uc_link = NULL;
	sanitize_unpoison(stacks[index], STACK_BYTES);
	makecontext(&coroutine->context, (void (*)(void))coroutine_enter, 1, (int)index);
}

void coroutine_switch(unsigned from, unsigned to)
{
	coroutine_leave(from, to);
	swapcontext(&coroutines[from].context, &coroutines[to].context);
	coroutine_arrive(from);
}
