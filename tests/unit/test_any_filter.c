/* SPDX-License-Identifier: MIT */
/* Which system calls stop and ask: the filter, run by a small machine for the instructions that it uses */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <linux/audit.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "shim/punch_any_filter.h"

#if defined(__x86_64__)
#define ARCH	AUDIT_ARCH_X86_64
#define OTHER	AUDIT_ARCH_I386
#else
#define ARCH	AUDIT_ARCH_AARCH64
#define OTHER	AUDIT_ARCH_ARM
#endif

static uint32_t run(bool serving, const struct seccomp_data *data)
{
	struct sock_filter program[FILTER_MOST];
	unsigned int count = filter_build(program, serving), at;
	uint32_t value = 0;

	assert_true(count <= FILTER_MOST);
	for (at = 0; at < count; at++) {
		const struct sock_filter *step = &program[at];

		switch (step->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			assert_true(step->k % 4 == 0 && step->k < sizeof(*data));
			memcpy(&value, (const char *)data + step->k, sizeof(value));
			break;
		case BPF_JMP | BPF_JEQ | BPF_K:
			at += value == step->k ? step->jt : step->jf;
			break;
		case BPF_JMP | BPF_JSET | BPF_K:
			at += value & step->k ? step->jt : step->jf;
			break;
		case BPF_RET | BPF_K:
			return step->k;
		default:
			fail_msg("instruction %x", step->code);
		}
	}
	fail_msg("the program has no end");
	return 0;
}

static bool asks(bool serving, int nr, uint64_t second, uint64_t third, uint64_t fourth)
{
	struct seccomp_data data = { .nr = nr, .arch = ARCH, .args = { 3, second, third, fourth } };
	uint32_t action = run(serving, &data);

	assert_true(action == SECCOMP_RET_USER_NOTIF || action == SECCOMP_RET_ALLOW);
	return action == SECCOMP_RET_USER_NOTIF;
}

static void a_client_asks_for_what_concerns_a_peer(void **state)
{
	(void)state;
	assert_true(asks(false, SYS_connect, 1, 16, 0));
	assert_true(asks(false, SYS_getpeername, 1, 1, 0));
	assert_true(asks(false, SYS_getsockopt, SOL_SOCKET, SO_ERROR, 0));
	assert_false(asks(false, SYS_getsockopt, SOL_SOCKET, SO_TYPE, 0));
	assert_false(asks(false, SYS_getsockopt, IPPROTO_TCP, SO_ERROR, 0));
	assert_true(asks(false, SYS_sendto, 0, 0, MSG_FASTOPEN | MSG_NOSIGNAL));
	assert_false(asks(false, SYS_sendto, 0, 0, MSG_NOSIGNAL));
	assert_true(asks(false, SYS_sendmsg, 0, MSG_FASTOPEN, 0));
	assert_false(asks(false, SYS_sendmsg, 0, 0, 0));
	assert_true(asks(false, SYS_io_uring_setup, 0, 0, 0));
}

static void only_a_server_asks_for_accept(void **state)
{
	(void)state;
	assert_false(asks(false, SYS_listen, 0, 0, 0));
	assert_false(asks(false, SYS_accept4, 0, 0, 0));
	assert_true(asks(true, SYS_listen, 0, 0, 0));
	assert_true(asks(true, SYS_accept4, 0, 0, 0));
	assert_true(asks(true, SYS_setsockopt, IPPROTO_TCP, TCP_DEFER_ACCEPT, 0));
	assert_false(asks(true, SYS_setsockopt, IPPROTO_TCP, TCP_NODELAY, 0));
	assert_false(asks(true, SYS_setsockopt, SOL_SOCKET, TCP_DEFER_ACCEPT, 0));
}

static void all_else_passes(void **state)
{
	int nr;

	(void)state;
	for (nr = 0; nr < 500; nr++) {
		if (nr == SYS_connect || nr == SYS_getpeername || nr == SYS_io_uring_setup || nr == SYS_listen ||
#ifdef SYS_accept
		    nr == SYS_accept ||
#endif
		    nr == SYS_accept4)
			continue;
		assert_false(asks(true, nr, 0, 0, 0));
	}
}

static void another_machines_numbers_pass(void **state)
{
	struct seccomp_data data = { .nr = SYS_connect, .arch = OTHER };

	(void)state;
	assert_int_equal(run(true, &data), SECCOMP_RET_ALLOW);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_client_asks_for_what_concerns_a_peer),
		cmocka_unit_test(only_a_server_asks_for_accept),
		cmocka_unit_test(all_else_passes),
		cmocka_unit_test(another_machines_numbers_pass),
	};

	return cmocka_run_group_tests_name("filter", tests, NULL, NULL);
}
