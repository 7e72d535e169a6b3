/* SPDX-License-Identifier: MIT */
#include "base/sync.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "base/sync_reader.h"

static void sleep_ms(long ms)
{
	struct timespec time = {.tv_nsec = ms * 1000000};

	nanosleep(&time, NULL);
}

Test(sync, registration__is_idempotent)
{
	cr_assert_not(sync_thread_is_registered());
	sync_thread_unregister();
	cr_assert_not(sync_thread_is_registered());
	sync_thread_register();
	sync_thread_register();
	cr_assert(sync_thread_is_registered());
	sync_thread_unregister();
	cr_assert_not(sync_thread_is_registered());
	sync_thread_register();
	cr_assert(sync_thread_is_registered());
	sync_thread_unregister();
}

Test(sync, wait__leaves_registration_as_it_was)
{
	sync_wait_readers();
	cr_assert_not(sync_thread_is_registered());
	sync_thread_register();
	sync_wait_readers();
	cr_assert(sync_thread_is_registered());
	sync_thread_unregister();
}

Test(sync, reader_that_forgot_to_register__is_registered)
{
	sync_read_lock();
	cr_assert(sync_thread_is_registered());
	sync_read_unlock();
	sync_wait_readers();
	sync_thread_unregister();
}

static void *read_and_leave(void *unused)
{
	sync_thread_register();
	sync_read_lock();
	sync_read_unlock();
	return unused;
}

Test(sync, thread_that_ends_registered__is_forgotten)
{
	for (unsigned i = 0; i < 20; i++) {
		pthread_t thread;

		cr_assert_eq(pthread_create(&thread, NULL, read_and_leave, NULL), 0);
		pthread_join(thread, NULL);
		sync_wait_readers();
	}
}

static void *wait_and_tell(void *done)
{
	sync_wait_readers();
	atomic_store((atomic_bool *)done, true);
	return NULL;
}

Test(sync, wait__lasts_until_the_outermost_unlock, .timeout = 10)
{
	atomic_bool done = false;
	pthread_t thread;

	sync_thread_register();
	sync_read_lock();
	sync_read_lock();
	cr_assert_eq(pthread_create(&thread, NULL, wait_and_tell, &done), 0);
	sleep_ms(30);
	cr_assert_not(atomic_load(&done));
	sync_read_unlock();
	sleep_ms(30);
	cr_assert_not(atomic_load(&done), "the inner unlock ends nothing");
	sync_read_unlock();
	pthread_join(thread, NULL);
	cr_assert(atomic_load(&done));
	sync_thread_unregister();
}

static void *try_unregistered(void *was_light)
{
	*(bool *)was_light = sync_reader_try_light();
	return NULL;
}

Test(sync, light_section__only_of_a_registered_thread_that_is_in_no_other)
{
	bool was_light = true;
	pthread_t thread;

	cr_assert_eq(pthread_create(&thread, NULL, try_unregistered, &was_light), 0);
	pthread_join(thread, NULL);
	cr_assert_not(was_light);
	sync_thread_register();
	sync_read_lock();
	cr_assert_not(sync_reader_try_light());
	sync_read_unlock();
	sync_thread_unregister();
	cr_assert_not(sync_reader_try_light(), "not registered any more");
}

/* The waiter is asleep by then: whoever leaves wakes it. */
Test(sync, wait__lasts_until_a_light_section_is_left, .timeout = 10)
{
	atomic_bool done = false;
	pthread_t thread;

	sync_thread_register();
	if (!sync_reader_try_light())
		cr_skip_test("no membarrier() here");
	cr_assert(sync_is_reading());
	cr_assert_eq(pthread_create(&thread, NULL, wait_and_tell, &done), 0);
	sleep_ms(50);
	cr_assert_not(atomic_load(&done));
	cr_assert_eq(sync_reader_leave_light(77), 77);
	cr_assert_not(sync_is_reading());
	pthread_join(thread, NULL);
	cr_assert(atomic_load(&done));
	sync_thread_unregister();
}
