/* SPDX-License-Identifier: MIT */
/*
 * fixed.c - a static program, for the tests of "punch --any"
 *
 *	fixed dial NAME PORT	blocks in connect(), sends a line, prints the far end's address and the line that comes back
 *	fixed alarm NAME PORT	the same, but a signal ends the first connect(), and poll() waits for it
 *	fixed threads NAME PORT	four threads at once; meanwhile another one counts
 *	fixed serve PORT	blocks in accept(); greets each client with its address
 *	fixed again PORT	a handler ends accept(); then the port must be free at once
 *	fixed closed SIZE	closes its memory to others, then connects to 10.9.0.2 by an address of SIZE bytes; prints the error
 *	fixed uring		prints what io_uring_setup() says
 *	fixed cost N PORT	microseconds for a getppid() and for a connect() to 127.0.0.1, N times each
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static int die(const char *what)
{
	printf("%s: %s\n", what, strerror(errno));
	exit(1);
}

static struct addrinfo *find(const char *name, const char *port)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	struct addrinfo *result;
	int rc = getaddrinfo(name, port, &hints, &result);

	if (rc) {
		printf("%s: %s\n", name, gai_strerror(rc));
		exit(1);
	}
	return result;
}

static void on_alarm(int signal)
{
	(void)signal;
}

static void alarm_soon(void)
{
	struct sigaction action = { .sa_handler = on_alarm };
	const struct itimerspec soon = { .it_value = { .tv_nsec = 200000000 } };
	timer_t timer;

	sigaction(SIGALRM, &action, NULL);
	timer_create(CLOCK_MONOTONIC, NULL, &timer);
	timer_settime(timer, 0, &soon, NULL);
}

static void finish_interrupted(int fd)
{
	struct pollfd pollfd = { .fd = fd, .events = POLLOUT };
	int error = 0;
	socklen_t size = sizeof(error);

	if (errno != EINTR)
		die("connect");
	if (poll(&pollfd, 1, 20000) != 1)
		die("poll");
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
		die("getsockopt");
	errno = error;
	if (error)
		die("connect");
	printf("interrupted, ");
}

static const char *remote(int fd)
{
	static _Thread_local char host[64];
	struct sockaddr_storage ss;
	socklen_t size = sizeof(ss);

	if (getpeername(fd, (struct sockaddr *)&ss, &size) < 0)
		die("getpeername");
	getnameinfo((struct sockaddr *)&ss, size, host, sizeof(host), NULL, 0, NI_NUMERICHOST);
	return host;
}

static void dial(const char *name, const char *port, int interrupted)
{
	struct addrinfo *to = find(name, port);
	int fd = socket(to->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char line[64] = "";

	if (interrupted)
		alarm_soon();
	if (connect(fd, to->ai_addr, to->ai_addrlen) < 0) {
		if (!interrupted)
			die("connect");
		finish_interrupted(fd);
	}
	if (write(fd, "hello\n", 6) != 6 || read(fd, line, sizeof(line) - 1) <= 0)
		die("talk");
	printf("%s %s", remote(fd), line);
	close(fd);
}

static const char *const *arguments;
static volatile int counted, over;

static void *dial_thread(void *unused)
{
	(void)unused;
	dial(arguments[0], arguments[1], 0);
	return NULL;
}

static void *count_thread(void *unused)
{
	const struct timespec pause = { .tv_nsec = 10000000 };

	(void)unused;
	while (!over) {
		nanosleep(&pause, NULL);
		counted++;
	}
	return NULL;
}

static void threads(void)
{
	pthread_t dialling[4], counting;
	int i;

	pthread_create(&counting, NULL, count_thread, NULL);
	for (i = 0; i < 4; i++)
		pthread_create(&dialling[i], NULL, dial_thread, NULL);
	for (i = 0; i < 4; i++)
		pthread_join(dialling[i], NULL);
	over = 1;
	pthread_join(counting, NULL);
	puts(counted > 20 ? "the others went on" : "all stood still");
}

static int listener(const char *port)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(port)) };
	int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&in, sizeof(in)) < 0)
		die("bind");
	if (listen(fd, 64) < 0)
		die("listen");
	return fd;
}

static void serve(const char *port)
{
	int fd = listener(port);

	for (;;) {
		struct sockaddr_in from;
		socklen_t size = sizeof(from);
		int client = accept(fd, (struct sockaddr *)&from, &size);

		if (client < 0)
			die("accept");
		dprintf(client, "%s %s\n", inet_ntoa(from.sin_addr), remote(client));
		close(client);
	}
}

static void again(const char *port)
{
	int i, fd;

	for (i = 0; i < 3; i++) {
		fd = listener(port);
		alarm_soon();
		if (accept(fd, NULL, NULL) >= 0 || errno != EINTR)
			die("accept");
		close(fd);
	}
	puts("free each time");
}

static double seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void cost(int n, const char *port)
{
	struct addrinfo *to = find("127.0.0.1", port);
	double start = seconds(), middle;
	int i;

	for (i = 0; i < n; i++)
		syscall(SYS_getppid);
	middle = seconds();
	for (i = 0; i < n; i++) {
		int fd = socket(AF_INET, SOCK_STREAM, 0);

		if (connect(fd, to->ai_addr, to->ai_addrlen) < 0)
			die("connect");
		close(fd);
	}
	printf("getppid %.2f us, connect %.1f us\n", (middle - start) / n * 1e6, (seconds() - middle) / n * 1e6);
}

static void closed(socklen_t size)
{
	struct sockaddr_storage ss = { .ss_family = AF_INET };
	struct sockaddr_in *in = (struct sockaddr_in *)&ss;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	in->sin_port = htons(9);
	inet_pton(AF_INET, "10.9.0.2", &in->sin_addr);
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	printf("%s\n", connect(fd, (struct sockaddr *)&ss, size) < 0 ? strerror(errno) : "connected");
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	setvbuf(stdout, NULL, _IONBF, 0);
	arguments = (const char *const *)argv + 2;
	if (strcmp(what, "dial") == 0)
		dial(argv[2], argv[3], 0);
	else if (strcmp(what, "alarm") == 0)
		dial(argv[2], argv[3], 1);
	else if (strcmp(what, "threads") == 0)
		threads();
	else if (strcmp(what, "serve") == 0)
		serve(argv[2]);
	else if (strcmp(what, "again") == 0)
		again(argv[2]);
	else if (strcmp(what, "closed") == 0)
		closed((socklen_t)atoi(argv[2]));
	else if (strcmp(what, "uring") == 0)
		printf("%s\n", syscall(SYS_io_uring_setup, 0, NULL) < 0 ? strerror(errno) : "works");
	else if (strcmp(what, "cost") == 0)
		cost(atoi(argv[2]), argv[3]);
	return 0;
}
