/* SPDX-License-Identifier: MIT */
/*
 * test_log.c - lines, levels, limits, and descriptor 2 that became something else
 */
#include <errno.h>
#include <signal.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <time.h>

#include "common/log.h"
#include "tests/unit/scratch.h"

/* What a log to a file holds */
static const char *logged(void)
{
	static char text[8192];

	scratch_read(scratch_path("log"), text, sizeof(text));
	return text;
}

static void log_to_file(const char *level)
{
	unlink(scratch_path("log"));
	assert_int_equal(log_init("prog", level, scratch_path("log")), 0);
}

static void levels_filter(void **state)
{
	(void)state;
	log_to_file(NULL);
	assert_true(log_enabled(LOG_LEVEL_WARN));
	assert_false(log_enabled(LOG_LEVEL_INFO));
	log_info("not seen");
	log_warn("seen %d", 42);
	log_error("bad");
	assert_string_equal(logged(), "prog: warning: seen 42\nprog: bad\n");
}

static void debug_lines_carry_the_time(void **state)
{
	unsigned long s, ms;
	char rest[32];

	(void)state;
	log_to_file("debug");
	log_debug("step");
	assert_int_equal(sscanf(logged(), "prog: debug: [%lu.%3lu] %31s", &s, &ms, rest), 3);
	assert_string_equal(rest, "step");
}

static void unknown_level_is_told_and_means_warn(void **state)
{
	(void)state;
	assert_int_equal(log_init("prog", "loud", NULL), -EINVAL);
	assert_true(log_enabled(LOG_LEVEL_WARN));
	assert_false(log_enabled(LOG_LEVEL_INFO));
	assert_int_equal(log_init("prog", "INFO", NULL), 0);
	assert_true(log_enabled(LOG_LEVEL_INFO));
}

static void strangers_cannot_forge_lines(void **state)
{
	(void)state;
	log_to_file("warn");
	log_error("name %s", "a\nprog: b\x1b[2J\x7f");
	assert_string_equal(logged(), "prog: name a?prog: b?[2J?\n");
	/* C1 controls of UTF-8 and of eight bits, a longer form of one, and what turns the line around; letters stay */
	log_to_file("warn");
	log_error("%s", "\xc2\x9b" "2J \x9b" "31m \xe0\x82\x9b \xe2\x80\xae z\xc3\xbcrich \xe2\x82\xac \xc3");
	assert_string_equal(logged(), "prog: ??2J ?31m ??? ??? z\xc3\xbcrich \xe2\x82\xac ?\n");
}

static void long_lines_are_cut_and_stay_one_line(void **state)
{
	static char big[6000];
	const char *text;

	(void)state;
	memset(big, 'x', sizeof(big) - 1);
	log_to_file("warn");
	log_error("%s", big);
	text = logged();
	assert_in_range(strlen(text), 1000, 2048);
	assert_string_equal(text + strlen(text) - 4, "...\n");
}

static void errno_is_kept(void **state)
{
	(void)state;
	assert_int_equal(log_init("prog", "warn", "/nonexistent/folder/log"), 0);
	errno = ENOTTY;
	log_info("suppressed");
	assert_int_equal(errno, ENOTTY);
	log_to_file("warn");
	errno = ENOTTY;
	log_error("written");
	assert_int_equal(errno, ENOTTY);
}

/* Run one log line with descriptor 2 replaced by @fd, then restore it */
static void log_with_stderr(int fd)
{
	int saved = dup(STDERR_FILENO);

	assert_true(saved >= 0);
	assert_true(dup2(fd, STDERR_FILENO) >= 0);
	log_error("hello");
	assert_true(dup2(saved, STDERR_FILENO) >= 0);
	close(saved);
}

static void a_data_file_on_descriptor_2_is_left_alone(void **state)
{
	char text[64];
	int fd;

	(void)state;
	assert_int_equal(log_init("prog", "warn", NULL), 0);
	scratch_write("database", "data", 4, 0600);
	fd = open(scratch_path("database"), O_RDWR | O_CLOEXEC);
	log_with_stderr(fd);
	close(fd);
	scratch_read(scratch_path("database"), text, sizeof(text));
	assert_string_equal(text, "data");

	/* but a log file that the program put there later is one */
	fd = open(scratch_path("database"), O_WRONLY | O_APPEND | O_CLOEXEC);
	log_with_stderr(fd);
	close(fd);
	scratch_read(scratch_path("database"), text, sizeof(text));
	assert_string_equal(text, "dataprog: hello\n");
}

static void a_connection_on_descriptor_2_is_left_alone(void **state)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), client, server;
	socklen_t len = sizeof(sin);
	char text[64];

	(void)state;
	assert_int_equal(log_init("prog", "warn", NULL), 0);
	client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&sin, sizeof(sin)), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&sin, &len), 0);
	assert_int_equal(connect(client, (struct sockaddr *)&sin, sizeof(sin)), 0);
	server = accept(listener, NULL, NULL);
	log_with_stderr(client);
	assert_int_equal(write(client, "x", 1), 1);
	assert_int_equal(read(server, text, sizeof(text)), 1);
	close(listener);
	close(client);
	close(server);
}

static void a_pipe_on_descriptor_2_gets_the_line(void **state)
{
	char text[64] = "";
	int fds[2];

	(void)state;
	assert_int_equal(log_init("prog", "warn", NULL), 0);
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	log_with_stderr(fds[1]);
	assert_int_equal(read(fds[0], text, sizeof(text) - 1), (ssize_t)strlen("prog: hello\n"));
	assert_string_equal(text, "prog: hello\n");
	close(fds[0]);
	close(fds[1]);
}

static void a_closed_descriptor_2_is_survived(void **state)
{
	int saved = dup(STDERR_FILENO);

	(void)state;
	assert_int_equal(log_init("prog", "warn", NULL), 0);
	close(STDERR_FILENO);
	log_error("nowhere");
	assert_true(dup2(saved, STDERR_FILENO) >= 0);
	close(saved);
}

static volatile sig_atomic_t broken_pipes;

static void on_sigpipe(int number)
{
	(void)number;
	broken_pipes++;
}

static void a_reader_that_left_is_no_signal(void **state)
{
	struct sigaction act = { .sa_handler = on_sigpipe }, old;
	sigset_t blocked;
	int fds[2];

	(void)state;
	assert_int_equal(log_init("prog", "warn", NULL), 0);
	assert_int_equal(sigaction(SIGPIPE, &act, &old), 0);
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	close(fds[0]);
	log_with_stderr(fds[1]);
	assert_int_equal(broken_pipes, 0);
	assert_int_equal(sigprocmask(SIG_SETMASK, NULL, &blocked), 0);
	assert_int_equal(sigismember(&blocked, SIGPIPE), 0);
	/* the program's own still comes */
	assert_int_equal(write(fds[1], "x", 1), -1);
	assert_int_equal(broken_pipes, 1);
	close(fds[1]);
	assert_int_equal(sigaction(SIGPIPE, &old, NULL), 0);
}

static void a_fifo_without_reader_does_not_block(void **state)
{
	(void)state;
	assert_int_equal(mkfifo(scratch_path("fifo"), 0600), 0);
	assert_int_equal(log_init("prog", "warn", scratch_path("fifo")), 0);
	log_error("this line goes to descriptor 2 (expected)");
}

static void limit_lets_five_through_a_second(void **state)
{
	struct log_limit limit = { 0 };
	unsigned int passed = 0, i;
	struct timespec start, end;

	(void)state;
	/* the bucket refills at each full second: try again if one began in between */
	do {
		memset(&limit, 0, sizeof(limit));
		passed = 0;
		clock_gettime(CLOCK_MONOTONIC, &start);
		for (i = 0; i < 12; i++)
			passed += log_limited(&limit);
		clock_gettime(CLOCK_MONOTONIC, &end);
	} while (start.tv_sec != end.tv_sec);
	assert_int_equal(passed, 5);
	assert_int_equal(limit.suppressed, 7);

	limit.refilled--;	/* a second later */
	assert_true(log_limited(&limit));
	assert_int_equal(limit.suppressed, 7);	/* to be mentioned in this line ... */
	log_limited(&limit);
	assert_int_equal(limit.suppressed, 0);	/* ... and forgotten at the next */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(levels_filter),
		cmocka_unit_test(debug_lines_carry_the_time),
		cmocka_unit_test(unknown_level_is_told_and_means_warn),
		cmocka_unit_test(strangers_cannot_forge_lines),
		cmocka_unit_test(long_lines_are_cut_and_stay_one_line),
		cmocka_unit_test(errno_is_kept),
		cmocka_unit_test(a_data_file_on_descriptor_2_is_left_alone),
		cmocka_unit_test(a_connection_on_descriptor_2_is_left_alone),
		cmocka_unit_test(a_pipe_on_descriptor_2_gets_the_line),
		cmocka_unit_test(a_closed_descriptor_2_is_survived),
		cmocka_unit_test(a_reader_that_left_is_no_signal),
		cmocka_unit_test(a_fifo_without_reader_does_not_block),
		cmocka_unit_test(limit_lets_five_through_a_second),
	};

	return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
