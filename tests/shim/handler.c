/* SPDX-License-Identifier: MIT */
/*
 * handler.c - the first hooked call of a process is made by a signal handler
 *
 * What POSIX lets a handler call must not come to allocate: the handler may have interrupted malloc(). So each
 * of these calls is made in a child of its own, whose malloc() counts.
 */
#include "tests/shim/under.h"

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);
void __libc_free(void *memory);

static volatile sig_atomic_t allocated;
static int fd, pair[2];

void *malloc(size_t size)
{
	allocated++;
	return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
	allocated++;
	return __libc_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
	allocated++;
	return __libc_realloc(old, size);
}

void free(void *memory)
{
	allocated++;
	__libc_free(memory);
}

static void join_address(uint32_t address)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(9), .sin_addr = { htonl(address) } };

	connect(fd, (struct sockaddr *)&in, sizeof(in));
}

static void call_connect(void) { join_address(INADDR_LOOPBACK); }
static void call_connect_alias(void) { join_address(0x0a090002); }	/* 10.9.0.2: bob; a resolver is started for it */
static void call_accept(void) { accept(fd, NULL, NULL); }
static void call_accept4(void) { accept4(fd, NULL, NULL, SOCK_NONBLOCK); }
static void call_send(void) { send(pair[0], "x", 1, 0); }
static void call_setuid(void) { (void)!setuid(getuid()); }
static void call_setsockopt(void) { setsockopt(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &(int){ 1 }, sizeof(int)); }
static void call_getsockopt(void) { getsockopt(fd, SOL_SOCKET, SO_ERROR, &(int){ 0 }, &(socklen_t){ sizeof(int) }); }

static void call_listen(void)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(getenv("WEB"))) };

	bind(fd, (struct sockaddr *)&in, sizeof(in));
	listen(fd, 1);
}

static void call_getpeername(void)
{
	struct sockaddr_storage ss;
	socklen_t size = sizeof(ss);

	getpeername(fd, (struct sockaddr *)&ss, &size);
}

static void call_sendto(void)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(9), .sin_addr = { htonl(0xefc00065) } };

	sendto(fd, "x", 1, MSG_FASTOPEN, (struct sockaddr *)&in, sizeof(in));
}

static void call_sendmsg(void)
{
	struct msghdr message = { 0 };

	sendmsg(pair[0], &message, 0);
}

static const struct {
	const char *name;
	void (*make)(void);
} calls[] = {
	{ "connect()", call_connect }, { "connect() to a peer", call_connect_alias }, { "listen() for peers", call_listen },
	{ "accept()", call_accept }, { "accept4()", call_accept4 }, { "getpeername()", call_getpeername },
	{ "getsockopt()", call_getsockopt }, { "setsockopt()", call_setsockopt }, { "send()", call_send },
	{ "sendto()", call_sendto }, { "sendmsg()", call_sendmsg }, { "setuid()", call_setuid },
};
static size_t now;

static void on_signal(int number)
{
	(void)number;
	allocated = 0;
	calls[now].make();
	_exit(allocated != 0);
}

int main(void)
{
	int bad = 0, status;

	signal(SIGUSR1, on_signal);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (fd < 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0)
		return 1;
	for (now = 0; now < sizeof(calls) / sizeof(calls[0]); now++) {
		pid_t pid = fork();

		if (pid == 0) {
			raise(SIGUSR1);
			_exit(2);
		}
		waitpid(pid, &status, 0);
		bad |= status;
		printf("%sok - %s in a signal handler, first of all, allocates nothing\n", status ? "not " : "", calls[now].name);
		fflush(stdout);
	}
	return bad != 0;
}
