/* SPDX-License-Identifier: MIT */
/*
 * srv.h - core: the order in which the servers of a domain are tried (RFC 2782)
 */
#ifndef PUNCH_SRV_H
#define PUNCH_SRV_H

#include <stdint.h>

#include "common/limits.h"

struct srv {
	char host[LIMIT_HOST];
	uint16_t port, priority, weight;
};

/**
 * srv_order() - lowest priority first; within one priority draw by weight
 * @n:		few: this takes n squared steps
 * @below:	a random number from 0 to its argument - 1
 */
void srv_order(struct srv *list, unsigned int n, uint32_t (*below)(uint32_t));

#endif
