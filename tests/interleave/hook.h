/* SPDX-License-Identifier: MIT */
/*
 * Included before every file of the library's explored variant (-include): each atomic operation is
 * a schedule point of its own. The library is compiled as it is; elsewhere this file has no part.
 *
 * One thread runs at a time, so orders do not matter here: schedules are sequentially consistent.
 */
#ifndef TESTS_INTERLEAVE_HOOK_H
#define TESTS_INTERLEAVE_HOOK_H

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "interleave/point.h"

#ifdef __clang__
#define HOOK_LOAD(p)            __c11_atomic_load(p, __ATOMIC_SEQ_CST)
#define HOOK_STORE(p, value)    __c11_atomic_store(p, value, __ATOMIC_SEQ_CST)
#define HOOK_EXCHANGE(p, value) __c11_atomic_exchange(p, value, __ATOMIC_SEQ_CST)
#define HOOK_COMPARE(p, found, value) \
	__c11_atomic_compare_exchange_strong(p, found, value, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)
#define HOOK_ADD(p, value) __c11_atomic_fetch_add(p, value, __ATOMIC_SEQ_CST)
#define HOOK_SUB(p, value) __c11_atomic_fetch_sub(p, value, __ATOMIC_SEQ_CST)
#define HOOK_OR(p, value)  __c11_atomic_fetch_or(p, value, __ATOMIC_SEQ_CST)
#define HOOK_AND(p, value) __c11_atomic_fetch_and(p, value, __ATOMIC_SEQ_CST)
#else
#define HOOK_LOAD(p)            __atomic_load_n(p, __ATOMIC_SEQ_CST)
#define HOOK_STORE(p, value)    __atomic_store_n(p, value, __ATOMIC_SEQ_CST)
#define HOOK_EXCHANGE(p, value) __atomic_exchange_n(p, value, __ATOMIC_SEQ_CST)
#define HOOK_COMPARE(p, found, value) \
	__atomic_compare_exchange_n(p, found, value, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)
#define HOOK_ADD(p, value) __atomic_fetch_add(p, value, __ATOMIC_SEQ_CST)
#define HOOK_SUB(p, value) __atomic_fetch_sub(p, value, __ATOMIC_SEQ_CST)
#define HOOK_OR(p, value)  __atomic_fetch_or(p, value, __ATOMIC_SEQ_CST)
#define HOOK_AND(p, value) __atomic_fetch_and(p, value, __ATOMIC_SEQ_CST)
#endif

#undef atomic_load
#undef atomic_load_explicit
#undef atomic_store
#undef atomic_store_explicit
#undef atomic_exchange
#undef atomic_exchange_explicit
#undef atomic_compare_exchange_strong
#undef atomic_compare_exchange_strong_explicit
#undef atomic_compare_exchange_weak
#undef atomic_compare_exchange_weak_explicit
#undef atomic_fetch_add
#undef atomic_fetch_add_explicit
#undef atomic_fetch_sub
#undef atomic_fetch_sub_explicit
#undef atomic_fetch_or
#undef atomic_fetch_or_explicit
#undef atomic_fetch_and
#undef atomic_fetch_and_explicit

#define atomic_load(p)                                                              \
	({                                                                          \
		__typeof__(p) load_at = (p);                                        \
		point_at(POINT_LOAD, load_at, sizeof(*load_at), __func__);          \
		__auto_type load_value = HOOK_LOAD(load_at);                        \
		if (plant_now)                                                      \
			load_value = (__typeof__(load_value))(uintptr_t)plant_load( \
				load_at, (uintptr_t)load_value, __func__);          \
		load_value;                                                         \
	})
#define atomic_store(p, value)                                                \
	({                                                                    \
		__typeof__(p) store_at = (p);                                 \
		__auto_type store_value = (value);                            \
		point_at(POINT_STORE, store_at, sizeof(*store_at), __func__); \
		HOOK_STORE(store_at, store_value);                            \
	})
#define atomic_exchange(p, value)                                                      \
	({                                                                             \
		__typeof__(p) exchange_at = (p);                                       \
		__auto_type exchange_value = (value);                                  \
		point_at(POINT_EXCHANGE, exchange_at, sizeof(*exchange_at), __func__); \
		plant_is_in(PLANT_NO_FREEZE, __func__)                                 \
			? HOOK_LOAD(exchange_at)                                       \
			: HOOK_EXCHANGE(exchange_at, exchange_value);                  \
	})
#define atomic_compare_exchange_strong(p, found, value)                                      \
	({                                                                                   \
		__typeof__(p) compare_at = (p);                                              \
		__auto_type compare_found = (found);                                         \
		__auto_type compare_value = (value);                                         \
		_Bool compare_ok;                                                            \
		point_at(POINT_COMPARE, compare_at, sizeof(*compare_at), __func__);          \
		if (plant_is_in(PLANT_STORE, __func__)) {                                    \
			__auto_type compare_now = HOOK_LOAD(compare_at);                     \
			compare_ok = compare_now == *compare_found;                          \
			*compare_found = compare_now;                                        \
			point_at(POINT_STORE, compare_at, sizeof(*compare_at), __func__);    \
			if (compare_ok)                                                      \
				HOOK_STORE(compare_at, compare_value);                       \
		} else {                                                                     \
			compare_ok = HOOK_COMPARE(compare_at, compare_found, compare_value); \
		}                                                                            \
		compare_ok;                                                                  \
	})
/* Of no use for its result, on purpose: so it commutes with its like, and the compiler says so. */
#define HOOK_VOID(kind, p, operation, value)                             \
	((void)({                                                        \
		__typeof__(p) change_at = (p);                           \
		__auto_type change_value = (value);                      \
		point_at(kind, change_at, sizeof(*change_at), __func__); \
		operation(change_at, change_value);                      \
	}))
#define atomic_fetch_add(p, value) HOOK_VOID(POINT_ADD, p, HOOK_ADD, value)
#define atomic_fetch_sub(p, value) HOOK_VOID(POINT_ADD, p, HOOK_SUB, value)
#define atomic_fetch_or(p, value)  HOOK_VOID(POINT_OR, p, HOOK_OR, value)
/* This one's result is asked for: who clears a bit must know whether it was set. */
#define atomic_fetch_and(p, value)                                      \
	({                                                              \
		__typeof__(p) and_at = (p);                             \
		__auto_type and_value = (value);                        \
		point_at(POINT_AND, and_at, sizeof(*and_at), __func__); \
		HOOK_AND(and_at, and_value);                            \
	})

#define atomic_load_explicit(p, order)            atomic_load(p)
#define atomic_store_explicit(p, value, order)    atomic_store(p, value)
#define atomic_exchange_explicit(p, value, order) atomic_exchange(p, value)
#define atomic_compare_exchange_strong_explicit(p, found, value, order, failure) \
	atomic_compare_exchange_strong(p, found, value)
#define atomic_compare_exchange_weak(p, found, value) \
	atomic_compare_exchange_strong(p, found, value)
#define atomic_compare_exchange_weak_explicit(p, found, value, order, failure) \
	atomic_compare_exchange_strong(p, found, value)
#define atomic_fetch_add_explicit(p, value, order) atomic_fetch_add(p, value)
#define atomic_fetch_sub_explicit(p, value, order) atomic_fetch_sub(p, value)
#define atomic_fetch_or_explicit(p, value, order)  atomic_fetch_or(p, value)
#define atomic_fetch_and_explicit(p, value, order) atomic_fetch_and(p, value)

#define pthread_mutex_lock(lock)           point_lock(lock, __func__)
#define pthread_mutex_unlock(lock)         point_unlock(lock, __func__)
#define pthread_cond_wait(condition, lock) point_wait(condition, lock, __func__)
#define pthread_cond_broadcast(condition)  point_signal(condition, __func__)
#define sched_yield()                      point_yield(__func__)

#endif
