/* SPDX-License-Identifier: MIT */
/*
 * metrics.h - the relay's figures for Prometheus, over the smallest HTTP that will do
 */
#ifndef RELAY_METRICS_H
#define RELAY_METRICS_H

#include <stdint.h>

#include "common/endpoint.h"

/** metrics_visit() - a connection to the metrics door was accepted; takes the descriptor in every case */
void metrics_visit(int fd, const struct endpoint *from, uint64_t now);

/** metrics_run() - end scrapers whose time is over. Return: next deadline */
uint64_t metrics_run(uint64_t now);

#endif
