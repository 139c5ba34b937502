/* SPDX-License-Identifier: MIT */
/*
 * test_endpoint.c - texts, sockaddrs and kinds of addresses
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>

#include "common/endpoint.h"
#include "tests/unit/scratch.h"

static struct endpoint parsed(const char *text, uint16_t port)
{
	struct endpoint ep;

	if (endpoint_parse(&ep, text, port) < 0)
		fail_msg("\"%s\" is refused", text);
	return ep;
}

static void texts_are_understood_and_written_back(void **state)
{
	static const struct {
		const char *in, *out, *address;
	} cases[] = {
		{ "1.2.3.4:80", "1.2.3.4:80", "1.2.3.4" },
		{ "1.2.3.4", "1.2.3.4:7", "1.2.3.4" },
		{ "[::1]:65535", "[::1]:65535", "::1" },
		{ "[::1]", "[::1]:7", "::1" },
		{ "::1", "[::1]:7", "::1" },
		{ "2001:DB8::0001", "[2001:db8::1]:7", "2001:db8::1" },
		{ "::ffff:10.9.0.2", "10.9.0.2:7", "10.9.0.2" },
		{ "[::ffff:a09:2]:80", "10.9.0.2:80", "10.9.0.2" },
		{ "fe80::1%3", "[fe80::1%3]:7", "fe80::1%3" },
		{ "[fe80::1%lo]:1", "[fe80::1%1]:1", "fe80::1%1" },
		{ "0.0.0.0:1", "0.0.0.0:1", "0.0.0.0" },
		{ "[::]:4430", "[::]:4430", "::" },
	};
	char text[ENDPOINT_TEXT_SIZE];
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(cases); i++) {
		struct endpoint ep = parsed(cases[i].in, 7);

		assert_string_equal(endpoint_format(&ep, text), cases[i].out);
		assert_string_equal(endpoint_format_address(&ep, text), cases[i].address);
	}
}

static void what_is_no_literal_is_refused(void **state)
{
	static const char *const cases[] = {
		"", "bob", "bob:80", "1.2.3", "1.2.3.4.5", "256.1.1.1", "1.2.3.4:", "1.2.3.4:0", "1.2.3.4:65536",
		"1.2.3.4:-1", "1.2.3.4:+1", "1.2.3.4: 1", "1.2.3.4:80x", "1.2.3.4:000080", " 1.2.3.4", "1.2.3.4 ",
		"[::1", "::1]", "[]:80", "[1.2.3.4]:80", "[1.2.3.4", "[::1]80", "[::1]:", "[::1]x:80", "[bob]:80",
		"[bob]:80:1", "01.2.3.4", "0x7f.1", "127.1", "2001:db8::1%lo", "fe80::1%", "fe80::1%nosuchif",
		"fe80::1%-1", "fe80::1%99999999999", ":::", "1::2::3", "12345::", ":80",
		"1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc:dddd:eeee",
	};
	struct endpoint ep;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(cases); i++) {
		memset(&ep, 0xff, sizeof(ep));
		if (endpoint_parse(&ep, cases[i], 7) != -EINVAL)
			fail_msg("\"%s\" is taken", cases[i]);
		assert_int_equal(ep.family, 0);
	}
}

static void the_longest_text_fits(void **state)
{
	struct endpoint ep = { .family = AF_INET6, .port = 65535, .scope = UINT32_MAX };
	char text[ENDPOINT_TEXT_SIZE];

	(void)state;
	memset(ep.address, 0xfe, sizeof(ep.address));
	assert_string_equal(endpoint_format(&ep, text), "[fefe:fefe:fefe:fefe:fefe:fefe:fefe:fefe%4294967295]:65535");
	memset(&ep, 0, sizeof(ep));
	assert_string_equal(endpoint_format(&ep, text), "none");
}

static void sockaddrs_go_both_ways(void **state)
{
	static const char *const cases[] = { "1.2.3.4:80", "[2001:db8::1]:80", "[fe80::1%1]:80" };
	struct sockaddr_storage ss;
	struct endpoint ep, back;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(cases); i++) {
		int len;

		ep = parsed(cases[i], 0);
		len = endpoint_to_sockaddr(&ep, AF_INET6, &ss);
		assert_int_equal(len, sizeof(struct sockaddr_in6));
		assert_int_equal(ss.ss_family, AF_INET6);
		assert_int_equal(endpoint_from_sockaddr(&back, (struct sockaddr *)&ss, (socklen_t)len), 0);
		assert_true(endpoint_equal(&ep, &back));
		assert_int_equal(back.family, i == 0 ? AF_INET : AF_INET6);
	}
	ep = parsed("1.2.3.4:80", 0);
	assert_int_equal(endpoint_to_sockaddr(&ep, AF_INET, &ss), sizeof(struct sockaddr_in));
	assert_int_equal(ss.ss_family, AF_INET);
	ep = parsed("[::1]:80", 0);
	assert_int_equal(endpoint_to_sockaddr(&ep, AF_INET, &ss), -EAFNOSUPPORT);
	assert_int_equal(endpoint_to_sockaddr(&ep, AF_UNIX, &ss), -EAFNOSUPPORT);
	memset(&ep, 0, sizeof(ep));
	assert_int_equal(endpoint_to_sockaddr(&ep, AF_INET6, &ss), -EAFNOSUPPORT);
}

static void short_and_foreign_sockaddrs_are_refused(void **state)
{
	/* malloc()ed to their size, so that the address sanitizer sees a read beyond it */
	struct sockaddr_in6 sin6 = { .sin6_family = AF_INET6 };
	struct sockaddr_in sin = { .sin_family = AF_INET };
	struct endpoint ep;
	socklen_t len;

	(void)state;
	for (len = 0; len < sizeof(sin6); len++) {
		struct sockaddr *sa = malloc(len ? len : 1);

		memcpy(sa, &sin6, len);
		assert_int_equal(endpoint_from_sockaddr(&ep, sa, len), -EINVAL);
		if (len < sizeof(sin)) {
			memcpy(sa, &sin, len);
			assert_int_equal(endpoint_from_sockaddr(&ep, sa, len), -EINVAL);
		}
		free(sa);
	}
	sin.sin_family = AF_UNIX;
	assert_int_equal(endpoint_from_sockaddr(&ep, (struct sockaddr *)&sin, sizeof(sin)), -EAFNOSUPPORT);
	assert_int_equal(endpoint_from_sockaddr(&ep, NULL, 16), -EINVAL);
}

static void scope_counts_for_link_local_alone(void **state)
{
	struct sockaddr_in6 sin6 = { .sin6_family = AF_INET6, .sin6_scope_id = 5 };
	struct endpoint ep;

	(void)state;
	inet_pton(AF_INET6, "2001:db8::1", &sin6.sin6_addr);
	assert_int_equal(endpoint_from_sockaddr(&ep, (struct sockaddr *)&sin6, sizeof(sin6)), 0);
	assert_int_equal(ep.scope, 0);
	inet_pton(AF_INET6, "fe80::1", &sin6.sin6_addr);
	assert_int_equal(endpoint_from_sockaddr(&ep, (struct sockaddr *)&sin6, sizeof(sin6)), 0);
	assert_int_equal(ep.scope, 5);
}

static void local_and_remote_of_a_socket(void **state)
{
	int listener = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0), client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct endpoint at, from, to;
	struct sockaddr_storage ss;
	int len;

	(void)state;
	if (listener < 0) {	/* a kernel without IPv6 */
		close(client);
		skip();
	}
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(endpoint_local(listener, &at), 0);
	assert_int_equal(endpoint_remote(listener, &to), -ENOTCONN);
	at = (struct endpoint){ .family = AF_INET, .port = at.port, .address = { 127, 0, 0, 1 } };
	len = endpoint_to_sockaddr(&at, AF_INET, &ss);
	assert_int_equal(connect(client, (struct sockaddr *)&ss, (socklen_t)len), 0);
	assert_int_equal(endpoint_remote(client, &to), 0);
	assert_true(endpoint_equal(&to, &at));

	/* the dual-stack side sees a v4-mapped address, which is AF_INET for us */
	assert_int_equal(endpoint_local(client, &from), 0);
	len = accept(listener, NULL, NULL);
	assert_int_equal(endpoint_remote(len, &to), 0);
	assert_true(endpoint_equal(&to, &from));
	assert_int_equal(to.family, AF_INET);
	close(len);
	close(listener);
	close(client);
	assert_int_equal(endpoint_local(-1, &at), -EBADF);
}

static void kinds_of_addresses(void **state)
{
	enum { PRIVATE = 1, LOOPBACK = 2, ANY = 4, UNICAST = 8 };
	static const struct {
		const char *text;
		int kind;
	} cases[] = {
		{ "9.255.255.255", UNICAST }, { "10.0.0.0", UNICAST | PRIVATE }, { "10.255.255.255", UNICAST | PRIVATE },
		{ "11.0.0.0", UNICAST }, { "172.15.255.255", UNICAST }, { "172.16.0.0", UNICAST | PRIVATE },
		{ "172.31.255.255", UNICAST | PRIVATE }, { "172.32.0.0", UNICAST }, { "192.167.255.255", UNICAST },
		{ "192.168.0.1", UNICAST | PRIVATE }, { "192.169.0.0", UNICAST }, { "100.63.255.255", UNICAST },
		{ "100.64.0.0", UNICAST | PRIVATE }, { "100.127.255.255", UNICAST | PRIVATE }, { "100.128.0.0", UNICAST },
		{ "169.254.1.1", UNICAST | PRIVATE }, { "127.0.0.1", UNICAST | PRIVATE | LOOPBACK },
		{ "127.112.3.4", UNICAST | PRIVATE | LOOPBACK }, { "128.0.0.0", UNICAST }, { "0.0.0.0", ANY },
		{ "0.1.2.3", 0 }, { "223.255.255.255", UNICAST }, { "224.0.0.1", 0 }, { "239.192.0.1", 0 },
		{ "240.0.0.1", 0 }, { "255.255.255.255", 0 }, { "::", ANY }, { "::1", UNICAST | PRIVATE | LOOPBACK },
		{ "2001:db8::1", UNICAST }, { "fe80::1", UNICAST | PRIVATE }, { "febf::1", UNICAST | PRIVATE },
		{ "fec0::1", UNICAST }, { "fc00::1", UNICAST | PRIVATE }, { "fdff::1", UNICAST | PRIVATE },
		{ "fe00::1", UNICAST }, { "ff02::1", 0 }, { "ff18:7075:6e63:6800::1", 0 },
	};
	struct endpoint none = { 0 };
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(cases); i++) {
		struct endpoint ep = parsed(cases[i].text, 80);
		int kind = (endpoint_is_private(&ep) ? PRIVATE : 0) | (endpoint_is_loopback(&ep) ? LOOPBACK : 0) |
			   (endpoint_is_any(&ep) ? ANY : 0) | (endpoint_is_unicast(&ep) ? UNICAST : 0);

		if (kind != cases[i].kind)
			fail_msg("%s: %d instead of %d", cases[i].text, kind, cases[i].kind);
	}
	assert_false(endpoint_is_unicast(&none) || endpoint_is_any(&none) || endpoint_is_private(&none));
}

static void equality_looks_at_family_address_scope_and_port(void **state)
{
	struct endpoint a = parsed("1.2.3.4:80", 0), b = parsed("1.2.3.4:81", 0), c = parsed("1.2.3.5:80", 0);
	struct endpoint d = parsed("[fe80::1%1]:80", 0), e = parsed("[fe80::1%2]:80", 0);

	(void)state;
	assert_true(endpoint_equal(&a, &a));
	assert_false(endpoint_equal(&a, &b));
	assert_true(endpoint_same_address(&a, &b));
	assert_false(endpoint_same_address(&a, &c));
	assert_false(endpoint_same_address(&d, &e));
	assert_false(endpoint_same_address(&a, &d));
}

static void servers_send_nobody_to_where_they_are_not(void **state)
{
	static const struct { const char *server, *target; bool may; } cases[] = {
		{ "203.0.113.10", "198.51.100.1", true }, { "203.0.113.10", "192.168.1.1", false },
		{ "203.0.113.10", "127.0.0.1", false }, { "203.0.113.10", "169.254.169.254", false },
		{ "203.0.113.10", "100.64.0.1", false }, { "203.0.113.10", "239.1.1.1", false },
		{ "203.0.113.10", "0.0.0.0", false }, { "2001:db8::1", "fe80::1", false }, { "2001:db8::1", "::1", false },
		{ "2001:db8::1", "2001:db8::2", true }, { "10.0.0.1", "192.168.1.1", true }, { "10.0.0.1", "127.0.0.1", false },
		{ "10.0.0.1", "8.8.8.8", true }, { "127.0.0.1", "127.0.0.1", true }, { "::1", "127.0.0.1", true },
	};
	struct endpoint no_port = parsed("198.51.100.1", 0), public = parsed("203.0.113.10", 80);
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(cases); i++) {
		struct endpoint server = parsed(cases[i].server, 4430), target = parsed(cases[i].target, 80);

		if (endpoint_may_refer(&server, &target) != cases[i].may)
			fail_msg("%s to %s", cases[i].server, cases[i].target);
	}
	assert_false(endpoint_may_refer(&public, &no_port));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts_are_understood_and_written_back),
		cmocka_unit_test(what_is_no_literal_is_refused),
		cmocka_unit_test(the_longest_text_fits),
		cmocka_unit_test(sockaddrs_go_both_ways),
		cmocka_unit_test(short_and_foreign_sockaddrs_are_refused),
		cmocka_unit_test(scope_counts_for_link_local_alone),
		cmocka_unit_test(local_and_remote_of_a_socket),
		cmocka_unit_test(kinds_of_addresses),
		cmocka_unit_test(servers_send_nobody_to_where_they_are_not),
		cmocka_unit_test(equality_looks_at_family_address_scope_and_port),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
