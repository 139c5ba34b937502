/* SPDX-License-Identifier: MIT */
/*
 * test_file.c - a file is the old one or the new one, whole, whatever comes in between
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "common/file.h"
#include "tests/unit/scratch.h"

#define DISK	"size=16k"	/* four pages: old and new text below do not fit together */
#define NOBODY	65534

static char old_text[12000], new_text[12000];

static mode_t mode_of(const char *path)
{
	struct stat st;

	assert_int_equal(lstat(path, &st), 0);
	return st.st_mode;
}

static bool holds(const char *path, const char *text, size_t size)
{
	char got[2 * sizeof(old_text)];

	return scratch_read(path, got, sizeof(got)) == size && memcmp(got, text, size) == 0;
}

/* How many files are in the folder, of whatever name */
static int files_below(const char *folder)
{
	char command[2 * SCRATCH_PATH];
	int n = -1;
	FILE *ls;

	snprintf(command, sizeof(command), "ls -A '%s' | wc -l", folder);
	ls = popen(command, "r");
	assert_non_null(ls);
	assert_int_equal(fscanf(ls, "%d", &n), 1);
	pclose(ls);
	return n;
}

static void what_is_there_is_replaced_and_never_created_over(void **state)
{
	const char *path = scratch_path("both");
	mode_t saved;

	(void)state;
	assert_int_equal(file_create(path, "one", 3), 0);
	assert_int_equal(file_create(path, "two", 3), -EEXIST);
	assert_true(holds(path, "one", 3));
	assert_int_equal(chmod(path, 0644), 0);
	saved = umask(0777);
	assert_int_equal(file_replace(path, "three", 5), 0);
	umask(saved);
	assert_true(holds(path, "three", 5));
	assert_int_equal(mode_of(path), S_IFREG | 0600);
	assert_int_equal(file_replace(scratch_path("fresh"), "", 0), 0);
	assert_int_equal(files_below(scratch), 2);
}

/* The kernel kills the writer in the middle of its write: with the signal of a file that grows too large */
static void who_is_killed_half_way_leaves_the_old_file(void **state)
{
	const char *path = scratch_path("killed");
	struct rlimit half = { sizeof(new_text) / 2, sizeof(new_text) / 2 }, none = { 0, 0 };
	int status;
	pid_t pid;

	(void)state;
	assert_int_equal(file_replace(path, old_text, sizeof(old_text)), 0);
	pid = fork();
	if (pid == 0) {
		signal(SIGXFSZ, SIG_DFL);
		setrlimit(RLIMIT_CORE, &none);
		setrlimit(RLIMIT_FSIZE, &half);
		/* the first write ends at the limit, the second one goes over it */
		_exit(file_replace(path, new_text, sizeof(new_text)) ? 1 : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGXFSZ);
	assert_true(holds(path, old_text, sizeof(old_text)));
	/* and the next one is not hindered by what was left */
	assert_int_equal(file_replace(path, new_text, sizeof(new_text)), 0);
	assert_true(holds(path, new_text, sizeof(new_text)));
}

static void a_link_in_the_way_is_not_followed(void **state)
{
	const char *target = scratch_write("target", "theirs", 6, 0600), *link = scratch_path("link");

	(void)state;
	assert_int_equal(symlink(target, link), 0);
	assert_int_equal(file_create(link, "ours", 4), -EEXIST);
	assert_int_equal(file_replace(link, "ours", 4), 0);
	assert_true(holds(target, "theirs", 6));
	assert_true(holds(link, "ours", 4));
	assert_int_equal(mode_of(link), S_IFREG | 0600);
	assert_int_equal(mkdir(scratch_path("folder"), 0755), 0);
	assert_int_equal(file_replace(scratch_path("folder"), "ours", 4), -EISDIR);
	assert_int_equal(files_below(scratch), 3);
}

static void folders_are_made_for_their_user_alone(void **state)
{
	const char *path = scratch_path("a/b/c/file");

	(void)state;
	assert_int_equal(file_replace(path, "x", 1), -ENOENT);
	file_make_folders(path);
	assert_int_equal(file_replace(path, "x", 1), 0);
	assert_int_equal(mode_of(scratch_path("a")), S_IFDIR | 0700);
	assert_int_equal(mode_of(scratch_path("a/b/c")), S_IFDIR | 0700);
	file_make_folders("name");	/* nothing to make */
}

/* In a child that gives up its rights: a folder that can be looked into but not written in */
static void without_rights_the_old_file_stays(void **state)
{
	const char *folder = scratch_path("closed"), *path = scratch_path("closed/file");
	int status;
	pid_t pid;

	(void)state;
	assert_int_equal(mkdir(folder, 0755), 0);
	assert_int_equal(file_create(path, old_text, sizeof(old_text)), 0);
	assert_int_equal(chmod(path, 0644), 0);
	assert_int_equal(chmod(folder, 0555), 0);
	assert_int_equal(chmod(scratch, 0755), 0);
	pid = fork();
	if (pid == 0) {
		if (geteuid() == 0 && (setgid(NOBODY) || setuid(NOBODY)))
			_exit(9);
		if (file_replace(path, new_text, sizeof(new_text)) != -EACCES)
			_exit(1);
		_exit(file_create(scratch_path("closed/other"), "x", 1) == -EACCES ? 0 : 2);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_true(holds(path, old_text, sizeof(old_text)));
	assert_int_equal(files_below(folder), 1);
	assert_int_equal(chmod(folder, 0755), 0);
}

/* A small disk of this process alone, at @folder. Return: 0, or errno where it may not have one */
static int mount_small_disk(const char *folder)
{
	if (unshare(CLONE_NEWNS))
		return errno;
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) || mount("tmpfs", folder, "tmpfs", 0, DISK))
		return errno;
	return 0;
}

static void on_a_full_disk_the_old_file_stays_alone(void **state)
{
	const char *folder = scratch_path("disk"), *path = scratch_path("disk/file");
	int status;
	pid_t pid;

	(void)state;
	assert_int_equal(mkdir(folder, 0755), 0);
	pid = fork();
	if (pid == 0) {
		if (mount_small_disk(folder))
			_exit(77);
		if (file_replace(path, old_text, sizeof(old_text)))
			_exit(1);
		if (file_replace(path, new_text, sizeof(new_text)) != -ENOSPC || !holds(path, old_text, sizeof(old_text)))
			_exit(2);
		if (file_create(scratch_path("disk/other"), new_text, sizeof(new_text)) != -ENOSPC)
			_exit(3);
		_exit(files_below(folder) == 1 ? 0 : 4);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
		print_message("SKIP a full disk: only root gets a disk of its own\n");
		skip();
	}
	assert_int_equal(status, 0);
}

static void of_writers_at_one_time_one_wins(void **state)
{
	enum { ROUNDS = 50 };
	const char *path = scratch_path("race");
	int i, status;
	pid_t pid;

	(void)state;
	assert_int_equal(file_replace(path, old_text, sizeof(old_text)), 0);
	pid = fork();
	if (pid == 0) {
		for (i = 0; i < ROUNDS; i++)
			if (file_replace(path, new_text, sizeof(new_text)))
				_exit(1);
		_exit(0);
	}
	for (i = 0; i < ROUNDS; i++) {
		assert_int_equal(file_replace(path, old_text, sizeof(old_text)), 0);
		assert_true(holds(path, old_text, sizeof(old_text)) || holds(path, new_text, sizeof(new_text)));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_true(holds(path, old_text, sizeof(old_text)) || holds(path, new_text, sizeof(new_text)));
	assert_int_equal(files_below(scratch), 1);
}

static int setup(void **state)
{
	memset(old_text, 'o', sizeof(old_text));
	memset(new_text, 'n', sizeof(new_text));
	return scratch_setup(state);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, scratch_teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(what_is_there_is_replaced_and_never_created_over),
		CASE(who_is_killed_half_way_leaves_the_old_file),
		CASE(a_link_in_the_way_is_not_followed),
		CASE(folders_are_made_for_their_user_alone),
		CASE(without_rights_the_old_file_stays),
		CASE(on_a_full_disk_the_old_file_stays_alone),
		CASE(of_writers_at_one_time_one_wins),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
