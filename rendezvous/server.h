/* SPDX-License-Identifier: MIT */
/*
 * server.h - the rendezvous as a whole: listeners, nodes, broker, store
 */
#ifndef RENDEZVOUS_SERVER_H
#define RENDEZVOUS_SERVER_H

#include <event2/event.h>

#include "common/key.h"
#include "conf/conf.h"

/**
 * server_open() - open everything that conf names
 * @conf:	kept by reference; its endpoints get the ports that were bound
 * @key:	the server's
 * Return: 0 or -errno, told
 */
int server_open(struct event_base *base, struct conf_rendezvous *conf, const struct key *key);

/** server_close() - end all connections and free all */
void server_close(void);

#endif
