/* SPDX-License-Identifier: MIT */
/*
 * start.c - under the shim: the resolver is started from awkward programs
 *
 *	start WAY
 *
 * gets into the state that WAY names, then needs the resolver for the first time.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <grp.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile sig_atomic_t children;
static volatile int stop;

static void on_child(int number)
{
	(void)number;
	children++;
}

static int look_up(void)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_family = AF_INET }, *result;

	if (getaddrinfo("bob", "22", &hints, &result) != 0)
		return 1;
	return ((struct sockaddr_in *)result->ai_addr)->sin_addr.s_addr == inet_addr("239.192.0.101") ? 0 : 2;
}

/* No SIGCHLD, nothing to wait for, signal mask and handlers as they were */
static int unseen(void)
{
	sigset_t mask, now;
	int rc;

	signal(SIGCHLD, on_child);
	sigemptyset(&mask);
	sigaddset(&mask, SIGUSR2);
	sigprocmask(SIG_SETMASK, &mask, NULL);
	rc = look_up();
	sigprocmask(SIG_SETMASK, NULL, &now);
	if (rc)
		return rc;
	if (children || wait(NULL) != -1 || !sigismember(&now, SIGUSR2) || sigismember(&now, SIGTERM))
		return 10;
	return 0;
}

static void *turn(void *argument)
{
	while (!stop)
		free(malloc(100));
	return argument;
}

static int threaded(void)
{
	pthread_t threads[4];
	int i, rc;

	for (i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, turn, NULL);
	rc = look_up();
	stop = 1;
	for (i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	return rc;
}

static int closed(void)
{
	int fd;

	for (fd = 0; fd < 100; fd++)
		close(fd);
	if (open("/dev/null", O_RDONLY) != 0)	/* the numbers are free for anyone */
		return 20;
	return look_up();
}

static int blocked(void)
{
	sigset_t all;
	int n;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	for (n = 1; n < 32; n++)
		signal(n, SIG_IGN);
	return look_up();
}

static int elsewhere(void)
{
	clearenv();
	return chdir("/") < 0 ? 30 : look_up();
}

static int dropped(void)
{
	if (setgroups(0, NULL) < 0 || setegid(65534) < 0 || seteuid(65534) < 0)
		return 40;
	return look_up();
}

/* As many a daemon does before it listens or connects at all */
static int dropping(void)
{
	if (setgroups(0, NULL) < 0 || setgid(65534) < 0 || setuid(65534) < 0)
		return 60;
	return look_up();
}

/* The database's descriptor 2 must not hear what the resolver has to say */
static int data(const char *path)
{
	close(2);
	if (open(path, O_WRONLY | O_CREAT, 0600) != 2)
		return 50;
	return look_up() ? 0 : 51;
}

int main(int argc, char **argv)
{
	static const struct { const char *name; int (*way)(void); } ways[] = {
		{ "plainly", look_up }, { "unseen", unseen }, { "threaded", threaded }, { "closed", closed },
		{ "blocked", blocked }, { "elsewhere", elsewhere }, { "dropped", dropped },
		{ "dropping", dropping },
	};
	size_t i;

	if (argc == 3 && strcmp(argv[1], "data") == 0)
		return data(argv[2]);
	for (i = 0; argc == 2 && i < sizeof(ways) / sizeof(ways[0]); i++) {
		if (strcmp(argv[1], ways[i].name) == 0)
			return ways[i].way();
	}
	return 99;
}
