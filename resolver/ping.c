/* SPDX-License-Identifier: MIT */
/*
 * ping.c - LOCAL_PING: punch to a peer, tell each step with its time
 *
 * A whole session like any other, but what comes of it is closed.  With port
 * 0 the far end proves a path and closes it, no program there is woken.
 *
 * JSON: one object a line, {"ms": 12.3, "step": "..."}; the last one has "done", and "path",
 * "remote", "setup_ms", or "errno" and "error".
 */
#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "resolver/connections_internal.h"
#include "resolver/reply.h"
#include "resolver/request.h"

static void add_ms(struct json_object *to, const char *name, uint64_t us)
{
	char text[32];

	snprintf(text, sizeof(text), "%.1f", (double)us / (double)MS);
	json_object_object_add(to, name, json_object_new_double_s((double)us / (double)MS, text));
}

static void add_text(struct json_object *to, const char *name, const char *text)
{
	json_object_object_add(to, name, json_object_new_string(text));
}

static void send_object(struct request *rq, struct json_object *object)
{
	request_printf(rq, "%s\n", json_object_to_json_string_ext(object, JSON_C_TO_STRING_SPACED |
								   JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(object);
}

static void on_step(void *arg, uint64_t us, const char *what)
{
	struct request *rq = arg;
	struct json_object *object;

	if (!rq->as_json) {
		request_printf(rq, "%8.1f ms  %s\n", (double)us / (double)MS, what);
		return;
	}
	object = json_object_new_object();
	add_ms(object, "ms", us);
	add_text(object, "step", what);
	send_object(rq, object);
}

static void say_as_json(struct request *rq, const struct session_result *result)
{
	struct json_object *object = json_object_new_object();
	char remote[ENDPOINT_TEXT_SIZE];

	add_ms(object, "ms", result->setup_us);
	json_object_object_add(object, "done", json_object_new_boolean(!result->error));
	if (result->error) {
		json_object_object_add(object, "errno", json_object_new_int(result->error));
		add_text(object, "error", result->text);
	} else {
		add_text(object, "path", connection_path_name(result->path));
		add_text(object, "remote", endpoint_format(&result->track.path.remote, remote));
		add_ms(object, "setup_ms", result->setup_us);
	}
	send_object(rq, object);
}

static void on_done(void *arg, const struct session_result *result)
{
	struct request *rq = arg;
	char remote[ENDPOINT_TEXT_SIZE];
	const char *why = result->text;
	static const char again[] = "no path: ";	/* of LOCAL_PING_FAILED */
	size_t size = strlen(rq->peer.name);

	if (!strncmp(why, rq->peer.name, size) && !strncmp(why + size, ": ", 2))
		why += size + 2;	/* it begins with the peer, and so does our line */
	if (!strncmp(why, again, sizeof(again) - 1))
		why += sizeof(again) - 1;
	rq->session = NULL;
	if (rq->as_json)
		say_as_json(rq, result);
	else if (result->error)
		request_printf(rq, "%s" LOCAL_PING_FAILED "%s (%s)\n", rq->peer.name, why, strerror(result->error));
	else
		request_printf(rq, "%s: %s path to %s in %.1f ms\n", rq->peer.name,
			       connection_path_name(result->path), endpoint_format(&result->track.path.remote, remote),
			       result->setup_us / (double)MS);
	if (!result->error)
		close(result->fd);
	request_end(rq);
}

void request_ping(struct request *rq, const struct local_request *in)
{
	struct session_result failed = { .error = EAGAIN, .fd = -1 };
	int family = in->family == AF_INET ? AF_INET : AF_INET6;	/* the latter takes paths of both */

	rq->session = session_dial(rq->node, &rq->peer, rq->port, family, request_timeout(in->timeout_ms), in->route,
				   on_done, on_step, rq);
	if (rq->session)
		return;
	snprintf(failed.text, sizeof(failed.text), "too many connections are being set up at once");
	on_done(rq, &failed);
}
