/* SPDX-License-Identifier: MIT */
/*
 * metrics.c - figures for Prometheus, over the smallest HTTP that will do
 *
 * Whatever is asked up to an empty line, the answer is the page of figures (text format 0.0.4) and the end of the
 * connection.  Scrapers come by listeners.c, as everybody: they are few, and what is reserved is not for them.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>
#include <event2/bufferevent.h>

#include "rendezvous/limits.h"
#include "rendezvous/listeners.h"
#include "rendezvous/metrics.h"

struct scraper {
	struct bufferevent *bev;	/* NULL: this place is free */
	struct event *time;		/* for all of it: a byte now and then brings no more */
	bool answered, ended;		/* our end is sent */
};

static struct scraper scrapers[RDV_SCRAPERS];
static struct listeners *metrics_listeners;
static struct event_base *metrics_base;
static void (*metrics_render)(struct evbuffer *out, void *ctx);
static void *metrics_ctx;

static void scraper_end(struct scraper *scraper)
{
	if (scraper->time)
		event_free(scraper->time);
	bufferevent_free(scraper->bev);
	scraper->time = NULL;
	scraper->bev = NULL;
}

static void on_read(struct bufferevent *bev, void *arg)
{
	struct evbuffer *in = bufferevent_get_input(bev), *page;
	struct scraper *scraper = arg;

	if (evbuffer_get_length(in) > RDV_SCRAPE_MAX) {
		scraper_end(scraper);
		return;
	}
	if (scraper->answered || evbuffer_search(in, "\r\n\r\n", 4, NULL).pos < 0)
		return;
	scraper->answered = true;
	page = evbuffer_new();
	if (!page) {
		scraper_end(scraper);
		return;
	}
	metrics_render(page, metrics_ctx);
	evbuffer_add_printf(bufferevent_get_output(bev),
			    "HTTP/1.0 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: %zu\r\n"
			    "Connection: close\r\n\r\n", evbuffer_get_length(page));
	bufferevent_write_buffer(bev, page);
	evbuffer_free(page);
}

static void on_written(struct bufferevent *bev, void *arg)
{
	struct scraper *scraper = arg;

	if (scraper->answered && !scraper->ended)
		shutdown(bufferevent_getfd(bev), SHUT_WR);
	scraper->ended = scraper->answered;
}

static void on_end(struct bufferevent *bev, short what, void *arg)
{
	(void)bev;
	(void)what;
	scraper_end(arg);
}

static void on_time_over(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	scraper_end(arg);
}

static void on_accepted(void *ctx, unsigned int index, int fd, const struct endpoint *from)
{
	static const struct timeval time = { .tv_sec = RDV_SCRAPE_TIME / SECOND };
	struct scraper *scraper = NULL;

	(void)ctx;
	(void)index;
	(void)from;
	for (unsigned int i = 0; i < RDV_SCRAPERS; i++)
		if (!scrapers[i].bev)
			scraper = &scrapers[i];
	if (scraper)
		scraper->bev = bufferevent_socket_new(metrics_base, fd, BEV_OPT_CLOSE_ON_FREE);
	if (!scraper || !scraper->bev) {
		close(fd);
		return;
	}
	scraper->answered = scraper->ended = false;
	bufferevent_setcb(scraper->bev, on_read, on_written, on_end, scraper);
	scraper->time = evtimer_new(metrics_base, on_time_over, scraper);
	if (!scraper->time || event_add(scraper->time, &time) < 0 ||
	    bufferevent_enable(scraper->bev, EV_READ | EV_WRITE) < 0)
		scraper_end(scraper);
}

int metrics_open(struct event_base *base, struct endpoint *ep,
		 void (*render)(struct evbuffer *out, void *ctx), void *ctx, char *why, size_t size)
{
	metrics_base = base;
	metrics_render = render;
	metrics_ctx = ctx;
	metrics_listeners = listeners_new(base, on_accepted, NULL);
	if (metrics_listeners)
		return listeners_add(metrics_listeners, ep, why, size);
	snprintf(why, size, "metrics: out of memory");
	return -ENOMEM;
}

void metrics_close(void)
{
	for (unsigned int i = 0; i < RDV_SCRAPERS; i++)
		if (scrapers[i].bev)
			scraper_end(&scrapers[i]);
	listeners_free(metrics_listeners);
	metrics_listeners = NULL;
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
