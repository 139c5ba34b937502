/* SPDX-License-Identifier: MIT */
/*
 * report.c - the figures that metrics.c serves
 */
#include <assert.h>

#include "rendezvous/client.h"
#include "rendezvous/embedded.h"
#include "rendezvous/metrics.h"
#include "rendezvous/probe.h"
#include "rendezvous/queues.h"
#include "rendezvous/report.h"

static const char *const failure_names[] = {
	"unspecified", "offline", "limit", "malformed", "not_allowed", "version", "timeout", "replaced",
};
static_assert(sizeof(failure_names) / sizeof(failure_names[0]) ==
	      sizeof(((struct broker_stats *)0)->failed) / sizeof(uint64_t), "one name a reason");
static_assert(sizeof(failure_names) / sizeof(failure_names[0]) ==
	      PUNCH__FAIL_REASON__FAIL_REPLACED + 1, "one name a reason");

void report_clients(struct evbuffer *out, uint64_t refused)
{
	static const char name[] = "closed_total", label[] = "reason";
	const struct client_stats *stats = &client_stats;

	metrics_put(out, "connections", "gauge", stats->now);
	metrics_put(out, "strangers", "gauge", stats->strangers);
	metrics_put(out, "queued_bytes", "gauge", queues_bytes());
	metrics_put(out, "connections_total", "counter", stats->accepted);
	metrics_put_type(out, name, "counter");
	metrics_put_label(out, name, label, "limit", refused);
	metrics_put_label(out, name, label, "crowd", stats->crowded);
	metrics_put_label(out, name, label, "handshake", stats->handshake_failed);
	metrics_put_label(out, name, label, "slow", stats->slow);
	metrics_put_label(out, name, label, "silent", stats->silent);
	metrics_put_label(out, name, label, "flood", stats->flooded);
	metrics_put_label(out, name, label, "overflow", stats->overflowed);
	metrics_put_label(out, name, label, "malformed", stats->malformed);
}

void report_broker(struct evbuffer *out, const struct broker_stats *stats)
{
	metrics_put(out, "nodes", "gauge", stats->nodes);
	metrics_put(out, "receivers", "gauge", stats->receivers);
	metrics_put(out, "sessions", "gauge", stats->sessions);
	metrics_put(out, "invites_total", "counter", stats->invites);
	metrics_put(out, "answered_total", "counter", stats->answered);
	metrics_put(out, "replaced_total", "counter", stats->replaced);
	metrics_put_type(out, "failed_total", "counter");
	for (int i = PUNCH__FAIL_REASON__FAIL_OFFLINE; i <= PUNCH__FAIL_REASON__FAIL_REPLACED; i++)
		metrics_put_label(out, "failed_total", "reason", failure_names[i], stats->failed[i]);
}

void report_probes(struct evbuffer *out)
{
	metrics_put(out, "probes", "gauge", probe_stats.now);
	metrics_put(out, "probe_strangers", "gauge", probe_stats.strangers);
	metrics_put(out, "probes_total", "counter", probe_stats.accepted);
	metrics_put(out, "probe_answers_total", "counter", probe_stats.answers);
	metrics_put(out, "probes_limited_total", "counter", probe_stats.limited);
	metrics_put(out, "probes_crowded_total", "counter", probe_stats.crowded);
	metrics_put(out, "probes_slow_total", "counter", probe_stats.slow);
	metrics_put(out, "probes_malformed_total", "counter", probe_stats.malformed);
}

void report_rest(struct evbuffer *out, uint64_t uptime_s, bool store_is_up)
{
	metrics_put(out, "uptime_seconds", "counter", uptime_s);
	metrics_put(out, "store_up", "gauge", store_is_up);
	metrics_put(out, "relay_up", "gauge", embedded_is_up());
	metrics_put(out, "relay_starts_total", "counter", embedded_starts());
}
