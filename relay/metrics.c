/* SPDX-License-Identifier: MIT */
/*
 * metrics.c - the relay's figures for Prometheus, over the smallest HTTP that will do
 *
 * Whatever is asked up to an empty line, the answer is the page of figures
 * (text format 0.0.4) and the end of the connection.  The page is far smaller than a
 * socket's buffer, so one send() takes it whole.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "relay/carrier.h"
#include "relay/limits.h"
#include "relay/loop.h"
#include "relay/metrics.h"
#include "relay/room.h"
#include "relay/stats.h"

#define PAGE_SIZE 4096	/* bytes; the page has about 1,900 */

struct scraper {
	struct watch watch;		/* fd -1: this place is free */
	bool answered;
	uint64_t deadline;
	size_t have;
	char request[2048];		/* what Prometheus and curl send is below 512 bytes */
};

static struct scraper scrapers[RELAY_SCRAPERS];
static bool is_ready;			/* scrapers[] was initialised */

static const char *const refusal_names[] = {
	"ticket", "expired", "used", "partner", "limit", "source", "slow", "key", "crowd",
};
_Static_assert(sizeof(refusal_names) / sizeof(refusal_names[0]) == REFUSAL_COUNT, "one name a reason");

static size_t page(char *out, size_t size)
{
	unsigned int pipes, buffers;
	int n;

	carrier_count(&pipes, &buffers);
	n = snprintf(out, size,
		     "# TYPE punch_relay_bytes_total counter\n"
		     "punch_relay_bytes_total %llu\n"
		     "# TYPE punch_relay_pairs gauge\n"
		     "punch_relay_pairs %u\n"
		     "# TYPE punch_relay_pairs_total counter\n"
		     "punch_relay_pairs_total %llu\n"
		     "# TYPE punch_relay_resets_total counter\n"
		     "punch_relay_resets_total %llu\n"
		     "# TYPE punch_relay_flush_looks_total counter\n"
		     "punch_relay_flush_looks_total %llu\n"
		     "# TYPE punch_relay_waiting gauge\n"
		     "punch_relay_waiting %u\n"
		     "# TYPE punch_relay_strangers gauge\n"
		     "punch_relay_strangers %u\n"
		     "# TYPE punch_relay_sides_total counter\n"
		     "punch_relay_sides_total %llu\n"
		     "# TYPE punch_relay_pipes gauge\n"
		     "punch_relay_pipes %u\n"
		     "# TYPE punch_relay_buffers gauge\n"
		     "punch_relay_buffers %u\n"
		     "# TYPE punch_relay_grown_bytes gauge\n"
		     "punch_relay_grown_bytes %zu\n"
		     "# TYPE punch_relay_refused_total counter\n",
		     (unsigned long long)stats.bytes, stats.pairs_now,
		     (unsigned long long)stats.pairs, (unsigned long long)stats.resets,
		     (unsigned long long)stats.looks, stats.waiting_now, stats.strangers_now,
		     (unsigned long long)stats.visitors, pipes, buffers, room_grown());
	for (int i = 0; i < REFUSAL_COUNT && (size_t)n < size; i++)
		n += snprintf(out + n, size - (size_t)n,
			      "punch_relay_refused_total{reason=\"%s\"} %llu\n", refusal_names[i],
			      (unsigned long long)stats.refused[i]);
	return (size_t)n < size ? (size_t)n : size - 1;
}

static void answer(struct scraper *scraper)
{
	char body[PAGE_SIZE], head[256];
	size_t size = page(body, sizeof(body));
	int n;

	n = snprintf(head, sizeof(head),
		     "HTTP/1.0 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\n"
		     "Content-Length: %zu\r\nConnection: close\r\n\r\n", size);
	if (send(scraper->watch.fd, head, (size_t)n, MSG_NOSIGNAL | MSG_MORE) != n ||
	    send(scraper->watch.fd, body, size, MSG_NOSIGNAL) != (ssize_t)size)
		loop_end(&scraper->watch);
	else
		shutdown(scraper->watch.fd, SHUT_WR);
	scraper->answered = true;
}

static void scraper_ready(struct watch *watch, uint32_t events, uint64_t now)
{
	struct scraper *scraper = (struct scraper *)watch;	/* its first member */
	ssize_t n;

	(void)events;
	(void)now;
	while (watch->fd >= 0) {
		n = recv(watch->fd, scraper->request + scraper->have,
			 sizeof(scraper->request) - 1 - scraper->have, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {	/* ended, failed, or the request is too long */
			loop_end(watch);
			return;
		}
		scraper->have += (size_t)n;
		scraper->request[scraper->have] = '\0';
		if (!scraper->answered && strstr(scraper->request, "\r\n\r\n"))
			answer(scraper);
	}
}

void metrics_visit(int fd, const struct endpoint *from, uint64_t now)
{
	struct scraper *scraper = NULL;

	(void)from;
	for (int i = 0; i < RELAY_SCRAPERS; i++) {
		if (!is_ready)
			scrapers[i].watch.fd = -1;
		if (scrapers[i].watch.fd < 0)
			scraper = &scrapers[i];
	}
	is_ready = true;
	if (!scraper) {
		close(fd);
		return;
	}
	scraper->watch.fd = fd;
	scraper->watch.ready = scraper_ready;
	scraper->answered = false;
	scraper->have = 0;
	scraper->deadline = now + RELAY_SCRAPE_TIME;
	if (loop_add(&scraper->watch, EPOLLIN | EPOLLRDHUP))
		loop_end(&scraper->watch);
}

uint64_t metrics_run(uint64_t now)
{
	uint64_t next = NEVER;

	for (int i = 0; is_ready && i < RELAY_SCRAPERS; i++) {
		if (scrapers[i].watch.fd < 0)
			continue;
		if (scrapers[i].deadline <= now)
			loop_end(&scrapers[i].watch);
		else
			next = clock_before(next, scrapers[i].deadline);
	}
	return next;
}
