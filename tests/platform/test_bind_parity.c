/* SPDX-License-Identifier: MIT */
/*
 * test_bind_parity.c - what guessing relies on where a NAT keeps the parity of ports (resolver/birthday.c)
 *
 * bind() to port 0 prefers ports of the other parity than connect() without bind() does, and takes these only when
 * there are no others left.  So all sockets that are held have ports of one parity, and the ports that were probed before, too.
 */
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define SOCKETS	240	/* BIRTHDAY_HELD */

static unsigned int parity_of_next(int *fd)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	socklen_t len = sizeof(sin);
	int on = 1;

	*fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(*fd >= 0);
	assert_int_equal(setsockopt(*fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), 0);
	assert_int_equal(setsockopt(*fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)), 0);
	assert_int_equal(bind(*fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	assert_int_equal(getsockname(*fd, (struct sockaddr *)&sin, &len), 0);
	return ntohs(sin.sin_port) & 1;
}

static void sockets_bound_to_no_port_get_one_parity(void **state)
{
	unsigned int i, odd = 0;
	int fds[SOCKETS];

	(void)state;
	for (i = 0; i < SOCKETS; i++)
		odd += parity_of_next(&fds[i]);
	for (i = 0; i < SOCKETS; i++)
		close(fds[i]);
	assert_true(odd == 0 || odd == SOCKETS);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(sockets_bound_to_no_port_get_one_parity),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
