/* SPDX-License-Identifier: MIT */
/*
 * conf_reading.h - what conf_node.c and conf_check.c share; nobody else includes it
 */
#ifndef PUNCH_CONF_READING_H
#define PUNCH_CONF_READING_H

#include "conf/conf_walk.h"

/* What is needed while a file is read, beyond the result */
struct reading {
	struct conf_node *conf;
	struct conf_peer *peer;			/* of the section at hand */
	struct conf_service *service;
	int peer_alias_line[CONF_PEERS];	/* 0: no alias */
	int peer_address_line[CONF_PEERS];	/* 0: no address */
	int service_allow_line[CONF_SERVICES];
};

/** conf_check() - what can be judged only when the whole punch.conf has been read */
void conf_check(struct conf_walk *walk, const struct reading *reading);

#endif
