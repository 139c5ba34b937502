/* SPDX-License-Identifier: MIT */
/*
 * test_local.c - names of resolvers, packets, and descriptors that come with them
 */
#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "common/local.h"
#include "tests/unit/scratch.h"

static struct local_config file_config(const char *path)
{
	struct local_config config;

	memset(&config, 0, sizeof(config));
	snprintf(config.path, sizeof(config.path), "%s", path);
	return config;
}

static struct local_config quick_config(const char *secret, const char *as, const char *rendezvous)
{
	struct local_config config;

	memset(&config, 0, sizeof(config));
	snprintf(config.secret, sizeof(config.secret), "%s", secret);
	snprintf(config.as, sizeof(config.as), "%s", as);
	snprintf(config.rendezvous, sizeof(config.rendezvous), "%s", rendezvous);
	return config;
}

static void a_file_names_its_resolver(void **state)
{
	struct local_config config = file_config(scratch_path("punch.conf")), linked_config;
	char wanted[128], folder[SCRATCH_PATH], linked[SCRATCH_PATH + 16];
	struct sockaddr_un sun, other;
	struct stat st;
	int len;

	(void)state;
	assert_int_equal(stat(scratch, &st), 0);
	snprintf(wanted, sizeof(wanted), "punch/1000/f-%llx-%llx-punch.conf/3", (unsigned long long)st.st_dev,
		 (unsigned long long)st.st_ino);
	len = local_address(&sun, 1000, &config, 3);
	assert_int_equal(len, offsetof(struct sockaddr_un, sun_path) + 1 + strlen(wanted));
	assert_int_equal(sun.sun_family, AF_UNIX);
	assert_int_equal(sun.sun_path[0], 0);
	assert_string_equal(sun.sun_path + 1, wanted);

	/* the folder counts, not the way to it */
	snprintf(folder, sizeof(folder), "%s", scratch_path("link"));
	assert_int_equal(symlink(scratch, folder), 0);
	snprintf(linked, sizeof(linked), "%s/punch.conf", folder);
	linked_config = file_config(linked);
	assert_int_equal(local_address(&other, 1000, &linked_config, 3), len);
	assert_memory_equal(&sun, &other, sizeof(sun));
	assert_true(local_config_equal(&config, &linked_config));

	/* but neither another file in it, nor one of that name elsewhere */
	snprintf(linked, sizeof(linked), "%s/other.conf", folder);
	linked_config = file_config(linked);
	assert_false(local_config_equal(&config, &linked_config));
	linked_config = file_config("/punch.conf");
	assert_false(local_config_equal(&config, &linked_config));
}

static void the_longest_names_fit(void **state)
{
	struct local_config config;
	struct sockaddr_un sun;
	char name[200];
	int len;

	(void)state;
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	config = file_config(scratch_path(name));
	len = local_address(&sun, (uid_t)-2, &config, LOCAL_NAMES - 1);
	assert_in_range(len, 1, sizeof(sun));
	config = quick_config("w", name, "r");
	len = local_address(&sun, (uid_t)-2, &config, LOCAL_NAMES - 1);
	assert_in_range(len, 1, sizeof(sun));
	assert_string_equal(sun.sun_path + 1,
			    "punch/4294967294/q-nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn/7");
}

static void a_missing_folder_is_told(void **state)
{
	struct local_config config = file_config("/nonexistent/folder/punch.conf");
	struct sockaddr_un sun;

	(void)state;
	errno = ENOTTY;
	assert_int_equal(local_address(&sun, 0, &config, 0), -ENOENT);
	assert_int_equal(errno, ENOTTY);
}

static void every_field_tells_configurations_apart(void **state)
{
	struct local_config a = quick_config("word", "bob", "r:1"), b = a;

	(void)state;
	assert_true(local_config_equal(&a, &b));
	b = quick_config("worD", "bob", "r:1");
	assert_false(local_config_equal(&a, &b));
	b = quick_config("wor", "bob", "r:1");
	assert_false(local_config_equal(&a, &b));
	b = quick_config("word", "bo", "r:1");
	assert_false(local_config_equal(&a, &b));
	b = quick_config("word", "bob", "r:2");
	assert_false(local_config_equal(&a, &b));
	strcpy(b.path, "/x");
	assert_false(local_config_equal(&a, &b));
	/* unterminated fields, as a hostile client may send them, are no reason to read on */
	memset(&a, 'x', sizeof(a));
	memset(&b, 'x', sizeof(b));
	assert_true(local_config_equal(&a, &b));
	b.rendezvous[LIMIT_HOST - 1] = 'y';
	assert_false(local_config_equal(&a, &b));
}

static void packets_carry_a_descriptor(void **state)
{
	char data[16];
	int pair[2], fds[2], got;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	assert_int_equal(local_send(pair[0], "one", 3, -1), 0);
	assert_int_equal(local_send(pair[0], "two", 3, fds[1]), 0);
	close(fds[1]);

	assert_int_equal(local_recv(pair[1], data, sizeof(data), &got), 3);
	assert_memory_equal(data, "one", 3);
	assert_int_equal(got, -1);
	assert_int_equal(local_recv(pair[1], data, sizeof(data), &got), 3);
	assert_memory_equal(data, "two", 3);
	assert_true(got >= 0);
	assert_true(fcntl(got, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(write(got, "x", 1), 1);
	assert_int_equal(read(fds[0], data, 1), 1);
	close(got);
	close(pair[0]);
	assert_int_equal(local_recv(pair[1], data, sizeof(data), &got), 0);
	assert_int_equal(got, -1);
	close(pair[1]);
	close(fds[0]);
}

static int open_descriptors(void)
{
	int fd, n = 0;

	for (fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* @count times the same descriptor in one message, as local_send() would never do */
static void send_many(int sock, int fd, size_t count)
{
	char control[CMSG_SPACE(64 * sizeof(int))] __attribute__((aligned(16))) = { 0 };
	struct iovec iov = { .iov_base = control, .iov_len = 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control };
	struct cmsghdr *cmsg;
	size_t i;

	msg.msg_controllen = CMSG_SPACE(count * sizeof(int));
	cmsg = CMSG_FIRSTHDR(&msg);
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(count * sizeof(int));
	for (i = 0; i < count; i++)
		memcpy(CMSG_DATA(cmsg) + i * sizeof(int), &fd, sizeof(fd));
	assert_int_equal(sendmsg(sock, &msg, 0), 1);
}

static void surplus_descriptors_are_closed(void **state)
{
	static const size_t counts[] = { 2, 8, 9, 60 };
	int pair[2], got, before;
	char data[4];
	size_t i;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	for (i = 0; i < COUNT(counts); i++) {
		before = open_descriptors();
		send_many(pair[0], pair[0], counts[i]);
		assert_int_equal(local_recv(pair[1], data, sizeof(data), &got), 1);
		assert_true(got >= 0);
		assert_int_equal(open_descriptors(), before + 1);
		close(got);
	}
	close(pair[0]);
	close(pair[1]);
}

static void a_packet_that_does_not_fit_is_refused_with_its_descriptor(void **state)
{
	int pair[2], got, before;
	char data[4];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	before = open_descriptors();
	assert_int_equal(local_send(pair[0], "too long", 8, pair[0]), 0);
	assert_int_equal(local_recv(pair[1], data, sizeof(data), &got), -EMSGSIZE);
	assert_int_equal(got, -1);
	assert_int_equal(open_descriptors(), before);
	close(pair[0]);
	close(pair[1]);
}

static void no_room_for_the_descriptor_is_told(void **state)
{
	struct rlimit saved, low;
	int pair[2], got;
	char data[4];
	ssize_t n;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(local_send(pair[0], "x", 1, pair[0]), 0);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &saved), 0);
	low = saved;
	low.rlim_cur = 0;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	n = local_recv(pair[1], data, sizeof(data), &got);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &saved), 0);
	assert_int_equal(n, -EMFILE);
	assert_int_equal(got, -1);
	close(pair[0]);
	close(pair[1]);
}

static void a_far_end_that_left_is_no_signal(void **state)
{
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	close(pair[1]);
	errno = ENOTTY;
	assert_int_equal(local_send(pair[0], "x", 1, -1), -EPIPE);	/* SIGPIPE would end the test */
	assert_int_equal(errno, ENOTTY);
	close(pair[0]);
	/* nor is it over a stream, where the kernel would send SIGPIPE */
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	close(pair[1]);
	assert_int_equal(local_send(pair[0], "x", 1, -1), -EPIPE);
	close(pair[0]);
}

static volatile sig_atomic_t ticks;
static int tick_fd;

static void on_tick(int signal_number)
{
	(void)signal_number;
	if (++ticks == 3)
		(void)!write(tick_fd, "late", 4);
}

static void signals_do_not_disturb(void **state)
{
	struct sigaction act = { .sa_handler = on_tick }, old;	/* no SA_RESTART: EINTR each time */
	struct itimerval every = { .it_interval = { 0, 5000 }, .it_value = { 0, 5000 } }, off = { 0 };
	int pair[2], got;
	char data[8];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	tick_fd = pair[0];
	assert_int_equal(sigaction(SIGALRM, &act, &old), 0);
	assert_int_equal(setitimer(ITIMER_REAL, &every, NULL), 0);
	assert_int_equal(local_recv(pair[1], data, sizeof(data), &got), 4);
	assert_int_equal(setitimer(ITIMER_REAL, &off, NULL), 0);
	assert_int_equal(sigaction(SIGALRM, &old, NULL), 0);
	assert_true(ticks >= 3);
	close(pair[0]);
	close(pair[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_names_its_resolver),
		cmocka_unit_test(the_longest_names_fit),
		cmocka_unit_test(a_missing_folder_is_told),
		cmocka_unit_test(every_field_tells_configurations_apart),
		cmocka_unit_test(packets_carry_a_descriptor),
		cmocka_unit_test(surplus_descriptors_are_closed),
		cmocka_unit_test(a_packet_that_does_not_fit_is_refused_with_its_descriptor),
		cmocka_unit_test(no_room_for_the_descriptor_is_told),
		cmocka_unit_test(a_far_end_that_left_is_no_signal),
		cmocka_unit_test(signals_do_not_disturb),
	};

	return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
