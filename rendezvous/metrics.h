/* SPDX-License-Identifier: MIT */
/*
 * metrics.h - figures for Prometheus over HTTP
 */
#ifndef RENDEZVOUS_METRICS_H
#define RENDEZVOUS_METRICS_H

#include <event2/buffer.h>
#include <event2/event.h>

#include "common/endpoint.h"

/**
 * metrics_open() - answer GET /metrics (and /)
 * @ep:		gets the port that was bound
 * @render:	appends the page to @out
 * @why:	one line for people on failure
 * Return: 0 or -errno
 */
int metrics_open(struct event_base *base, struct endpoint *ep,
		 void (*render)(struct evbuffer *out, void *ctx), void *ctx, char *why, size_t size);
void metrics_close(void);

/** metrics_put() - one figure with its type. @type: "counter" or "gauge" */
void metrics_put(struct evbuffer *out, const char *name, const char *type, unsigned long long value);

/** metrics_put_label() - one of several figures of a name; metrics_put_type() says the type once before them */
void metrics_put_type(struct evbuffer *out, const char *name, const char *type);
void metrics_put_label(struct evbuffer *out, const char *name, const char *label, const char *value,
		       unsigned long long figure);

#endif
