/* SPDX-License-Identifier: MIT */
/*
 * inbox.h - what other servers say, for the broker
 */
#ifndef RENDEZVOUS_INBOX_H
#define RENDEZVOUS_INBOX_H

#include <stddef.h>
#include <stdint.h>

#include "rendezvous/broker.h"
#include "rendezvous/store.h"

/** inbox_forward() - bytes from our channel of the store; those that are no Forward are told and ignored */
void inbox_forward(struct broker *broker, struct store *store, const uint8_t *data, size_t size);

#endif
