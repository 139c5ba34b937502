/* SPDX-License-Identifier: MIT */
/*
 * test_known.c - resolver/known.c and resolver/pin.c: whose key is trusted, and what is said when not
 */
#include <errno.h>
#include <stdbool.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "tests/unit/scratch.h"
#include "common/key.h"
#include "resolver/known.h"
#include "resolver/pin.h"

static const uint8_t key_a[KEY_SIZE] = { 1, 2, 3 }, key_b[KEY_SIZE] = { 9, 8, 7 };
static char text_a[KEY_TEXT_SIZE], text_b[KEY_TEXT_SIZE];

static const char *fresh(void)
{
	const char *path = scratch_path("state/punch/known_servers");

	unlink(path);
	return path;
}

/* --- the file */

static void what_was_added_is_found_on_its_line(void **state)
{
	const char *path = fresh();
	uint8_t key[KEY_SIZE];
	unsigned int line;
	struct stat st;

	(void)state;
	assert_int_equal(known_find(path, "a.test", 4430, key, &line), -ENOENT);
	assert_int_equal(known_add(path, "a.test", 4430, key_a), 0);	/* makes the folders */
	assert_int_equal(known_add(path, "a.test", 4431, key_b), 0);
	assert_int_equal(known_find(path, "A.Test", 4430, key, &line), 0);
	assert_memory_equal(key, key_a, KEY_SIZE);
	assert_int_equal(line, 1);
	assert_int_equal(known_find(path, "a.test", 4431, key, &line), 0);
	assert_memory_equal(key, key_b, KEY_SIZE);
	assert_int_equal(line, 2);
	assert_int_equal(known_find(path, "b.test", 4430, key, &line), -ENOENT);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(stat(scratch_path("state/punch"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
}

static void another_key_is_never_written_over_the_first(void **state)
{
	const char *path = fresh();
	uint8_t key[KEY_SIZE];
	unsigned int line;

	(void)state;
	assert_int_equal(known_add(path, "a.test", 1, key_a), 0);
	assert_int_equal(known_add(path, "a.test", 1, key_a), 0);
	assert_int_equal(known_add(path, "a.test", 1, key_b), -EEXIST);
	assert_int_equal(known_find(path, "a.test", 1, key, &line), 0);
	assert_memory_equal(key, key_a, KEY_SIZE);
}

static void what_people_wrote_into_the_file_stays(void **state)
{
	const char *path = fresh();
	char text[512], expected[512];

	(void)state;
	snprintf(expected, sizeof(expected), "# mine\n\na.test 1 %s", text_a);	/* no newline at the end */
	scratch_write("state/punch/known_servers", expected, strlen(expected), 0600);
	assert_int_equal(known_add(path, "b.test", 2, key_b), 0);
	snprintf(expected, sizeof(expected), "# mine\n\na.test 1 %s\nb.test 2 %s\n", text_a, text_b);
	scratch_read(path, text, sizeof(text));
	assert_string_equal(text, expected);
}

static void malformed_line_is_not_an_unknown_server(void **state)
{
	static const char *const lines[] = { "a.test 1 notakey\n", "a.test 1\n", "a.test 1 \n" };
	const char *path = fresh();
	uint8_t key[KEY_SIZE];
	unsigned int line;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(lines); i++) {
		scratch_write("state/punch/known_servers", lines[i], strlen(lines[i]), 0600);
		assert_int_equal(known_find(path, "a.test", 1, key, &line), -EBADMSG);
		assert_int_equal(line, 1);
		assert_int_equal(known_add(path, "a.test", 1, key_a), -EBADMSG);
	}
}

static void file_without_end_is_refused(void **state)
{
	static char huge[KNOWN_BYTES + 1];
	const char *path = fresh();
	uint8_t key[KEY_SIZE];
	unsigned int line;

	(void)state;
	memset(huge, '\n', sizeof(huge));
	scratch_write("state/punch/known_servers", huge, sizeof(huge), 0600);
	assert_int_equal(known_find(path, "a.test", 1, key, &line), -EFBIG);
	assert_int_equal(known_add(path, "a.test", 1, key_a), -EFBIG);
	assert_int_equal(mkfifo(scratch_path("fifo"), 0600), 0);
	assert_int_equal(known_find(scratch_path("fifo"), "a.test", 1, key, &line), -EINVAL);	/* and does not hang */
}

static void many_resolvers_at_once_lose_no_line(void **state)
{
	enum { CHILDREN = 8, LINES = 20 };
	const char *path = fresh();
	uint8_t key[KEY_SIZE];
	unsigned int line;
	int i, j, status;

	(void)state;
	for (i = 0; i < CHILDREN; i++) {
		if (fork() == 0) {
			for (j = 0; j < LINES; j++)
				if (known_add(path, "a.test", (uint16_t)(1 + i * LINES + j), key_a))
					_exit(1);
			_exit(0);
		}
	}
	for (i = 0; i < CHILDREN; i++) {
		assert_true(wait(&status) > 0);
		assert_int_equal(status, 0);
	}
	for (i = 1; i <= CHILDREN * LINES; i++)
		assert_int_equal(known_find(path, "a.test", (uint16_t)i, key, &line), 0);
}

/* --- the decision */

static struct conf_node conf;

static struct pin pin_of(const char *text)
{
	struct pin pin;

	pin_init(&pin, text);
	return pin;
}

static void names_and_literals_come_in_one_form(void **state)
{
	struct pin pin = pin_of("rdv.test");

	(void)state;
	assert_string_equal(pin.host, "rdv.test");
	assert_int_equal(pin.port, 4430);
	pin = pin_of("rdv.test:99");
	assert_string_equal(pin.host, "rdv.test");
	assert_int_equal(pin.port, 99);
	pin = pin_of("[2001:db8:0:0::1]:99");
	assert_string_equal(pin.host, "2001:db8::1");
	assert_int_equal(pin.port, 99);
}

static void configured_key_decides_alone(void **state)
{
	struct pin pin = pin_of("rdv.test");
	char why[1024] = "", place[LIMIT_PATH];

	(void)state;
	setenv("XDG_STATE_HOME", scratch_path("untouched"), 1);
	strcpy(conf.rendezvous_key, text_a);
	assert_int_equal(pin_check(&pin, &conf, key_a, why, sizeof(why)), 0);
	assert_int_equal(pin_check(&pin, &conf, key_b, why, sizeof(why)), -EKEYREJECTED);
	assert_non_null(strstr(why, text_a));
	assert_non_null(strstr(why, text_b));
	assert_non_null(strstr(why, "/etc/punch/punch.conf"));
	assert_int_equal(conf_state_path(place, "", secure_getenv), 0);
	assert_int_equal(access(place, F_OK), -1);
	strcpy(conf.rendezvous_key, "nonsense");
	assert_int_equal(pin_check(&pin, &conf, key_a, why, sizeof(why)), -EBADMSG);
	*conf.rendezvous_key = '\0';
}

static void first_key_is_trusted_and_then_demanded(void **state)
{
	struct pin pin = pin_of("rdv.test"), next_run = pin;
	char why[1024] = "";

	(void)state;
	setenv("XDG_STATE_HOME", scratch_path("tofu"), 1);
	assert_int_equal(pin_check(&pin, &conf, key_a, why, sizeof(why)), 0);
	assert_int_equal(pin_check(&next_run, &conf, key_a, why, sizeof(why)), 0);
	assert_int_equal(pin_check(&next_run, &conf, key_b, why, sizeof(why)), -EKEYREJECTED);
	assert_non_null(strstr(why, "tofu/punch/known_servers line 1"));
	assert_non_null(strstr(why, text_a));
	assert_non_null(strstr(why, text_b));
	assert_non_null(strstr(why, "remove that memory"));
	/* and who does so is obeyed, without a restart */
	assert_int_equal(unlink(scratch_path("tofu/punch/known_servers")), 0);
	assert_int_equal(pin_check(&pin, &conf, key_b, why, sizeof(why)), 0);
	assert_int_equal(pin_check(&pin, &conf, key_a, why, sizeof(why)), -EKEYREJECTED);
}

static void without_a_folder_the_process_remembers(void **state)
{
	struct pin pin = pin_of("rdv.test");
	char why[1024] = "";

	(void)state;
	scratch_write("file", "", 0, 0600);
	setenv("XDG_STATE_HOME", scratch_path("file"), 1);	/* a folder cannot be made there, not even by root */
	assert_int_equal(pin_check(&pin, &conf, key_a, why, sizeof(why)), 0);
	assert_int_equal(pin_check(&pin, &conf, key_a, why, sizeof(why)), 0);
	assert_int_equal(pin_check(&pin, &conf, key_b, why, sizeof(why)), -EKEYREJECTED);
	assert_non_null(strstr(why, text_a));
	assert_non_null(strstr(why, "punchctl stop"));
}

static void broken_memory_is_no_reason_to_trust(void **state)
{
	struct pin pin = pin_of("rdv.test");
	char why[1024] = "";

	(void)state;
	mkdir(scratch_path("broken"), 0700);
	mkdir(scratch_path("broken/punch"), 0700);
	scratch_write("broken/punch/known_servers", "rdv.test 4430 ?\n", 16, 0600);
	setenv("XDG_STATE_HOME", scratch_path("broken"), 1);
	assert_int_equal(pin_check(&pin, &conf, key_a, why, sizeof(why)), -EBADMSG);
	assert_non_null(strstr(why, "broken/punch/known_servers line 1"));
}

/* Up to here it is remembered that rdv.test has key_a; from here on that cannot be read */
static void memory_that_cannot_be_read_is_no_reason_to_trust(void **state)
{
	struct rlimit limit, none;
	struct pin pin;
	char why[1024];
	const char *file = scratch_path("unread/punch/known_servers");
	int lowest;

	(void)state;
	setenv("XDG_STATE_HOME", scratch_path("unread"), 1);
	pin = pin_of("rdv.test");
	assert_int_equal(pin_check(&pin, &conf, key_a, why, sizeof(why)), 0);
	lowest = dup(STDIN_FILENO);
	close(lowest);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	none = (struct rlimit){ (rlim_t)lowest, limit.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	assert_int_equal(pin_check(&pin, &conf, key_b, why, sizeof(why)), -EMFILE);
	pin = pin_of("rdv.test");
	assert_int_equal(pin_check(&pin, &conf, key_b, why, sizeof(why)), -EMFILE);	/* and by the next process */
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_non_null(strstr(why, "unread/punch/known_servers: Too many open files"));
	assert_non_null(strstr(why, "rendezvous-key"));
	assert_false(pin.seen);
	assert_int_equal(pin_check(&pin, &conf, key_b, why, sizeof(why)), -EKEYREJECTED);

	assert_int_equal(unlink(file), 0);
	assert_int_equal(symlink("known_servers", file), 0);
	assert_int_equal(pin_check(&pin, &conf, key_b, why, sizeof(why)), -ELOOP);
	assert_int_equal(unlink(file), 0);
	assert_int_equal(mkfifo(file, 0600), 0);
	assert_int_equal(pin_check(&pin, &conf, key_b, why, sizeof(why)), -EINVAL);
	assert_non_null(strstr(why, "not a regular file"));
}

/* Is @pid waiting for a lock of a file? */
static bool waits_for_lock(pid_t pid)
{
	FILE *locks = fopen("/proc/locks", "re");
	char line[256];
	bool found = false;
	int waiting;

	assert_non_null(locks);
	while (fgets(line, sizeof(line), locks))
		found |= sscanf(line, "%*d: -> FLOCK %*s %*s %d", &waiting) == 1 && waiting == pid;
	fclose(locks);
	return found;
}

/* @line is what somebody writes between our look into the file and our own line. Return: pin_check()'s for key_a */
static int overtaken(const char *line, char *why, size_t size)
{
	int folder, status, ends[2], rc = 0;
	struct pin pin = pin_of("rdv.test");
	pid_t pid;

	unlink(scratch_path("race/punch/known_servers"));
	folder = open(scratch_path("race/punch"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(folder >= 0);
	assert_int_equal(flock(folder, LOCK_EX), 0);
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		close(folder);
		rc = pin_check(&pin, &conf, key_a, why, size);
		_exit(write(ends[1], &rc, sizeof(rc)) != sizeof(rc) || write(ends[1], why, size) != (ssize_t)size);
	}
	while (!waits_for_lock(pid))
		usleep(1000);
	scratch_write("race/punch/known_servers", line, strlen(line), 0600);
	close(folder);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(read(ends[0], &rc, sizeof(rc)), sizeof(rc));
	assert_int_equal(read(ends[0], why, size), size);
	close(ends[0]);
	close(ends[1]);
	return rc;
}

static void who_is_overtaken_trusts_no_other_key(void **state)
{
	char why[1024] = "", line[128];

	(void)state;
	mkdir(scratch_path("race"), 0700);
	mkdir(scratch_path("race/punch"), 0700);
	setenv("XDG_STATE_HOME", scratch_path("race"), 1);
	snprintf(line, sizeof(line), "rdv.test 4430 %s\n", text_a);
	assert_int_equal(overtaken(line, why, sizeof(why)), 0);
	snprintf(line, sizeof(line), "rdv.test 4430 %s\n", text_b);
	assert_int_equal(overtaken(line, why, sizeof(why)), -EKEYREJECTED);
	assert_non_null(strstr(why, text_b));
	assert_int_equal(overtaken("rdv.test 4430 ?\n", why, sizeof(why)), -EBADMSG);
}

static int setup(void **state)
{
	unsetenv("STATE_DIRECTORY");
	strcpy(conf.path, "/etc/punch/punch.conf");
	key_text(key_a, text_a);
	key_text(key_b, text_b);
	return scratch_setup(state);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_added_is_found_on_its_line),
		cmocka_unit_test(another_key_is_never_written_over_the_first),
		cmocka_unit_test(what_people_wrote_into_the_file_stays),
		cmocka_unit_test(malformed_line_is_not_an_unknown_server),
		cmocka_unit_test(file_without_end_is_refused),
		cmocka_unit_test(many_resolvers_at_once_lose_no_line),
		cmocka_unit_test(names_and_literals_come_in_one_form),
		cmocka_unit_test(configured_key_decides_alone),
		cmocka_unit_test(first_key_is_trusted_and_then_demanded),
		cmocka_unit_test(without_a_folder_the_process_remembers),
		cmocka_unit_test(broken_memory_is_no_reason_to_trust),
		cmocka_unit_test(memory_that_cannot_be_read_is_no_reason_to_trust),
		cmocka_unit_test(who_is_overtaken_trusts_no_other_key),
	};

	return cmocka_run_group_tests(tests, setup, scratch_teardown);
}
