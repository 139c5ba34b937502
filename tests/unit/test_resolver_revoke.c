/* SPDX-License-Identifier: MIT */
/*
 * test_resolver_revoke.c - who is no peer any more, or not allowed any more
 */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "tests/unit/side_scratch.h"
#include "common/standin.h"

/* The configuration with @to in the place of @from, renamed into place */
static void change_conf(const char *from, const char *to)
{
	char path[LIMIT_PATH + 8], text[8192], *at;
	FILE *file = fopen(side_config()->path, "r");
	size_t size;

	assert_non_null(file);
	size = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	text[size] = '\0';
	at = strstr(text, from);
	assert_non_null(at);
	snprintf(path, sizeof(path), "%s.new", side_config()->path);
	file = fopen(path, "w");
	assert_non_null(file);
	fprintf(file, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
	assert_int_equal(fclose(file), 0);
	assert_int_equal(rename(path, side_config()->path), 0);
}

/* Something is under way, so that the rest of the file waits; who is revoked does not get in meanwhile */
static void a_revoked_caller_is_refused_at_once(void **state)
{
	int fd = side_listen("0.0.0.0", SIDE_SERVICE), open_fd = side_listen("0.0.0.0", SIDE_OPEN), pending = side_connect();
	struct local_request request;
	struct local_reply reply;

	(void)state;
	assert_int_equal(side_publish(fd, 0, &reply), LOCAL_OK);
	assert_int_equal(side_publish(open_fd, 0, &reply), LOCAL_OK);
	side_request(&request, LOCAL_DIAL);
	strcpy(request.peer, "never");
	request.target.port = SIDE_SERVICE;
	assert_int_equal(local_send(pending, &request, sizeof(request), -1), 0);
	assert_int_equal(side_call("bob", SIDE_SERVICE), 0);
	change_conf("allow = bob slow", "allow = slow");
	assert_int_equal(side_call("bob", SIDE_SERVICE), ECONNREFUSED);
	assert_int_equal(side_call("slow", SIDE_SERVICE), 0);
	assert_int_equal(side_call("bob", SIDE_OPEN), 0);
	change_conf("[peer bob]\nkey = ", "[peer bob]\nkey = 11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n[peer former]\nkey = ");
	assert_int_equal(side_call("bob", SIDE_OPEN), 0);	/* as a peer of another name */
	change_conf("[peer former]\nkey = ", "[peer former]\nkey = /FHNjmIYoaONpH7QAjDwWAgW7RO6MwOsXeuRFUiQgCU=\n#");
	assert_int_equal(side_call("bob", SIDE_OPEN), ECONNREFUSED);
	assert_int_equal(side_call("slow", SIDE_OPEN), 0);
	close(pending);
	close(open_fd);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_revoked_caller_is_refused_at_once),
	};

	return cmocka_run_group_tests_name("resolver revoke", tests, side_setup, side_teardown);
}
