/* SPDX-License-Identifier: MIT */
/*
 * names.c - under the shim: look-ups of peers, both ways
 *
 * Argument "crowd": of any number of peers, in quick mode.
 */
#include <malloc.h>

#include "tests/shim/under.h"

#define CROWD		1200	/* more than the shim remembers (shim/names.c) */
#define AT_ONCE		8

static int look_up(const char *name, const char *service, struct addrinfo hints, struct addrinfo **result)
{
	*result = NULL;
	return getaddrinfo(name, service, &hints, result);
}

/* All addresses of a result in one text, as "239.192.0.101:80/1 " with the socket type behind */
static const char *text(const struct addrinfo *result)
{
	static char all[400];
	size_t used = 0;

	all[0] = '\0';
	for (; result; result = result->ai_next) {
		char host[64], port[8];

		assert_int_equal(getnameinfo(result->ai_addr, result->ai_addrlen, host, sizeof(host), port, sizeof(port),
					     NI_NUMERICHOST | NI_NUMERICSERV), 0);
		used += (size_t)snprintf(all + used, sizeof(all) - used, "%s:%s/%d ", host, port, result->ai_socktype);
	}
	return all;
}

static void each_family_has_its_stand_in(void **state)
{
	static const struct { int family; const char *expected; } cases[] = {
		{ AF_UNSPEC, "239.192.0.101:22/1 " },
		{ AF_INET, "239.192.0.101:22/1 " },
		{ AF_INET6, "ff18:7075:6e63:6800::65:22/1 " },
	};
	struct addrinfo *result;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		errno = 4711;
		assert_int_equal(look_up("bob", "22", (struct addrinfo){ .ai_family = cases[i].family }, &result), 0);
		assert_int_equal(errno, 4711);
		assert_string_equal(text(result), cases[i].expected);
		freeaddrinfo(result);
	}
}

static void names_are_found_as_dns_would(void **state)
{
	static const char *const names[] = { "bob", "BOB", "bob.", "bob.example.org", "Bob.Example.Org." };
	struct addrinfo *result;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		assert_int_equal(getaddrinfo(names[i], "ssh", NULL, &result), 0);
		assert_string_equal(text(result), "239.192.0.101:22/1 ");
		freeaddrinfo(result);
	}
}

static void the_canonical_name_is_the_one_asked_for(void **state)
{
	static const char *const names[] = { "bob", "bob.example.org" };
	struct addrinfo *result;
	size_t i;

	(void)state;
	for (i = 0; i < 2; i++) {
		assert_int_equal(look_up(names[i], "80", (struct addrinfo){ .ai_flags = AI_CANONNAME }, &result), 0);
		assert_string_equal(result->ai_canonname, names[i]);
		freeaddrinfo(result);
	}
}

static void lists_of_names_are_looked_up_too(void **state)
{
	const struct addrinfo hints = { .ai_family = AF_INET6, .ai_socktype = SOCK_STREAM };
	struct gaicb items[3] = { { .ar_name = "bob", .ar_service = "80" }, { .ar_name = "127.0.0.1", .ar_service = "80" },
				  { .ar_name = "slow", .ar_service = "80", .ar_request = &hints } };
	struct gaicb *list[4] = { &items[0], NULL, &items[1], &items[2] };
	static const char *const expected[] = { "239.192.0.101:80/1 ", "127.0.0.1:80/1 ", "ff18:7075:6e63:6800::66:80/1 " };
	size_t i;

	(void)state;
	assert_int_equal(getaddrinfo_a(GAI_WAIT, list, 4, NULL), 0);
	for (i = 0; i < 3; i++) {
		assert_int_equal(gai_error(&items[i]), 0);
		assert_non_null(strstr(text(items[i].ar_result), expected[i]));
		freeaddrinfo(items[i].ar_result);
	}
}

/* An item's name is the program's: it may compare it, and free it, as soon as the request has ended */
static void a_peer_s_request_has_ended_when_the_call_returns(void **state)
{
	char *name = strdup("bob");
	struct gaicb item = { .ar_name = name, .ar_service = "80" };
	struct gaicb *list[] = { &item };

	(void)state;
	assert_int_equal(getaddrinfo_a(GAI_NOWAIT, list, 1, NULL), 0);
	assert_ptr_equal(item.ar_name, name);
	assert_ptr_equal(list[0], &item);
	free(name);
	assert_int_equal(gai_error(&item), 0);
	assert_int_equal(gai_cancel(&item), EAI_ALLDONE);
	assert_int_equal(gai_suspend((const struct gaicb *const *)list, 1, NULL), EAI_ALLDONE);
	assert_string_equal(text(item.ar_result), "239.192.0.101:80/1 ");
	freeaddrinfo(item.ar_result);
}

static void a_peer_that_cannot_be_found_fails_alone(void **state)
{
	const struct addrinfo datagram = { .ai_socktype = SOCK_DGRAM };
	struct gaicb items[2] = { { .ar_name = "bob", .ar_service = "80", .ar_request = &datagram },
				  { .ar_name = "slow", .ar_service = "80" } };
	struct gaicb *list[2] = { &items[0], &items[1] };

	(void)state;
	assert_int_equal(getaddrinfo_a(GAI_WAIT, list, 2, NULL), 0);
	assert_int_equal(gai_error(&items[0]), EAI_NONAME);
	assert_null(items[0].ar_result);
	assert_int_equal(gai_error(&items[1]), 0);
	freeaddrinfo(items[1].ar_result);
}

static void a_list_with_others_is_notified_of_once(void **state)
{
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1, .sigev_value.sival_int = 4711 };
	const struct timespec limit = { .tv_sec = LIMIT_MS / 1000 }, nothing = { 0 };
	struct gaicb items[2] = { { .ar_name = "bob", .ar_service = "80" }, { .ar_name = "127.0.0.1", .ar_service = "80" } };
	struct gaicb *list[3] = { &items[0], NULL, &items[1] };
	siginfo_t info;
	sigset_t set, before;
	int many;

	(void)state;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, &before);
	for (many = 1; many <= 3; many += 2) {		/* the peer alone, and with the other */
		assert_int_equal(getaddrinfo_a(GAI_NOWAIT, list, many, &event), 0);
		assert_int_equal(sigtimedwait(&set, &info, &limit), SIGUSR1);
		assert_int_equal(info.si_value.sival_int, 4711);
		assert_int_equal(gai_error(&items[0]), 0);
		assert_int_equal(sigtimedwait(&set, &info, &nothing), -1);
		freeaddrinfo(items[0].ar_result);
	}
	assert_int_equal(gai_error(&items[1]), 0);
	freeaddrinfo(items[1].ar_result);
	sigprocmask(SIG_SETMASK, &before, NULL);
}

static void wrong_lists_libc_refuses(void **state)
{
	struct gaicb item = { .ar_name = "bob", .__return = 4711 };
	struct gaicb *list[1] = { &item };

	(void)state;
	assert_int_equal(getaddrinfo_a(4711, list, 1, NULL), EAI_SYSTEM);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(gai_error(&item), 4711);
	assert_int_equal(getaddrinfo_a(GAI_WAIT, list, 0, NULL), 0);
	assert_int_equal(gai_error(&item), 4711);
}

static void hints_mean_what_they_mean(void **state)
{
	struct addrinfo *result;

	(void)state;
	assert_int_equal(look_up("bob", NULL, (struct addrinfo){ .ai_flags = AI_NUMERICHOST }, &result), EAI_NONAME);
	assert_int_equal(look_up("bob", "53", (struct addrinfo){ .ai_socktype = SOCK_DGRAM }, &result), EAI_NONAME);
	assert_int_equal(look_up("bob", "53", (struct addrinfo){ .ai_protocol = IPPROTO_UDP }, &result), EAI_NONAME);
	assert_int_equal(look_up("bob", "no-such-service", (struct addrinfo){ .ai_socktype = SOCK_STREAM }, &result),
			 EAI_SERVICE);
	assert_int_equal(look_up("bob", "1", (struct addrinfo){ .ai_family = AF_UNIX }, &result), EAI_FAMILY);
	assert_int_equal(look_up("bob", "1", (struct addrinfo){ .ai_flags = AI_ADDRCONFIG, .ai_family = AF_INET6 },
				 &result), 0);
	freeaddrinfo(result);
}

static void others_are_not_touched(void **state)
{
	struct addrinfo *result;

	(void)state;
	assert_int_equal(look_up("127.0.0.1", "80", (struct addrinfo){ .ai_socktype = SOCK_STREAM }, &result), 0);
	assert_string_equal(text(result), "127.0.0.1:80/1 ");
	freeaddrinfo(result);
	assert_int_equal(look_up("10.9.0.2", "80", (struct addrinfo){ .ai_socktype = SOCK_STREAM }, &result), 0);
	assert_string_equal(text(result), "10.9.0.2:80/1 ");
	freeaddrinfo(result);
	assert_int_equal(look_up("localhost", "80", (struct addrinfo){ .ai_family = AF_INET, .ai_socktype = SOCK_STREAM },
				 &result), 0);
	assert_string_equal(text(result), "127.0.0.1:80/1 ");
	freeaddrinfo(result);
	assert_int_equal(look_up(NULL, "80", (struct addrinfo){ .ai_family = AF_INET, .ai_socktype = SOCK_STREAM,
				 .ai_flags = AI_PASSIVE }, &result), 0);
	assert_string_equal(text(result), "0.0.0.0:80/1 ");
	freeaddrinfo(result);
}

static void assert_entry(const struct hostent *entry, int family, const char *address)
{
	char host[64];

	assert_non_null(entry);
	assert_string_equal(entry->h_name, "bob");
	assert_int_equal(entry->h_addrtype, family);
	assert_int_equal(entry->h_length, family == AF_INET ? 4 : 16);
	assert_null(entry->h_aliases[0]);
	assert_string_equal(inet_ntop(family, entry->h_addr_list[0], host, sizeof(host)), address);
	assert_null(entry->h_addr_list[1]);
}

static void the_old_calls_work_too(void **state)
{
	struct hostent entry, *result;
	struct in_addr four;
	struct in6_addr six;
	int problem = 0;
	char buffer[512];

	(void)state;
	assert_entry(gethostbyname("bob"), AF_INET, "239.192.0.101");
	assert_entry(gethostbyname2("bob", AF_INET6), AF_INET6, "ff18:7075:6e63:6800::65");
	assert_int_equal(gethostbyname_r("bob", &entry, buffer + 1, sizeof(buffer) - 1, &result, &problem), 0);
	assert_ptr_equal(result, &entry);
	assert_entry(result, AF_INET, "239.192.0.101");
	assert_int_equal(gethostbyname2_r("bob", AF_INET6, &entry, buffer, sizeof(buffer), &result, &problem), 0);
	assert_entry(result, AF_INET6, "ff18:7075:6e63:6800::65");
	assert_int_equal(gethostbyname_r("bob", &entry, buffer, 20, &result, &problem), ERANGE);
	assert_null(result);
	inet_pton(AF_INET, "239.192.0.101", &four);
	inet_pton(AF_INET6, "ff18:7075:6e63:6800::65", &six);
	assert_entry(gethostbyaddr(&four, sizeof(four), AF_INET), AF_INET, "239.192.0.101");
	assert_int_equal(gethostbyaddr_r(&six, sizeof(six), AF_INET6, &entry, buffer, sizeof(buffer), &result, &problem), 0);
	assert_entry(result, AF_INET6, "ff18:7075:6e63:6800::65");
	inet_pton(AF_INET, "239.195.9.9", &four);
	assert_null(gethostbyaddr(&four, sizeof(four), AF_INET));
	assert_int_equal(h_errno, HOST_NOT_FOUND);
	assert_string_equal(gethostbyname("127.0.0.1")->h_name, "127.0.0.1");
}

static void addresses_have_names(void **state)
{
	/* refuser was never looked up here: the resolver is asked */
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(22) };
	char host[64], port[8];

	(void)state;
	inet_aton("239.192.0.104", &in.sin_addr);
	assert_int_equal(getnameinfo((struct sockaddr *)&in, sizeof(in), host, sizeof(host), port, sizeof(port), 0), 0);
	assert_string_equal(host, "refuser");
	assert_string_equal(port, "ssh");
	assert_int_equal(getnameinfo((struct sockaddr *)&in, sizeof(in), host, 4, NULL, 0, 0), EAI_OVERFLOW);
	assert_int_equal(getnameinfo((struct sockaddr *)&in, sizeof(in), host, sizeof(host), NULL, 0, NI_NUMERICHOST), 0);
	assert_string_equal(host, "239.192.0.104");
	inet_aton("239.195.9.9", &in.sin_addr);		/* nobody's */
	assert_int_equal(getnameinfo((struct sockaddr *)&in, sizeof(in), host, sizeof(host), NULL, 0, NI_NAMEREQD),
			 EAI_NONAME);
	assert_int_equal(getnameinfo((struct sockaddr *)&in, sizeof(in), host, sizeof(host), NULL, 0, 0), 0);
	assert_string_equal(host, "239.195.9.9");
}

static char conf[8192];		/* punch.conf as it was */

static void read_conf(void)
{
	FILE *file = fopen(getenv("PUNCH_CONF"), "re");

	assert_non_null(file);
	conf[fread(conf, 1, sizeof(conf) - 1, file)] = '\0';
	fclose(file);
}

/* @section: the peer's that the alias "moved" is to be; NULL: nobody's */
static void move_alias(const char *section)
{
	const char *rest = section ? strstr(conf, section) : conf;
	FILE *file = fopen(getenv("PUNCH_CONF"), "we");

	assert_non_null(rest);
	assert_non_null(file);
	rest += section ? strlen(section) : 0;
	fwrite(conf, 1, (size_t)(rest - conf), file);
	if (section)
		fputs("alias = moved\n", file);
	fputs(rest, file);
	assert_int_equal(fclose(file), 0);
}

static void an_alias_that_was_moved_means_another_peer(void **state)
{
	uint16_t port;
	int listener = server(&port), fd = tcp(AF_INET, 0);
	struct address slow, moved[2];
	char before[64], after[64];

	(void)state;
	read_conf();
	move_alias("[peer slow]\n");
	slow = peer("slow", AF_INET, port);
	moved[0] = peer("moved", AF_INET, port);
	move_alias("[peer lazy]\n");
	slow = peer("slow", AF_INET, port);
	join(fd, &slow);		/* the address is that of "slow", whatever else it was asked for by */
	snprintf(before, sizeof(before), "%s", remote(fd));
	close(fd);
	moved[1] = peer("moved", AF_INET, port);
	fd = tcp(AF_INET, 0);
	join(fd, &moved[1]);
	snprintf(after, sizeof(after), "%s", remote(fd));
	move_alias(NULL);
	assert_memory_equal(&moved[0].ss, &slow.ss, slow.size);
	assert_non_null(strstr(before, "239.192.0.102:"));
	assert_non_null(strstr(after, "239.192.0.103:"));
	close(fd);
	close(listener);
}

/* Look @first and the next ones up at once, in one of the two ways */
static void look_up_some(unsigned int first, int mode)
{
	char names[AT_ONCE][24], expected[40];
	struct gaicb items[AT_ONCE], *list[AT_ONCE];
	unsigned int i;

	memset(items, 0, sizeof(items));
	for (i = 0; i < AT_ONCE; i++) {
		snprintf(names[i], sizeof(names[i]), "crowd-%u.punch", first + i);
		items[i].ar_name = names[i];
		items[i].ar_service = "80";
		list[i] = &items[i];
	}
	assert_int_equal(getaddrinfo_a(mode, list, AT_ONCE, NULL), 0);
	for (i = 0; i < AT_ONCE; i++) {
		while (gai_error(&items[i]) == EAI_INPROGRESS)
			gai_suspend((const struct gaicb *const *)&list[i], 1, NULL);
		assert_int_equal(gai_error(&items[i]), 0);
		assert_ptr_equal(items[i].ar_name, names[i]);
		snprintf(expected, sizeof(expected), "239.192.%u.%u:80/1 ", (1000 + first + i) / 256, (1000 + first + i) % 256);
		assert_string_equal(text(items[i].ar_result), expected);
		freeaddrinfo(items[i].ar_result);
	}
}

static void any_number_of_peers_is_looked_up(void **state)
{
	size_t before;
	unsigned int i;

	(void)state;
	for (i = 0; i < CROWD; i += AT_ONCE)
		look_up_some(i, i % 3 ? GAI_WAIT : GAI_NOWAIT);
	before = mallinfo2().uordblks;
	for (i = 0; i < CROWD; i += AT_ONCE)
		look_up_some(i, i % 3 ? GAI_NOWAIT : GAI_WAIT);
	assert_int_equal(mallinfo2().uordblks, before);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_family_has_its_stand_in),
		cmocka_unit_test(names_are_found_as_dns_would),
		cmocka_unit_test(the_canonical_name_is_the_one_asked_for),
		cmocka_unit_test(lists_of_names_are_looked_up_too),
		cmocka_unit_test(a_peer_s_request_has_ended_when_the_call_returns),
		cmocka_unit_test(a_peer_that_cannot_be_found_fails_alone),
		cmocka_unit_test(a_list_with_others_is_notified_of_once),
		cmocka_unit_test(wrong_lists_libc_refuses),
		cmocka_unit_test(hints_mean_what_they_mean),
		cmocka_unit_test(others_are_not_touched),
		cmocka_unit_test(the_old_calls_work_too),
		cmocka_unit_test(addresses_have_names),
		cmocka_unit_test(an_alias_that_was_moved_means_another_peer),
	};
	const struct CMUnitTest crowd[] = { cmocka_unit_test(any_number_of_peers_is_looked_up) };

	if (argc > 1 && strcmp(argv[1], "crowd") == 0)
		return cmocka_run_group_tests_name("look-ups of many", crowd, NULL, NULL);
	return cmocka_run_group_tests_name("look-ups", tests, NULL, NULL);
}
