/* SPDX-License-Identifier: MIT */
/*
 * test_resolver_lot.c - parking sockets that are not ours
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "resolver/lot.h"

#define LIMIT_S 5	/* the kernel would give up after 127 s */

/* Another process may clear O_NONBLOCK at any moment */
static void a_socket_that_blocks_does_not_hold_us(void **state)
{
	const struct timeval limit = { .tv_sec = 77 };
	struct timeval now = { 0 };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct lot lots[LOT_COUNT] = { 0 };
	struct tcp_info info = { 0 };
	socklen_t size = sizeof(info), now_size = sizeof(now);
	const struct lot *where;

	(void)state;
	lot_init(lots);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)), 0);
	alarm(LIMIT_S);
	assert_int_equal(lot_park(lots, fd, &where), 0);
	alarm(0);
	assert_ptr_equal(where, &lots[0]);
	assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size), 0);
	assert_int_equal(info.tcpi_state, TCP_SYN_SENT);
	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &now, &now_size), 0);
	assert_int_equal(now.tv_sec, 77);	/* the program's own */
	close(fd);
	lot_close(&lots[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_socket_that_blocks_does_not_hold_us),
	};

	return cmocka_run_group_tests_name("parking", tests, NULL, NULL);
}
