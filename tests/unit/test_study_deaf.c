/* SPDX-License-Identifier: MIT */
/*
 * test_study_deaf.c - a study without a descriptor for who comes: it does not spin, and says nothing that it cannot know
 */
#include "resolver/study.c"

#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "tests/unit/scratch.h"
#include "tests/unit/world.h"

static struct event_base *base;
static struct study *study;
static struct rlimit before;
static int server = -1, client = -1;
static unsigned int accepts;
static int hairpin;

int __real_accept4(int fd, struct sockaddr *sa, socklen_t *len, int flags);
int __wrap_accept4(int fd, struct sockaddr *sa, socklen_t *len, int flags);

int __wrap_accept4(int fd, struct sockaddr *sa, socklen_t *len, int flags)
{
	accepts++;
	return __real_accept4(fd, sa, len, flags);
}

static unsigned int no_hops(void *arg)
{
	(void)arg;
	return 0;
}

static void on_done(void *arg, const struct study_result *result)
{
	(void)arg;
	study = NULL;
	hairpin = result->hairpin;
}

/* A study whose server says nothing, and no descriptor is left */
static int setup(void **state)
{
	const struct endpoint any = { .family = AF_INET, .address = { 127, 0, 0, 1 } };
	struct sockaddr_storage ss;
	struct endpoint target;
	struct rlimit none;

	(void)state;
	accepts = 0;
	base = event_base_new();
	server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (!base || server < 0 || client < 0 ||
	    bind(server, (struct sockaddr *)&ss, (socklen_t)endpoint_to_sockaddr(&any, AF_INET, &ss)) ||
	    listen(server, 1) || endpoint_local(server, &target))
		return -1;
	study = study_start(base, &target, NULL, NULL, no_hops, on_done, NULL);
	if (!study || getrlimit(RLIMIT_NOFILE, &before))
		return -1;
	none = before;
	none.rlim_cur = 0;
	return setrlimit(RLIMIT_NOFILE, &none);
}

static int teardown(void **state)
{
	(void)state;
	setrlimit(RLIMIT_NOFILE, &before);
	study_cancel(study);
	close(client);
	close(server);
	event_base_free(base);
	return 0;
}

static void somebody_comes(void)
{
	const struct endpoint to = { .family = AF_INET, .address = { 127, 0, 0, 1 }, .port = study->number };
	struct sockaddr_storage ss;
	int len = endpoint_to_sockaddr(&to, AF_INET, &ss);

	assert_int_equal(connect(client, (struct sockaddr *)&ss, (socklen_t)len), 0);
	world_turn(base, 100);
}

static void who_cannot_be_accepted_does_not_wake_it_without_end(void **state)
{
	(void)state;
	somebody_comes();
	assert_int_equal(accepts, 1);
	/* The next one could not be told from this one */
	assert_int_equal(endpoint_parse(&study->result.mapped, "198.51.100.1", 4711), 0);
	assert_false(is_wanted(study, TEST_HAIRPIN));
}

/* "no" would be remembered for a week */
static void a_hairpin_that_it_cannot_see_is_not_measured(void **state)
{
	(void)state;
	study->step = STUDY_HAIRPIN_WAIT;
	study->result.hairpin = STUN_OUTCOME_SILENT;
	hairpin = STUN_OUTCOME_COUNT;
	somebody_comes();
	assert_null(study);
	assert_int_equal(hairpin, STUN_OUTCOME_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(who_cannot_be_accepted_does_not_wake_it_without_end, setup, teardown),
		cmocka_unit_test_setup_teardown(a_hairpin_that_it_cannot_see_is_not_measured, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
