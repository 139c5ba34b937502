/* SPDX-License-Identifier: MIT */
/*
 * tcpprobe: one TCP connection attempt, made as punch makes them, and its outcome in one line.
 *
 *	tcpprobe connect [-p PORT] [-t TTL] [-m MINTTL] [-w MS] [-r] [-h MS] [-d MS] ADDRESS PORT
 *	tcpprobe listen [-p PORT] [-w MS] [-n COUNT]
 *
 * connect binds the local port (SO_REUSEADDR and SO_REUSEPORT), connects with the given TTL, raised
 * to 64 as soon as the SYN is out, and waits. -r: after ECONNREFUSED try again from the same port
 * after a random wait of at most the time that the refusal took. -h: hold the connection open until
 * the far end closes it, at most so long. -d: begin so much later. It prints
 *
 *	connected 12.3 ms via ADDRESS:PORT tries 1		what the far end said it saw, or "unknown"
 *	failed ECONNREFUSED 0.4 ms tries 1
 *
 * listen answers each connection with the line "ADDRESS:PORT" of who called, and prints the same.
 * Two that connect to each other at once do so as well, which proves that bytes flow both ways.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define NORMAL_TTL 64
#define GREETING_MS 2000 /* a connected peer speaks within a few round trips */

struct probe {
	struct sockaddr_in to;
	uint16_t port;
	int ttl, minttl, wait_ms, hold_ms, late_ms, count;
	bool retry;
};

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void pause_ms(double ms)
{
	struct timespec t = { .tv_sec = (time_t)(ms / 1e3) };

	t.tv_nsec = (long)((ms - (double)t.tv_sec * 1e3) * 1e6);
	nanosleep(&t, NULL);
}

static void set_int(int fd, int level, int name, int value)
{
	if (setsockopt(fd, level, name, &value, sizeof(value)))
		perror("tcpprobe: setsockopt");
}

static int open_bound(uint16_t port)
{
	struct sockaddr_in me = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0) {
		perror("tcpprobe: socket");
		exit(2);
	}
	set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	set_int(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	if (bind(fd, (const struct sockaddr *)&me, sizeof(me))) {
		perror("tcpprobe: bind");
		exit(2);
	}
	return fd;
}

/* Wait for the connect to end. Returns 0 or the errno. */
static int await_connect(int fd, double deadline)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	socklen_t len = sizeof(int);
	double left;
	int err = 0;

	do {
		left = deadline - now_ms();
		if (left <= 0)
			return ETIMEDOUT;
	} while (poll(&p, 1, (int)left + 1) <= 0);
	getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len);
	return err;
}

/* Tell the far end whom we see. */
static void greet(int fd, const struct sockaddr_in *who)
{
	char text[64];
	int n = snprintf(text, sizeof(text), "%s:%u\n", inet_ntoa(who->sin_addr), ntohs(who->sin_port));

	if (send(fd, text, (size_t)n, MSG_NOSIGNAL) != n)
		perror("tcpprobe: send");
}

/* Hear whom the far end sees. */
static void hear(int fd, char *text, size_t size)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	size_t have = 0;
	ssize_t n;

	while (have < size - 1 && poll(&p, 1, GREETING_MS) == 1) {
		n = recv(fd, text + have, size - 1 - have, 0);
		if (n <= 0)
			break;
		have += (size_t)n;
		if (memchr(text, '\n', have))
			break;
	}
	text[have] = '\0';
	text[strcspn(text, "\n")] = '\0';
	if (!*text)
		snprintf(text, size, "unknown");
}

static void hold(int fd, int ms)
{
	double deadline = now_ms() + ms;
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char sink[256];
	ssize_t n = 1;

	while (n > 0 && now_ms() < deadline) {
		if (poll(&p, 1, (int)(deadline - now_ms()) + 1) == 1)
			n = recv(fd, sink, sizeof(sink), 0);
	}
}

/* One attempt. Returns 0 or the errno. */
static int attempt(const struct probe *o, int fd, double deadline)
{
	if (o->ttl)
		set_int(fd, IPPROTO_IP, IP_TTL, o->ttl);
	if (o->minttl)
		set_int(fd, IPPROTO_IP, IP_MINTTL, o->minttl);
	if (connect(fd, (const struct sockaddr *)&o->to, sizeof(o->to)) && errno != EINPROGRESS)
		return errno;
	if (o->ttl)
		set_int(fd, IPPROTO_IP, IP_TTL, NORMAL_TTL);
	return await_connect(fd, deadline);
}

static int do_connect(const struct probe *o)
{
	double start, deadline, began, pause;
	int err, fd, tries = 0;
	char seen[64];
	uint32_t dice;

	pause_ms(o->late_ms);
	start = now_ms();
	deadline = start + o->wait_ms;
	for (;;) {
		fd = open_bound(o->port);
		began = now_ms();
		tries++;
		err = attempt(o, fd, deadline);
		if (!err || !o->retry || err != ECONNREFUSED)
			break;
		close(fd);
		if (getrandom(&dice, sizeof(dice), 0) != sizeof(dice))
			dice = 0;
		pause = now_ms() - began;
		pause = 1 + (pause > 1 ? pause - 1 : 0) * dice / UINT32_MAX;
		pause_ms(pause);
	}
	if (err) {
		printf("failed %s %.1f ms tries %d\n", strerrorname_np(err), now_ms() - start, tries);
		return 1;
	}
	began = now_ms();
	greet(fd, &o->to);
	hear(fd, seen, sizeof(seen));
	printf("connected %.1f ms via %s tries %d\n", began - start, seen, tries);
	fflush(stdout);
	if (o->hold_ms)
		hold(fd, o->hold_ms);
	close(fd);
	return strcmp(seen, "unknown") == 0;
}

static int do_listen(const struct probe *o)
{
	double deadline = now_ms() + o->wait_ms;
	struct sockaddr_in who;
	socklen_t len;
	int fd = open_bound(o->port), c, left = o->count;
	struct pollfd p = { .fd = fd, .events = POLLIN };

	if (listen(fd, 16)) {
		perror("tcpprobe: listen");
		return 2;
	}
	while (left && now_ms() < deadline) {
		if (poll(&p, 1, (int)(deadline - now_ms()) + 1) != 1)
			continue;
		len = sizeof(who);
		c = accept4(fd, (struct sockaddr *)&who, &len, SOCK_CLOEXEC);
		if (c < 0)
			continue;
		greet(c, &who);
		printf("%s:%u\n", inet_ntoa(who.sin_addr), ntohs(who.sin_port));
		fflush(stdout);
		shutdown(c, SHUT_WR);
		hold(c, GREETING_MS);
		close(c);
		left--;
	}
	return left > 0 && o->count > 0;
}

static int usage(void)
{
	fputs("usage: tcpprobe connect [-p PORT] [-t TTL] [-m MINTTL] [-w MS] [-r] [-h MS] [-d MS] ADDRESS PORT\n"
	      "       tcpprobe listen [-p PORT] [-w MS] [-n COUNT]\n", stderr);
	return 2;
}

int main(int argc, char **argv)
{
	struct probe o = { .wait_ms = 3000, .count = -1 };
	int c;

	while ((c = getopt(argc, argv, "p:t:m:w:h:d:n:r")) != -1) {
		switch (c) {
		case 'p': o.port = (uint16_t)atoi(optarg); break;
		case 't': o.ttl = atoi(optarg); break;
		case 'm': o.minttl = atoi(optarg); break;
		case 'w': o.wait_ms = atoi(optarg); break;
		case 'h': o.hold_ms = atoi(optarg); break;
		case 'd': o.late_ms = atoi(optarg); break;
		case 'n': o.count = atoi(optarg); break;
		case 'r': o.retry = true; break;
		default: return usage();
		}
	}
	if (optind < argc && !strcmp(argv[optind], "listen"))
		return do_listen(&o);
	if (argc - optind != 3 || strcmp(argv[optind], "connect") ||
	    inet_pton(AF_INET, argv[optind + 1], &o.to.sin_addr) != 1)
		return usage();
	o.to.sin_family = AF_INET;
	o.to.sin_port = htons((uint16_t)atoi(argv[optind + 2]));
	return do_connect(&o);
}
