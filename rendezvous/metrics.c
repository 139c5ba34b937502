/* SPDX-License-Identifier: MIT */
/*
 * metrics.c - figures for Prometheus over HTTP
 */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>
#include <event2/http.h>

#include "common/accept.h"
#include "rendezvous/metrics.h"

#define HEADERS_MAX	4096	/* bytes of a request's headers; Prometheus and curl send below 512 */
#define TIMEOUT_S	5	/* for a request to come and its answer to go */

static struct evhttp *metrics_http;
static void (*metrics_render)(struct evbuffer *out, void *ctx);
static void *metrics_ctx;

static void on_request(struct evhttp_request *request, void *arg)
{
	struct evbuffer *out = evbuffer_new();

	(void)arg;
	if (!out) {
		evhttp_send_error(request, HTTP_SERVUNAVAIL, NULL);
		return;
	}
	metrics_render(out, metrics_ctx);
	evhttp_add_header(evhttp_request_get_output_headers(request), "Content-Type",
			  "text/plain; version=0.0.4");
	evhttp_send_reply(request, HTTP_OK, "OK", out);
	evbuffer_free(out);
}

int metrics_open(struct event_base *base, struct endpoint *ep,
		 void (*render)(struct evbuffer *out, void *ctx), void *ctx, char *why, size_t size)
{
	int fd = accept_open(ep, why, size);

	if (fd < 0)
		return fd;
	metrics_render = render;
	metrics_ctx = ctx;
	metrics_http = evhttp_new(base);
	if (!metrics_http || evhttp_accept_socket(metrics_http, fd)) {
		snprintf(why, size, "metrics: out of memory");
		close(fd);
		metrics_close();
		return -ENOMEM;
	}
	evhttp_set_allowed_methods(metrics_http, EVHTTP_REQ_GET);
	evhttp_set_max_headers_size(metrics_http, HEADERS_MAX);
	evhttp_set_max_body_size(metrics_http, 0);
	evhttp_set_timeout(metrics_http, TIMEOUT_S);
	evhttp_set_cb(metrics_http, "/metrics", on_request, NULL);
	evhttp_set_cb(metrics_http, "/", on_request, NULL);
	return 0;
}

void metrics_close(void)
{
	if (metrics_http)
		evhttp_free(metrics_http);
	metrics_http = NULL;
}

void metrics_put_type(struct evbuffer *out, const char *name, const char *type)
{
	evbuffer_add_printf(out, "# TYPE punch_rendezvous_%s %s\n", name, type);
}

void metrics_put(struct evbuffer *out, const char *name, const char *type, unsigned long long value)
{
	metrics_put_type(out, name, type);
	evbuffer_add_printf(out, "punch_rendezvous_%s %llu\n", name, value);
}

void metrics_put_label(struct evbuffer *out, const char *name, const char *label, const char *value,
		       unsigned long long figure)
{
	evbuffer_add_printf(out, "punch_rendezvous_%s{%s=\"%s\"} %llu\n", name, label, value, figure);
}
