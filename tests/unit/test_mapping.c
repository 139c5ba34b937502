/* SPDX-License-Identifier: MIT */
/*
 * test_mapping.c - what the worker makes of mappers that do what they like
 *
 * The mappers are real processes; what they do in the place of mapper.c stands here.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/clock.h"
#include "resolver/mapping.h"
#include "resolver/process.h"
#include "tests/unit/clock_ahead.h"
#include "tests/unit/world.h"

#define PORT	4711
#define PINHOLE	4712

/* Shared with the mappers: how many were started, how often was that of IPv4 told to renew, and may that of IPv6 end? */
static volatile struct {
	unsigned int mappings, renewals, pinholes;
	bool may_end;
} *started;

static void tell(uint16_t port, const char *external)
{
	struct mapper_report out = { .protocol = MAPPER_PCP, .internal = port, .lifetime = 7200 };

	endpoint_parse(&out.external, external, port);
	send(MAPPER_LINK_FD, &out, sizeof(out), MSG_NOSIGNAL);
}

/* The mapper of IPv4 maps and stays; that of IPv6 closes its link and stays all the same */
static _Noreturn void be_mapper(char *const argv[])
{
	char byte;

	close_range(MAPPER_LINK_FD + 1, ~0u, 0);	/* as exec() would: the worker's end of the link is among them */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (strchr(argv[2], ';')) {
		started->pinholes++;
		while (!started->may_end)
			usleep(1000);
		close(MAPPER_LINK_FD);
		for (;;)
			pause();
	}
	started->mappings++;
	tell(PORT, "198.51.100.7");
	while (recv(MAPPER_LINK_FD, &byte, 1, 0) > 0)
		started->renewals++;
	_exit(0);
}

pid_t process_start(char *const argv[], const int fds[], int count, bool bare)
{
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	if (count != 1 || !bare || (fds[0] != MAPPER_LINK_FD && dup2(fds[0], MAPPER_LINK_FD) < 0))
		_exit(1);
	be_mapper(argv);
}

static void on_changed(void *arg)
{
	(void)arg;
}

static bool is_mapped(void *arg)
{
	struct endpoint external;

	return mapping_external(arg, AF_INET, PORT, &external);
}

static bool is_over(void *arg)
{
	bool known;

	return mapping_protocol(arg, AF_INET6, &known) == MAPPER_NONE && known;
}

/* No child is left, dead or alive; the loop turns, or this would never be asked */
static bool has_no_child(void *arg)
{
	(void)arg;
	return waitid(P_ALL, 0, &(siginfo_t){ 0 }, WEXITED | WNOHANG | WNOWAIT) < 0 && errno == ECHILD;
}

static bool is_started_again(void *arg)
{
	(void)arg;
	return started->pinholes == 2;
}

static bool is_renewed(void *arg)
{
	(void)arg;
	return started->renewals > 0;
}

static int setup(void **state)
{
	ahead = slept = 0;
	*state = event_base_new();
	started = mmap(NULL, sizeof(*started), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return *state && started != MAP_FAILED ? 0 : -1;
}

static int teardown(void **state)
{
	munmap((void *)(uintptr_t)started, sizeof(*started));
	event_base_free(*state);
	return 0;
}

static void a_mapper_that_stays_without_its_link_holds_nobody_up(void **state)
{
	struct mapping *mapping = mapping_new(*state, 1u << MAPPER_PCP, NULL, 0, PINHOLE, on_changed, NULL);

	assert_non_null(mapping);
	alarm(4 * WORLD_WAIT_S);	/* whoever waits for it waits for ever */
	started->may_end = true;
	assert_true(world_until(*state, is_over, mapping));
	assert_true(world_until(*state, has_no_child, NULL));
	mapping_restart(mapping);
	assert_true(world_until(*state, is_started_again, NULL));
	alarm(0);
	mapping_free(mapping);
}

static void one_family_keeps_its_mapping_when_the_others_mapper_dies(void **state)
{
	const uint16_t port = PORT;
	struct mapping *mapping = mapping_new(*state, 1u << MAPPER_PCP, &port, 1, PINHOLE, on_changed, NULL);

	assert_non_null(mapping);
	alarm(4 * WORLD_WAIT_S);
	assert_true(world_until(*state, is_mapped, mapping));
	started->may_end = true;
	assert_true(world_until(*state, is_over, mapping));
	assert_true(is_mapped(mapping));
	assert_int_equal(started->mappings, 1);
	/* another network: both begin anew, the one as soon as it has left */
	mapping_restart(mapping);
	assert_false(is_mapped(mapping));
	assert_true(world_until(*state, is_mapped, mapping));
	assert_int_equal(started->mappings, 2);
	alarm(0);
	mapping_free(mapping);
}

static struct mapping *mapped(struct event_base *base)
{
	const uint16_t port = PORT;
	struct mapping *mapping = mapping_new(base, 1u << MAPPER_PCP, &port, 1, 0, on_changed, NULL);

	assert_non_null(mapping);
	assert_true(world_until(base, is_mapped, mapping));
	return mapping;
}

/* The gateway may have begun anew in this very minute */
static void a_refresh_that_comes_too_early_is_late_and_not_lost(void **state)
{
	struct mapping *mapping = mapped(*state);

	ahead = 59 * SECOND + 500 * MS;
	mapping_refresh(mapping);
	mapping_refresh(mapping);
	world_turn(*state, 50);
	assert_int_equal(started->renewals, 0);
	assert_true(world_until(*state, is_renewed, NULL));
	world_turn(*state, 50);
	assert_int_equal(started->renewals, 1);
	mapping_free(mapping);
}

static void who_has_slept_for_a_minute_asks_at_once(void **state)
{
	struct mapping *mapping = mapped(*state);

	ahead = slept = 61 * SECOND;
	mapping_refresh(mapping);
	assert_true(world_until(*state, is_renewed, NULL));
	mapping_free(mapping);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_mapper_that_stays_without_its_link_holds_nobody_up, setup, teardown),
		cmocka_unit_test_setup_teardown(one_family_keeps_its_mapping_when_the_others_mapper_dies, setup, teardown),
		cmocka_unit_test_setup_teardown(a_refresh_that_comes_too_early_is_late_and_not_lost, setup, teardown),
		cmocka_unit_test_setup_teardown(who_has_slept_for_a_minute_asks_at_once, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
