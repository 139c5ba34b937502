/* SPDX-License-Identifier: MIT */
/*
 * threads.c - threads that have nothing to do with peers, and end in odd ways
 *
 * A thread that waits in a hooked call can be cancelled there, and its clean-up handlers run.  Argument "small":
 * the first call of all is made by a thread with the smallest stack there is.
 */
#include <limits.h>
#include <pthread.h>
#include <sys/uio.h>

#include "tests/shim/under.h"

#define CHUNK 65536

static struct sockaddr_in silent;	/* a listener whose queue is full: connect() waits */
static int quiet;			/* a listener that nobody connects to */
static int stuck[2];			/* a pair that nobody reads from */
static char data[CHUNK];

static void note(void *cleaned)
{
	*(int *)cleaned = 1;
}

static void wait_in_accept(void)
{
	struct sockaddr_storage ss;
	socklen_t size = sizeof(ss);

	accept(quiet, (struct sockaddr *)&ss, &size);
}

static void wait_in_accept4(void)
{
	accept4(quiet, NULL, NULL, SOCK_CLOEXEC);
}

static void wait_in_connect(void)
{
	connect(socket(AF_INET, SOCK_STREAM, 0), (struct sockaddr *)&silent, sizeof(silent));
}

static void wait_in_sendto(void)
{
	while (sendto(stuck[0], data, sizeof(data), 0, NULL, 0) > 0)
		;
}

static void wait_in_sendmsg(void)
{
	struct iovec iov = { .iov_base = data, .iov_len = sizeof(data) };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };

	while (sendmsg(stuck[0], &message, 0) > 0)
		;
}

struct job {
	void (*wait)(void);
	int cleaned;
};

static void *run(void *argument)
{
	struct job *job = argument;

	pthread_cleanup_push(note, &job->cleaned);
	job->wait();
	pthread_cleanup_pop(0);
	return NULL;
}

static void a_thread_can_be_cancelled_in_each_call(void **state)
{
	void (*const waits[])(void) = { wait_in_accept, wait_in_accept4, wait_in_connect, wait_in_sendto, wait_in_sendmsg };
	unsigned int i;

	(void)state;
	for (i = 0; i < sizeof(waits) / sizeof(waits[0]); i++) {
		struct job job = { .wait = waits[i] };
		pthread_t thread;
		void *result;

		assert_int_equal(pthread_create(&thread, NULL, run, &job), 0);
		assert_int_equal(pthread_cancel(thread), 0);
		assert_int_equal(pthread_join(thread, &result), 0);
		assert_ptr_equal(result, PTHREAD_CANCELED);
		assert_int_equal(job.cleaned, 1);
	}
}

static int listen_somewhere(int backlog, struct sockaddr_in *where)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t size = sizeof(*where);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&in, sizeof(in)), 0);
	assert_int_equal(listen(fd, backlog), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)where, &size), 0);
	return fd;
}

static int make_places(void **state)
{
	struct sockaddr_in unused;
	int i;

	(void)state;
	quiet = listen_somewhere(4, &unused);
	listen_somewhere(0, &silent);
	for (i = 0; i < 3; i++)
		connect(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), (struct sockaddr *)&silent, sizeof(silent));
	return socketpair(AF_UNIX, SOCK_STREAM, 0, stuck);
}

static void *connect_once(void *refused)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(1), .sin_addr = { htonl(INADDR_LOOPBACK) } };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	*(int *)refused = connect(fd, (struct sockaddr *)&in, sizeof(in)) < 0 && errno == ECONNREFUSED;
	return NULL;
}

static int first_call_on_a_small_stack(void)
{
	pthread_attr_t attributes;
	pthread_t thread;
	int refused = 0;

	pthread_attr_init(&attributes);
	if (pthread_attr_setstacksize(&attributes, (size_t)sysconf(_SC_THREAD_STACK_MIN)) != 0 ||
	    pthread_create(&thread, &attributes, connect_once, &refused) != 0 || pthread_join(thread, NULL) != 0)
		return 1;
	return !refused;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_thread_can_be_cancelled_in_each_call),
	};

	if (argc > 1 && strcmp(argv[1], "small") == 0)
		return first_call_on_a_small_stack();
	return cmocka_run_group_tests_name("threads", tests, make_places, NULL);
}
