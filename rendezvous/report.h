/* SPDX-License-Identifier: MIT */
/*
 * report.h - the figures that metrics.c serves
 */
#ifndef RENDEZVOUS_REPORT_H
#define RENDEZVOUS_REPORT_H

#include <stdbool.h>
#include <stdint.h>
#include <event2/buffer.h>

#include "rendezvous/broker.h"

/** report_clients() - TLS connections. @refused: those closed at once by a limit */
void report_clients(struct evbuffer *out, uint64_t refused);

/** report_broker() - nodes, sessions, and why they failed */
void report_broker(struct evbuffer *out, const struct broker_stats *stats);

/** report_probes() - STUN over TCP */
void report_probes(struct evbuffer *out);

/** report_rest() - time, store, embedded relay */
void report_rest(struct evbuffer *out, uint64_t uptime_s, bool store_is_up);

#endif
