/* SPDX-License-Identifier: MIT */
/*
 * test_dns.c - resolver/dns.c against a real name server (dnsmasq) in a network of its own
 */
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>

#include "tests/unit/scratch.h"
#include "common/clock.h"
#include "common/limits.h"
#include "resolver/dns.h"
#include "tests/unit/world.h"

#define PORT	4430

static struct event_base *base;
static struct dns *dns;
static pid_t server;

struct result {
	bool inside;		/* dns_lookup() has not returned yet */
	unsigned int calls;
	int error;
	char text[512];
	struct endpoint list[DNS_RESULTS];
	unsigned int count;
	struct dns *free_it;
};

static void on_done(void *arg, int error, const char *text, const struct endpoint *list, unsigned int count)
{
	struct result *r = arg;

	assert_false(r->inside);
	r->calls++;
	r->error = error;
	r->count = count;
	snprintf(r->text, sizeof(r->text), "%s", text);
	memcpy(r->list, list, count * sizeof(*list));
	if (r->free_it)
		dns_free(r->free_it);
}

static bool is_done(void *arg)
{
	return ((struct result *)arg)->calls > 0;
}

static struct dns_query *begin_port(struct result *r, const char *text, uint16_t port)
{
	struct dns_query *query;

	memset(r, 0, sizeof(*r));
	r->inside = true;
	query = dns_lookup(dns, text, port, on_done, r);
	r->inside = false;
	assert_non_null(query);
	return query;
}

static struct dns_query *begin(struct result *r, const char *text)
{
	return begin_port(r, text, PORT);
}

static void lookup(struct result *r, const char *text)
{
	begin(r, text);
	assert_true(world_until(base, is_done, r));
	assert_int_equal(r->calls, 1);
}

static void assert_endpoint(const struct endpoint *ep, const char *text)
{
	char is[ENDPOINT_TEXT_SIZE];

	assert_string_equal(endpoint_format(ep, is), text);
}

static void nameserver(const char *address)
{
	char text[128];

	snprintf(text, sizeof(text), "nameserver %s\n", address);
	scratch_write("etc/resolv.conf", text, strlen(text), 0644);
}

/* --- literals and malformed words */

static void literals_need_no_name_server(void **state)
{
	struct result r;

	(void)state;
	nameserver("127.0.0.9");	/* nobody */
	lookup(&r, "192.0.2.7");
	assert_int_equal(r.error, 0);
	assert_int_equal(r.count, 1);
	assert_endpoint(&r.list[0], "192.0.2.7:4430");
	lookup(&r, "192.0.2.7:80");
	assert_endpoint(&r.list[0], "192.0.2.7:80");
	lookup(&r, "[2001:db8::1]:443");
	assert_endpoint(&r.list[0], "[2001:db8::1]:443");
	lookup(&r, "2001:db8::1");
	assert_endpoint(&r.list[0], "[2001:db8::1]:4430");
}

static void malformed_words_are_refused_with_a_reason(void **state)
{
	static const char *const words[] = { "", ":", ":80", "host:", "host:0", "host:65536", "host:+1", "host:8x", "a:b:c" };
	char longest[LIMIT_HOST + 8];
	struct result r;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(words); i++) {
		lookup(&r, words[i]);
		assert_int_equal(r.error, -EINVAL);
		assert_int_equal(r.count, 0);
		assert_true(strlen(r.text) > 10);
	}
	memset(longest, 'a', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	lookup(&r, longest);
	assert_int_equal(r.error, -EINVAL);
}

/* --- /etc/hosts */

static void hosts_file_counts_and_needs_no_name_server(void **state)
{
	struct result r;

	(void)state;
	nameserver("127.0.0.9");
	lookup(&r, "inhosts.test:99");
	assert_int_equal(r.error, 0);
	assert_int_equal(r.count, 2);
	assert_endpoint(&r.list[0], "[2001:db8::5]:99");
	assert_endpoint(&r.list[1], "192.0.2.5:99");
	lookup(&r, "localhost");
	assert_int_equal(r.error, 0);
	assert_true(endpoint_is_loopback(&r.list[0]));
}

static void name_in_hosts_file_is_not_looked_for_in_srv(void **state)
{
	struct result r;

	(void)state;
	nameserver("127.0.0.1");
	lookup(&r, "both.test");	/* in the hosts file, and has SRV in DNS */
	assert_int_equal(r.error, 0);
	assert_int_equal(r.count, 1);
	assert_endpoint(&r.list[0], "192.0.2.6:4430");
	assert_false(world_file_has(scratch_path("dnsmasq.log"), "_punch._tcp.both.test"));
}

/* --- DNS */

static void families_alternate_ipv6_first(void **state)
{
	struct result r;
	unsigned int i;

	(void)state;
	lookup(&r, "dual.test:1234");
	assert_int_equal(r.error, 0);
	assert_int_equal(r.count, 4);
	for (i = 0; i < 4; i++) {
		assert_int_equal(r.list[i].family, i % 2 ? AF_INET : AF_INET6);
		assert_int_equal(r.list[i].port, 1234);
	}
	assert_false(world_file_has(scratch_path("dnsmasq.log"), "_punch._tcp.dual.test"));
}

static void srv_targets_come_by_priority_with_their_ports(void **state)
{
	struct result r;

	(void)state;
	lookup(&r, "domain.test");
	assert_int_equal(r.error, 0);
	assert_int_equal(r.count, 3);
	assert_endpoint(&r.list[0], "192.0.2.11:4001");
	assert_endpoint(&r.list[1], "192.0.2.12:4002");
	assert_endpoint(&r.list[2], "192.0.2.13:4003");
}

static void srv_is_not_asked_when_a_port_is_given(void **state)
{
	struct result r;

	(void)state;
	lookup(&r, "domain.test:7");
	assert_int_equal(r.count, 1);
	assert_endpoint(&r.list[0], "192.0.2.10:7");
}

/* Peers' addresses: what SRV says of servers in their domain is not asked */
static void srv_is_not_asked_when_no_port_is_wanted(void **state)
{
	struct result r;

	(void)state;
	begin_port(&r, "domain.test", 0);
	assert_true(world_until(base, is_done, &r));
	assert_int_equal(r.count, 1);
	assert_endpoint(&r.list[0], "192.0.2.10:0");
}

static void srv_of_one_priority_share_the_load_by_weight(void **state)
{
	unsigned int heavy = 0, i;
	struct result r;

	(void)state;
	for (i = 0; i < 100; i++) {	/* 9 of 11 each: none at all 10^-74, all 10^-9, below 60 10^-7 */
		lookup(&r, "shared.test");
		assert_int_equal(r.count, 2);
		heavy += r.list[0].port == 4002;
	}
	assert_in_range(heavy, 60, 99);
}

static void srv_weight_zero_comes_seldom(void **state)
{
	unsigned int seldom = 0, i;
	struct result r;

	(void)state;
	for (i = 0; i < 40; i++) {	/* 1 of 1001 each; 20 of 40: 10^-50 */
		lookup(&r, "weighted.test");
		assert_int_equal(r.count, 2);
		seldom += r.list[0].port == 4002;
	}
	assert_true(seldom < 20);
}

static void srv_that_says_no_is_believed(void **state)
{
	struct result r;

	(void)state;
	lookup(&r, "refuses.test");	/* has an address too */
	assert_int_equal(r.error, -ENOENT);
	assert_non_null(strstr(r.text, "SRV"));
}

static void name_without_srv_has_the_default_port(void **state)
{
	struct result r;

	(void)state;
	lookup(&r, "plain.test");
	assert_int_equal(r.error, 0);
	assert_int_equal(r.count, 1);
	assert_endpoint(&r.list[0], "192.0.2.20:4430");
}

static void unknown_name_is_enoent(void **state)
{
	struct result r;

	(void)state;
	lookup(&r, "nobody.test");
	assert_int_equal(r.error, -ENOENT);
	assert_non_null(strstr(r.text, "nobody.test"));
	lookup(&r, "nobody.test:80");
	assert_int_equal(r.error, -ENOENT);
}

/* --- bad name servers */

static void refusing_name_server_is_an_error_that_names_the_file(void **state)
{
	uint64_t begun = clock_now();
	struct result r;

	(void)state;
	nameserver("127.0.0.9");
	lookup(&r, "plain.test:80");
	nameserver("127.0.0.1");
	/* Which of the two depends on how soon the kernel passes on each "port unreachable" */
	assert_true(r.error == -EIO || r.error == -ETIMEDOUT);
	assert_non_null(strstr(r.text, "/etc/resolv.conf"));
	assert_true(clock_now() - begun < 6 * SECOND);
}

static void silent_name_server_is_given_up_after_five_seconds(void **state)
{
	uint64_t begun = clock_now(), took;
	struct result r;

	(void)state;
	kill(server, SIGSTOP);
	lookup(&r, "plain.test");
	kill(server, SIGCONT);
	took = clock_now() - begun;
	assert_int_equal(r.error, -ETIMEDOUT);
	assert_true(took > 3 * SECOND && took < 7 * SECOND);
}

/* --- lost, late and refused records */

#define A	1
#define SRV	33
#define AAAA	28

/* A router between us and dnsmasq. Its plan for each kind of question: the first letter is for the first
 * question, the last one also for all after it; '.' is passed on, 'x' lost, 'r' refused */
struct router {
	const char *a, *aaaa, *srv;	/* NULL: all are passed on */
	const char *silent;		/* label, with its length before it, that begins a name never answered */
	unsigned int a_asked, aaaa_asked, srv_asked;
	unsigned int a_questions;	/* without those asked again */
	uint16_t a_id;
	int down, up;
	struct event *from_client, *from_server;
	struct sockaddr_in client;
};

static char router_plan(struct router *router, const unsigned char *packet, size_t size)
{
	size_t at = 12;
	unsigned int *asked;
	const char *plan;

	while (at < size && packet[at])
		at += packet[at] + 1u;
	assert_true(at + 3 <= size);
	if (router->silent && !memcmp(packet + 12, router->silent, strlen(router->silent)))
		return 'x';
	switch (packet[at + 2]) {
	case A:
		plan = router->a;
		asked = &router->a_asked;
		router->a_questions += !router->a_questions || router->a_id != (packet[0] << 8 | packet[1]);
		router->a_id = (uint16_t)(packet[0] << 8 | packet[1]);
		break;
	case AAAA:
		plan = router->aaaa;
		asked = &router->aaaa_asked;
		break;
	default:
		assert_int_equal(packet[at + 2], SRV);
		plan = router->srv;
		asked = &router->srv_asked;
	}
	at = (*asked)++;
	return plan ? plan[at < strlen(plan) ? at : strlen(plan) - 1] : '.';
}

static void router_ask(evutil_socket_t fd, short what, void *arg)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(53), .sin_addr = { htonl(INADDR_LOOPBACK) } };
	struct router *router = arg;
	socklen_t size = sizeof(router->client);
	unsigned char packet[512];
	ssize_t n = recvfrom(fd, packet, sizeof(packet), 0, (struct sockaddr *)&router->client, &size);

	(void)what;
	if (n < 12)
		return;
	switch (router_plan(router, packet, (size_t)n)) {
	case '.':
		sendto(router->up, packet, (size_t)n, 0, (struct sockaddr *)&to, sizeof(to));
		break;
	case 'r':
		packet[2] |= 0x80;	/* QR */
		packet[3] = 5;		/* REFUSED */
		sendto(fd, packet, (size_t)n, 0, (struct sockaddr *)&router->client, size);
		break;
	default:
		break;
	}
}

static void router_answer(evutil_socket_t fd, short what, void *arg)
{
	struct router *router = arg;
	unsigned char packet[1500];
	ssize_t n = recv(fd, packet, sizeof(packet), 0);

	(void)what;
	if (n > 0)
		sendto(router->down, packet, (size_t)n, 0, (struct sockaddr *)&router->client, sizeof(router->client));
}

/* Return: microseconds it took */
static uint64_t lookup_through(struct router *router, struct result *r, const char *text)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons(53), .sin_addr = { htonl(0x7f000003) } };
	uint64_t begun;

	router->down = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	router->up = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(router->down, (struct sockaddr *)&sin, sizeof(sin)), 0);
	router->from_client = event_new(base, router->down, EV_READ | EV_PERSIST, router_ask, router);
	router->from_server = event_new(base, router->up, EV_READ | EV_PERSIST, router_answer, router);
	event_add(router->from_client, NULL);
	event_add(router->from_server, NULL);
	nameserver("127.0.0.3");
	begun = clock_now();
	lookup(r, text);
	begun = clock_now() - begun;
	nameserver("127.0.0.1");
	event_free(router->from_client);
	event_free(router->from_server);
	close(router->down);
	close(router->up);
	return begun;
}

static void assert_domain_targets(const struct result *r)
{
	assert_int_equal(r->error, 0);
	assert_int_equal(r->count, 3);
	assert_endpoint(&r->list[0], "192.0.2.11:4001");
	assert_endpoint(&r->list[1], "192.0.2.12:4002");
	assert_endpoint(&r->list[2], "192.0.2.13:4003");
}

static void unanswered_srv_costs_a_second_not_the_connection(void **state)
{
	struct router router = { .srv = "x" };
	uint64_t took;
	struct result r;

	(void)state;
	took = lookup_through(&router, &r, "plain.test");
	assert_int_equal(r.error, 0);
	assert_endpoint(&r.list[0], "192.0.2.20:4430");
	assert_true(router.srv_asked > 0);
	assert_true(took >= 900 * MS && took < 3 * SECOND);
}

static void srv_lost_twice_is_still_used(void **state)
{
	struct router router = { .srv = "xx." };
	struct result r;

	(void)state;
	lookup_through(&router, &r, "domain.test");
	assert_domain_targets(&r);
	assert_in_range(router.srv_asked, 3, 4);
}

static void first_questions_lost_twice_cost_no_record(void **state)
{
	struct router router = { .a = "xx.", .aaaa = "xx.", .srv = "xx." };
	struct result r;

	(void)state;
	assert_true(lookup_through(&router, &r, "domain.test") < 3 * SECOND);
	assert_domain_targets(&r);
	router = (struct router){ .a = "xx.", .aaaa = "xx." };
	lookup_through(&router, &r, "dual.test:80");
	assert_int_equal(r.count, 4);
}

static void address_lost_four_times_is_found_within_the_limit(void **state)
{
	struct router router = { .a = "xxxx.", .aaaa = "x" };
	struct result r;

	(void)state;
	lookup_through(&router, &r, "plain.test:80");
	assert_int_equal(r.error, 0);
	assert_endpoint(&r.list[0], "192.0.2.20:80");
	assert_int_equal(router.a_asked, 5);
}

/* Refused three times: c-ares asks again each time, and then waits for the answer as long as for a fourth try */
static void aaaa_that_is_not_answered_holds_up_neither_a_nor_srv(void **state)
{
	static const char *const plans[] = { "x", "r", "rrx", "rrrx" };
	struct router router;
	struct result r;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(plans); i++) {
		router = (struct router){ .aaaa = plans[i] };
		assert_true(lookup_through(&router, &r, "domain.test") < 3 * SECOND);
		assert_domain_targets(&r);
		assert_true(router.aaaa_asked > 0);
	}
	router = (struct router){ .aaaa = "x" };
	assert_true(lookup_through(&router, &r, "plain.test:80") < 3 * SECOND);
	assert_int_equal(r.count, 1);
	assert_endpoint(&r.list[0], "192.0.2.20:80");
}

static void a_that_was_lost_is_waited_for_though_aaaa_is_there(void **state)
{
	struct router router = { .a = "xx." };
	struct result r;

	(void)state;
	lookup_through(&router, &r, "dual.test:80");
	assert_int_equal(r.error, 0);
	assert_int_equal(r.count, 4);
	assert_int_equal(r.list[1].family, AF_INET);
}

static void target_without_an_answer_does_not_cost_the_others(void **state)
{
	struct router router = { .silent = "\x02t1" };
	struct result r;

	(void)state;
	assert_true(lookup_through(&router, &r, "domain.test") < 3 * SECOND);
	assert_int_equal(r.error, 0);
	assert_int_equal(r.count, 2);
	assert_endpoint(&r.list[0], "192.0.2.12:4002");
	assert_endpoint(&r.list[1], "192.0.2.13:4003");
}

static void targets_on_the_host_itself_are_not_asked_for_again(void **state)
{
	struct router router = { .a_id = 0 };
	struct result r;

	(void)state;
	lookup_through(&router, &r, "twice.test");
	assert_int_equal(r.count, 2);
	assert_endpoint(&r.list[0], "192.0.2.30:4430");
	assert_endpoint(&r.list[1], "192.0.2.30:443");
	assert_int_equal(router.a_questions, 1);
}

static void host_of_many_addresses_leaves_room_for_the_next_target(void **state)
{
	unsigned int i, web = 0;
	struct result r;

	(void)state;
	lookup(&r, "wide.test");
	assert_int_equal(r.count, DNS_RESULTS);
	for (i = 0; i < r.count; i++)
		web += r.list[i].port == 443;
	assert_int_equal(r.list[0].port, 4430);
	assert_int_equal(web, DNS_RESULTS / 2);
}

static void search_list_is_for_names_that_do_not_exist(void **state)
{
	static const char conf[] = "nameserver 127.0.0.1\nsearch wild.test\n";
	struct result r;

	(void)state;
	scratch_write("etc/resolv.conf", conf, sizeof(conf) - 1, 0644);
	lookup(&r, "plain.test:80");	/* has no AAAA, and plain.test.wild.test has */
	assert_int_equal(r.count, 1);
	assert_endpoint(&r.list[0], "192.0.2.20:80");
	lookup(&r, "nobody.test:80");
	assert_int_equal(r.count, 1);
	assert_endpoint(&r.list[0], "[2001:db8::66]:80");
	lookup(&r, "nobody:80");
	assert_int_equal(r.count, 1);
	assert_endpoint(&r.list[0], "[2001:db8::66]:80");
	nameserver("127.0.0.1");
}

/* --- life and death of a look-up */

static void cancelled_lookup_never_calls_back(void **state)
{
	struct result r;

	(void)state;
	dns_cancel(begin(&r, "plain.test"));
	dns_cancel(begin(&r, "192.0.2.1"));
	dns_cancel(begin(&r, "inhosts.test"));
	world_turn(base, 100);
	assert_int_equal(r.calls, 0);
}

static void dns_may_be_freed_with_lookups_under_way_and_from_a_callback(void **state)
{
	struct result a, b;

	(void)state;
	kill(server, SIGSTOP);
	begin(&a, "plain.test");
	world_turn(base, 20);		/* its packets are out */
	begin(&b, "192.0.2.1");
	b.free_it = dns;
	assert_true(world_until(base, is_done, &b));
	kill(server, SIGCONT);
	world_turn(base, 50);
	assert_int_equal(a.calls, 0);
	dns = dns_new(base);
	assert_non_null(dns);
}

/* --- */

static void copy_file(const char *from, const char *to)
{
	static char text[1 << 16];

	scratch_write(to, text, scratch_read(from, text, sizeof(text)), 0644);
}

static bool server_up(void *arg)
{
	(void)arg;
	return world_listens(53);
}

static const char dnsmasq_conf[] =
	"no-resolv\nno-hosts\npid-file=\nlisten-address=127.0.0.1\n"
	"bind-interfaces\nlog-queries\nlog-facility=-\nlocal=/test/\n"
	"host-record=dual.test,192.0.2.1,2001:db8::1\n"
	"host-record=dual.test,192.0.2.2,2001:db8::2\n"
	"host-record=plain.test,192.0.2.20\n"
	"host-record=refuses.test,192.0.2.21\n"
	"host-record=domain.test,192.0.2.10\n"
	"host-record=t1.test,192.0.2.11\n"
	"host-record=t2.test,192.0.2.12\n"
	"host-record=t3.test,192.0.2.13\n"
	"srv-host=_punch._tcp.domain.test,t3.test,4003,30,1\n"
	"srv-host=_punch._tcp.domain.test,t1.test,4001,10,1\n"
	"srv-host=_punch._tcp.domain.test,t2.test,4002,20,1\n"
	"srv-host=_punch._tcp.shared.test,t1.test,4001,10,1\n"
	"srv-host=_punch._tcp.shared.test,t2.test,4002,10,9\n"
	"srv-host=_punch._tcp.weighted.test,t1.test,4001,10,1000\n"
	"srv-host=_punch._tcp.weighted.test,t2.test,4002,10,0\n"
	"srv-host=_punch._tcp.both.test,t1.test,4001,10,1\n"
	"srv-host=_punch._tcp.refuses.test\n"
	"host-record=twice.test,192.0.2.30\n"
	"srv-host=_punch._tcp.twice.test,twice.test,4430,1\n"
	"srv-host=_punch._tcp.twice.test,twice.test,443,2\n"
	"srv-host=_punch._tcp.wide.test,many.test,4430,1\n"
	"srv-host=_punch._tcp.wide.test,many.test,443,2\n"
	"host-record=many.test,192.0.2.41,2001:db8::41\nhost-record=many.test,192.0.2.42,2001:db8::42\n"
	"host-record=many.test,192.0.2.43,2001:db8::43\nhost-record=many.test,192.0.2.44,2001:db8::44\n"
	"host-record=many.test,192.0.2.45,2001:db8::45\nhost-record=many.test,192.0.2.46,2001:db8::46\n"
	"host-record=many.test,192.0.2.47,2001:db8::47\nhost-record=many.test,192.0.2.48,2001:db8::48\n"
	"address=/wild.test/2001:db8::66\naddress=/wild.test/\n";

static void start_server(void)
{
	const char *conf = scratch_write("dnsmasq.conf", dnsmasq_conf, strlen(dnsmasq_conf), 0644);

	server = world_start(scratch_path("dnsmasq.log"), "/usr/sbin/dnsmasq", "-d", "-C", conf, NULL);
	assert_true(world_until(NULL, server_up, NULL));
}

static int setup(void **state)
{
	static const char hosts[] = "127.0.0.1 localhost\n::1 localhost\n192.0.2.5 inhosts.test\n"
				    "2001:db8::5 inhosts.test\n192.0.2.6 both.test\n";

	if (scratch_setup(state) || world_isolate()) {
		perror("a network of our own");
		return -1;
	}
	mkdir(scratch_path("etc"), 0755);
	scratch_write("etc/hosts", hosts, strlen(hosts), 0644);
	copy_file("/etc/passwd", "etc/passwd");
	copy_file("/etc/group", "etc/group");
	copy_file("/etc/nsswitch.conf", "etc/nsswitch.conf");
	nameserver("127.0.0.1");
	if (world_etc(scratch_path("etc"))) {
		perror("/etc");
		return -1;
	}
	start_server();
	base = event_base_new();
	dns = dns_new(base);
	return base && dns ? 0 : -1;
}

static int teardown(void **state)
{
	dns_free(dns);
	event_base_free(base);
	world_stop(server);
	return scratch_teardown(state);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(literals_need_no_name_server),
		cmocka_unit_test(malformed_words_are_refused_with_a_reason),
		cmocka_unit_test(hosts_file_counts_and_needs_no_name_server),
		cmocka_unit_test(name_in_hosts_file_is_not_looked_for_in_srv),
		cmocka_unit_test(families_alternate_ipv6_first),
		cmocka_unit_test(srv_targets_come_by_priority_with_their_ports),
		cmocka_unit_test(srv_is_not_asked_when_a_port_is_given),
		cmocka_unit_test(srv_is_not_asked_when_no_port_is_wanted),
		cmocka_unit_test(srv_of_one_priority_share_the_load_by_weight),
		cmocka_unit_test(srv_weight_zero_comes_seldom),
		cmocka_unit_test(srv_that_says_no_is_believed),
		cmocka_unit_test(name_without_srv_has_the_default_port),
		cmocka_unit_test(unknown_name_is_enoent),
		cmocka_unit_test(refusing_name_server_is_an_error_that_names_the_file),
		cmocka_unit_test(silent_name_server_is_given_up_after_five_seconds),
		cmocka_unit_test(unanswered_srv_costs_a_second_not_the_connection),
		cmocka_unit_test(srv_lost_twice_is_still_used),
		cmocka_unit_test(first_questions_lost_twice_cost_no_record),
		cmocka_unit_test(address_lost_four_times_is_found_within_the_limit),
		cmocka_unit_test(aaaa_that_is_not_answered_holds_up_neither_a_nor_srv),
		cmocka_unit_test(a_that_was_lost_is_waited_for_though_aaaa_is_there),
		cmocka_unit_test(target_without_an_answer_does_not_cost_the_others),
		cmocka_unit_test(targets_on_the_host_itself_are_not_asked_for_again),
		cmocka_unit_test(host_of_many_addresses_leaves_room_for_the_next_target),
		cmocka_unit_test(search_list_is_for_names_that_do_not_exist),
		cmocka_unit_test(cancelled_lookup_never_calls_back),
		cmocka_unit_test(dns_may_be_freed_with_lookups_under_way_and_from_a_callback),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
