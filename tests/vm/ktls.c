/* SPDX-License-Identifier: MIT */
/*
 * ktls.c - what a program may do with a TCP socket, from both ends; and a look at the wire
 *
 *	ktls serve PORT [SNDBUF]
 *	ktls call HOST PORT COVER COVER	each case on a connection of its own; "ok - NAME", "not ok - NAME: WHY"
 *	ktls hold HOST PORT FILE	a connection that says something when FILE appears, and prints the answer
 *	ktls early			does poll() see what came before the keys did?
 *	ktls sniff FILE			every packet of this network namespace, but those of the loopback
 *
 * COVER: the encryption at the caller's and the server's end, as `punchctl status` calls it. A connection
 * begins with a line that names its case. In C, because an emulated processor is slow.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/tls.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef TCP_ULP
#define TCP_ULP 31
#endif
#ifndef SOL_TLS
#define SOL_TLS 282
#endif
#define LARGE	(400u << 10)	/* bytes: some 25 records, and more than a first send buffer holds */
#define TINY	1000
/* Both ends are on one machine: the far end begins to read when there is GO; what it got, or sent, is in TOLD */
#define GO	"/tmp/ktls-go"
#define TOLD	"/tmp/ktls-told"

static const char fox[] = "the-quick-brown-fox jumps over the lazy dog\n";
#define FOX	(sizeof(fox) - 1)

static const char *host, *port;
static const char *ulps[2];
static char why[128];
static size_t first = 1;	/* size of the first write: where a full buffer cuts a record depends on what is before it */

static char pattern(size_t i)
{
	return fox[(i + i / 4096) % FOX];
}

/* FNV-1a: enough to see that bytes are the same */
static uint64_t hash_on(uint64_t hash, const char *data, size_t size)
{
	for (size_t i = 0; i < size; i++)
		hash = (hash ^ (uint8_t)data[i]) * 0x100000001b3u;
	return hash;
}

static uint64_t hash_of_pattern(size_t size)
{
	uint64_t hash = 0;

	for (size_t i = 0; i < size; i++) {
		char byte = pattern(i);

		hash = hash_on(hash, &byte, 1);
	}
	return hash;
}

static uint64_t hash_all(int fd, size_t *size)
{
	static char data[65536];
	uint64_t hash = 0;
	ssize_t n;

	*size = 0;
	while ((n = read(fd, data, sizeof(data))) > 0) {
		hash = hash_on(hash, data, (size_t)n);
		*size += (size_t)n;
	}
	return n < 0 ? 0 : hash;
}

static bool fail(const char *text)
{
	snprintf(why, sizeof(why), "%s (%s)", text, strerror(errno));
	return false;
}

static const char *ulp_of(int fd)
{
	static char name[16];
	socklen_t size = sizeof(name);

	memset(name, 0, sizeof(name));
	getsockopt(fd, IPPROTO_TCP, TCP_ULP, name, &size);
	return *name ? name : "none";
}

static bool send_pattern(int fd, size_t size, size_t piece)
{
	static char data[65536];
	size_t sent = 0;

	while (sent < size) {
		size_t some = size - sent < piece ? size - sent : piece;
		ssize_t n;

		for (size_t i = 0; i < some; i++)
			data[i] = pattern(sent + i);
		n = write(fd, data, some);
		if (n < 0)
			return fail("write");
		sent += (size_t)n;
	}
	return true;
}

/*
 * As a server that waits for events does it, until the buffer is full: the last record hardly fits, and the kernel
 * keeps what of it did not go in. Return: bytes taken
 */
static size_t send_until_full(int fd)
{
	static char data[65536];
	size_t sent = 0, some = first;
	ssize_t n;

	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	do {
		for (size_t i = 0; i < some; i++)
			data[i] = pattern(sent + i);
		n = write(fd, data, some);
		if (n > 0)
			sent += (size_t)n;
		some = sizeof(data);
	} while (n > 0);
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
	return sent;
}

static void await(const char *file)
{
	for (int i = 0; i < 1200 && access(file, F_OK) < 0; i++)
		poll(NULL, 0, 50);
}

static void tell(const char *text)
{
	int file = open(TOLD ".new", O_WRONLY | O_CREAT | O_TRUNC, 0600);

	dprintf(file, "%s", text);
	close(file);
	rename(TOLD ".new", TOLD);
}

static bool send_file(int fd)
{
	char name[] = "/tmp/ktls-XXXXXX";
	int file = mkstemp(name);
	off_t at = 0;

	unlink(name);
	if (file < 0 || !send_pattern(file, LARGE, 65536))
		return fail("file");
	while (at < LARGE)
		if (sendfile(fd, file, &at, LARGE - (size_t)at) <= 0)
			return fail("sendfile");
	close(file);
	return true;
}

/* Echo without the bytes ever coming to user space */
static void splice_back(int fd)
{
	int ends[2];
	ssize_t n, m;

	if (pipe(ends) < 0)
		return;
	while ((n = splice(fd, NULL, ends[1], NULL, 65536, 0)) > 0) {
		while (n > 0 && (m = splice(ends[0], NULL, fd, NULL, (size_t)n, 0)) > 0)
			n -= m;
	}
	close(ends[0]);
	close(ends[1]);
}

static void echo(int fd)
{
	static char data[65536];
	ssize_t n;

	while ((n = read(fd, data, sizeof(data))) > 0)
		if (write(fd, data, (size_t)n) != n)
			return;
}

static void answer(int fd)
{
	const struct linger reset = { .l_onoff = 1 };
	char name[32] = "", text[32];
	size_t size = 0;

	while (size < sizeof(name) - 1 && read(fd, name + size, 1) == 1 && name[size] != '\n')
		size++;
	name[size] = '\0';
	sscanf(name, "%15s %zu", text, &first);
	strcpy(name, text);
	if (strcmp(name, "ulp") == 0) {
		dprintf(fd, "%s", ulp_of(fd));
	} else if (strcmp(name, "sum") == 0) {
		snprintf(text, sizeof(text), "%llx", (unsigned long long)hash_all(fd, &size));
		dprintf(fd, "%s", text);
	} else if (strcmp(name, "file") == 0) {
		send_file(fd);
	} else if (strcmp(name, "splice") == 0) {
		splice_back(fd);
	} else if (strcmp(name, "echo") == 0) {
		echo(fd);
	} else if (strcmp(name, "late") == 0) {
		dprintf(fd, "%s", fox);
		if (read(fd, text, 1) < 0)
			perror("late");
	} else if (strcmp(name, "later") == 0) {
		await(GO);
		snprintf(text, sizeof(text), "%llx", (unsigned long long)hash_all(fd, &size));
		tell(text);
		dprintf(fd, "%s", text);
	} else if (strcmp(name, "full") == 0) {
		snprintf(text, sizeof(text), "%zu", send_until_full(fd));
		close(fd);
		tell(text);
		return;
	} else if (strcmp(name, "reset") == 0) {
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	}
	close(fd);
}

static int serve(const char *at, int room)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(at)) };
	int listener = socket(AF_INET, SOCK_STREAM, 0), on = 1;

	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (room)
		setsockopt(listener, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	if (bind(listener, (struct sockaddr *)&sin, sizeof(sin)) < 0 || listen(listener, 16) < 0)
		return 1;
	for (;;) {
		int fd = accept(listener, NULL, NULL);

		if (fd >= 0 && fork() == 0) {
			close(listener);
			answer(fd);
			_exit(0);
		}
		if (fd >= 0)
			close(fd);
	}
}

/* ------------------------------------------------------------ the caller's cases */

/* @room: SO_SNDBUF, 0: left to the kernel */
static int open_case(const char *name, int room)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_family = AF_INET }, *found;
	const struct timeval patience = { .tv_sec = 60 };
	int fd;

	unlink(GO);
	unlink(TOLD);
	if (getaddrinfo(host, port, &hints, &found) != 0)
		return -1;
	fd = socket(AF_INET, SOCK_STREAM, 0);
	if (room)
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	if (connect(fd, found->ai_addr, found->ai_addrlen) < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	freeaddrinfo(found);
	dprintf(fd, "%s %zu\n", name, first);
	return fd;
}

static bool read_exactly(int fd, size_t size)
{
	char data[64];
	size_t got = 0;
	ssize_t n;

	while (got < size && (n = read(fd, data + got, size - got)) > 0)
		got += (size_t)n;
	return (got == size && memcmp(data, fox, size) == 0) || fail("other bytes");
}

static bool sum_matches(int fd, size_t sent)
{
	char text[32] = "", wanted[32];

	shutdown(fd, SHUT_WR);
	if (recv(fd, text, sizeof(text) - 1, MSG_WAITALL) < 0)
		return fail("no sum");
	snprintf(wanted, sizeof(wanted), "%llx", (unsigned long long)hash_of_pattern(sent));
	return strcmp(text, wanted) == 0 || fail(*text ? "another sum" : "an end");
}

static bool all_of_it_comes(int fd)
{
	size_t size;
	uint64_t hash = hash_all(fd, &size);

	return (size == LARGE && hash == hash_of_pattern(LARGE)) || fail("other bytes");
}

/* @close_it: else shutdown() */
static bool comes_later(int fd, size_t sent, bool close_it)
{
	char text[32] = "", wanted[32];
	int file;

	if (close_it ? close(fd) : shutdown(fd, SHUT_WR))
		return fail("end");
	close(open(GO, O_WRONLY | O_CREAT, 0600));
	if (close_it) {
		await(TOLD);
		file = open(TOLD, O_RDONLY);
		if (read(file, text, sizeof(text) - 1) < 0)
			return fail("nothing is told");
		close(file);
	} else if (recv(fd, text, sizeof(text) - 1, MSG_WAITALL) < 0) {
		return fail("no sum");
	}
	snprintf(wanted, sizeof(wanted), "%llx", (unsigned long long)hash_of_pattern(sent));
	return strcmp(text, wanted) == 0 || fail(*text ? "another sum" : "an end");
}

static bool case_full_there(int fd)
{
	char text[32] = "";
	size_t size;
	uint64_t hash;
	int file;

	await(TOLD);
	file = open(TOLD, O_RDONLY);
	if (read(file, text, sizeof(text) - 1) < 0)
		return fail("nothing is told");
	close(file);
	hash = hash_all(fd, &size);
	if (size == strtoul(text, NULL, 10) && hash == hash_of_pattern(size))
		return true;
	snprintf(why, sizeof(why), "%zu of %s bytes", size, text);
	return false;
}

static bool case_full_half_close(int fd)
{
	return comes_later(fd, send_until_full(fd), false);
}

static bool case_full_close(int fd)
{
	return comes_later(fd, send_until_full(fd), true);
}

static bool case_more(int fd)
{
	return (send(fd, fox, FOX, MSG_MORE) == (ssize_t)FOX || fail("send")) && comes_later(fd, FOX, false);
}

static bool case_more_close(int fd)
{
	return (send(fd, fox, FOX, MSG_MORE) == (ssize_t)FOX || fail("send")) && comes_later(fd, FOX, true);
}

static bool case_ulp(int fd)
{
	char far[16] = "";

	if (recv(fd, far, sizeof(far) - 1, MSG_WAITALL) < 0)
		return fail("no answer");
	if (strcmp(ulp_of(fd), ulps[0]) == 0 && strcmp(far, ulps[1]) == 0)
		return true;
	snprintf(why, sizeof(why), "%s here, %s there", ulp_of(fd), far);
	return false;
}

static bool case_half_close(int fd)
{
	return send_pattern(fd, LARGE, 65536) && sum_matches(fd, LARGE);
}

static bool case_tiny(int fd)
{
	const int on = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return send_pattern(fd, TINY, 1) && sum_matches(fd, TINY);
}

static bool case_peek(int fd)
{
	char got[9];

	if (write(fd, fox, FOX) != (ssize_t)FOX)
		return fail("write");
	if (recv(fd, got, 9, MSG_PEEK) != 9 || memcmp(got, fox, 9) != 0)
		return fail("first look");
	if (recv(fd, got, 9, MSG_PEEK | MSG_WAITALL) != 9 || memcmp(got, fox, 9) != 0)
		return fail("second look");
	return read_exactly(fd, FOX);
}

static bool case_poll(int fd)
{
	struct epoll_event event = { .events = EPOLLIN };
	int set = epoll_create1(0);

	epoll_ctl(set, EPOLL_CTL_ADD, fd, &event);
	if (epoll_wait(set, &event, 1, 60000) != 1)
		return fail("poll does not see it");
	close(set);
	return read_exactly(fd, FOX);
}

static bool case_sendfile(int fd)
{
	return send_file(fd) && sum_matches(fd, LARGE);
}

static bool case_splice(int fd)
{
	pid_t writer = fork();

	if (writer == 0)
		_exit(send_pattern(fd, LARGE, 30000) && shutdown(fd, SHUT_WR) == 0 ? 0 : 1);
	return all_of_it_comes(fd);
}

static bool case_reset(int fd)
{
	char byte;

	if (recv(fd, &byte, 1, 0) == 0)
		return fail("an end instead of a reset");
	return errno == ECONNRESET || fail("another error");
}

static int call(void)
{
	static const struct {
		const char *name, *far;
		bool (*run)(int fd);
		size_t step, most;	/* 0: once */
		int room;
	} cases[] = {
		{ "both ends are where they should be", "ulp", case_ulp, 0, 0, 0 },
		{ "large writes and half-close", "sum", case_half_close, 0, 0, 0 },
		{ "tiny writes", "sum", case_tiny, 0, 0, 0 },
		{ "MSG_PEEK", "echo", case_peek, 0, 0, 0 },
		{ "waiting data is seen by epoll", "late", case_poll, 0, 0, 0 },
		{ "sendfile there", "file", all_of_it_comes, 0, 0, 0 },
		{ "sendfile here", "sum", case_sendfile, 0, 0, 0 },
		{ "sendfile with a small buffer", "sum", case_sendfile, 0, 0, 16384 },
		{ "splice", "splice", case_splice, 0, 0, 0 },
		{ "a reset is seen", "reset", case_reset, 0, 0, 0 },
		{ "half-close while the buffer is full", "later", case_full_half_close, 3072, 16384, 0 },
		{ "close while the buffer is full", "later", case_full_close, 3072, 16384, 0 },
		{ "close there while the buffer is full", "full", case_full_there, 3072, 16384, 0 },
		{ "MSG_MORE and half-close", "later", case_more, 0, 0, 0 },
		{ "MSG_MORE and close", "later", case_more_close, 0, 0, 0 },
	};
	unsigned int i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		bool good;
		int fd;

		first = 1;
		do {
			fd = open_case(cases[i].far, cases[i].room);
			good = fd >= 0 ? cases[i].run(fd) : fail("connect");
			if (fd >= 0)
				close(fd);
			first += cases[i].step;
		} while (good && first < cases[i].most);
		printf("%s - %s%s%s\n", good ? "ok" : "not ok", cases[i].name, good ? "" : ": ", good ? "" : why);
		fflush(stdout);
	}
	return 0;
}

static int hold(const char *file)
{
	int fd = open_case("echo", 0);

	if (fd < 0)
		return 1;
	puts("held");
	fflush(stdout);
	while (access(file, F_OK) < 0)
		poll(NULL, 0, 50);
	if (write(fd, fox, FOX) != (ssize_t)FOX)
		fail("write");
	else if (read_exactly(fd, FOX))
		snprintf(why, sizeof(why), "alive");
	puts(why);
	return 0;
}

/* The kernel's part alone, with a key of zeroes at both ends */
static int early(void)
{
	static const struct tls12_crypto_info_chacha20_poly1305 keys = {
		.info = { .version = TLS_1_3_VERSION, .cipher_type = TLS_CIPHER_CHACHA20_POLY1305 },
	};
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int listener = socket(AF_INET, SOCK_STREAM, 0), from = socket(AF_INET, SOCK_STREAM, 0), to;
	struct pollfd there = { .events = POLLIN };
	socklen_t size = sizeof(sin);

	if (bind(listener, (struct sockaddr *)&sin, size) < 0 || listen(listener, 1) < 0 ||
	    getsockname(listener, (struct sockaddr *)&sin, &size) < 0 ||
	    connect(from, (struct sockaddr *)&sin, size) < 0)
		return 1;
	to = there.fd = accept(listener, NULL, NULL);
	if (setsockopt(from, IPPROTO_TCP, TCP_ULP, "tls", 4) < 0 || setsockopt(to, IPPROTO_TCP, TCP_ULP, "tls", 4) < 0 ||
	    setsockopt(from, SOL_TLS, TLS_TX, &keys, sizeof(keys)) < 0 || write(from, fox, FOX) != (ssize_t)FOX ||
	    poll(&there, 1, 60000) != 1 || setsockopt(to, SOL_TLS, TLS_RX, &keys, sizeof(keys)) < 0)
		return 1;
	return poll(&there, 1, 60000) == 1 && read_exactly(to, FOX) ? 0 : 1;
}

static int sniff(const char *path)
{
	static char packet[65536];
	int fd = socket(AF_PACKET, SOCK_DGRAM, htons(ETH_P_ALL));
	int out = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
	struct sockaddr_ll from;
	ssize_t n;

	if (fd < 0 || out < 0)
		return 1;
	puts("sniffing");
	fflush(stdout);
	for (;;) {
		socklen_t size = sizeof(from);

		n = recvfrom(fd, packet, sizeof(packet), 0, (struct sockaddr *)&from, &size);
		if (n > 0 && from.sll_ifindex != (int)if_nametoindex("lo") && write(out, packet, (size_t)n) != n)
			return 1;
	}
}

int main(int argc, char **argv)
{

	if (argc >= 3 && strcmp(argv[1], "serve") == 0)
		return serve(argv[2], argc > 3 ? atoi(argv[3]) : 0);
	if (argc == 3 && strcmp(argv[1], "sniff") == 0)
		return sniff(argv[2]);
	if (argc == 2 && strcmp(argv[1], "early") == 0)
		return early();
	if (argc < 5)
		return 64;
	host = argv[2];
	port = argv[3];
	if (strcmp(argv[1], "hold") == 0)
		return hold(argv[4]);
	ulps[0] = strcmp(argv[4], "tls-kernel") == 0 ? "tls" : "none";
	ulps[1] = argc > 5 && strcmp(argv[5], "tls-kernel") == 0 ? "tls" : "none";
	return call();
}
