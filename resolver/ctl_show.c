/* SPDX-License-Identifier: MIT */
/*
 * ctl_show.c - punchctl status, doctor, ping, stop: the resolver's words, printed
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "resolver/ctl.h"
#include "resolver/ctl_client.h"
#include "resolver/ctl_text.h"

/* The end of what was printed: the last line of PING is the outcome */
struct tail {
	char text[2 * LOCAL_PACKET + 1];
	size_t size;
};

static void tail_add(struct tail *tail, const char *data, size_t size)
{
	size_t keep = tail->size < LOCAL_PACKET ? tail->size : LOCAL_PACKET;

	memmove(tail->text, tail->text + tail->size - keep, keep);
	memcpy(tail->text + keep, data, size);
	tail->size = keep + size;
	tail->text[tail->size] = '\0';
}

static bool tail_is_failure(struct tail *tail)
{
	char *line;

	while (tail->size && tail->text[tail->size - 1] == '\n')
		tail->text[--tail->size] = '\0';
	line = strrchr(tail->text, '\n');
	line = line ? line + 1 : tail->text;
	return !*line || strstr(line, LOCAL_PING_FAILED) || strstr(line, LOCAL_PING_FAILED_JSON);
}

/*
 * The text packets up to end of file.  @whole: the text has its end; else it was cut off, because the resolver has
 * died, or has left before it knew all, or had waited too long for whoever reads what we print.
 * Return: CTL_OK, or CTL_FAILED after a line on stderr
 */
static int print_stream(int stream, struct tail *tail, bool *whole)
{
	char packet[LOCAL_PACKET];
	int pass = -1;
	ssize_t n;

	*whole = false;
	while ((n = local_recv(stream, packet, sizeof(packet), &pass)) > 0) {
		if (pass >= 0)
			close(pass);
		*whole = !packet[n - 1];
		n -= *whole;
		if (fwrite(packet, 1, (size_t)n, stdout) != (size_t)n || fflush(stdout))
			return CTL_FAILED;	/* main() says what is wrong with stdout */
		tail_add(tail, packet, (size_t)n);
	}
	if (!n)
		return CTL_OK;
	log_error("punch-resolver went away in mid-sentence: %s", strerror((int)-n));
	return CTL_FAILED;
}

static int show(struct local_request *request, enum ctl_effort effort)
{
	struct tail tail = { .size = 0 };
	struct local_reply reply;
	int stream, status = ctl_ask(request, -1, effort, &reply, NULL, &stream);
	bool whole;

	if (status)
		return status;
	status = reply.status == LOCAL_OK ? print_stream(stream, &tail, &whole) : ctl_explain(&reply);
	if (!status && !whole && request->kind != LOCAL_STOP) {		/* that one is gone as it should be */
		log_error("punch-resolver went away in mid-sentence, or is of an earlier version: "
			  "\"punchctl stop\" ends that one");
		status = CTL_FAILED;
	}
	if (!status && request->kind == LOCAL_PING && tail_is_failure(&tail))
		status = CTL_FAILED;	/* its last line has said why */
	close(stream);
	return status;
}

/* [--json] and nothing else. Return: CTL_OK or CTL_USAGE */
static int parse_json(int argc, char **argv, uint32_t *as_json)
{
	*as_json = argc == 2 && !strcmp(argv[1], "--json");
	if (argc > 2 || (argc == 2 && !*as_json))
		return ctl_usage(argv[0], "\"%s\" is not understood", argv[argc > 2 ? 2 : 1]);
	return CTL_OK;
}

static int simple(int argc, char **argv, enum local_kind kind, enum ctl_effort effort)
{
	struct local_config config;
	struct local_request request;
	uint32_t as_json;
	int status = parse_json(argc, argv, &as_json);

	if (!status)
		status = ctl_config(&config);
	if (status)
		return status;
	ctl_request(&request, &config, kind);
	request.as_json = as_json;
	return show(&request, effort);
}

int ctl_status(int argc, char **argv)
{
	return simple(argc, argv, LOCAL_STATUS, CTL_RUNNING);
}

int ctl_doctor(int argc, char **argv)
{
	return simple(argc, argv, LOCAL_DOCTOR, CTL_START);
}

/* One of ours, whatever it serves: an empty configuration stands for any */
static int stop_one(const char *name)
{
	struct local_config any;
	struct local_request request;
	struct local_reply reply;
	struct tail tail = { .size = 0 };
	int stream, status;
	bool whole;

	memset(&any, 0, sizeof(any));
	ctl_request(&request, &any, LOCAL_STOP);
	status = ctl_ask_name(name, &request, &reply, &stream);
	if (status || stream < 0)
		return status;
	status = reply.status == LOCAL_OK ? print_stream(stream, &tail, &whole) : ctl_explain(&reply);
	close(stream);
	return status;
}

/* The kernel lists the names: "@punch/UID/TAG/N", once for the listener and once for each connection */
static int stop_all(void)
{
	char line[512], prefix[32], seen[512] = "", *name;
	int status = CTL_OK, one;
	FILE *names = fopen("/proc/net/unix", "re");

	if (!names) {
		log_error("/proc/net/unix: %s", strerror(errno));
		return CTL_FAILED;
	}
	snprintf(prefix, sizeof(prefix), "@punch/%u/", (unsigned int)geteuid());
	while (fgets(line, sizeof(line), names)) {
		line[strcspn(line, "\n")] = '\0';
		name = strstr(line, prefix);
		if (!name || !strcmp(name, seen))
			continue;
		strcpy(seen, name);
		one = stop_one(name + 1);
		status = one ? one : status;
	}
	fclose(names);
	return status;
}

int ctl_stop(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "--all"))
		return stop_all();
	if (argc > 1)
		return ctl_usage(argv[0], "\"%s\" is not understood", argv[1]);
	return simple(argc, argv, LOCAL_STOP, CTL_RUNNING);
}

int ctl_ping(int argc, char **argv)
{
	struct local_config config;
	struct local_request request;
	uint32_t as_json = argc > 1 && !strcmp(argv[1], "--json");
	const char *text = argv[argc - 1];
	int status;

	if (argc != 2 + (int)as_json || *text == '-')
		return ctl_usage(argv[0], NULL);
	status = ctl_config(&config);
	if (status)
		return status;
	ctl_request(&request, &config, LOCAL_PING);
	request.as_json = as_json;
	if (ctl_text_peer(text, request.peer, &request.target.port))
		return ctl_usage(argv[0], "\"%s\" is no PEER or PEER:PORT", text);
	return show(&request, CTL_START);
}
