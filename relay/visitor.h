/* SPDX-License-Identifier: MIT */
/*
 * visitor.h - one side from its accept to its join
 */
#ifndef RELAY_VISITOR_H
#define RELAY_VISITOR_H

#include <stdint.h>

#include "common/endpoint.h"
#include "common/ticket.h"

/**
 * visitors_open()
 * @secret:		of the tickets, copied
 * @descriptors:	that this process may have
 * @pairs:		that there may be at one time
 * Return: 0 or -ENOMEM
 */
int visitors_open(const uint8_t secret[RELAY_SECRET_SIZE], unsigned int descriptors,
		  unsigned int pairs);

/** visitor_new() - a connection was accepted; takes the descriptor in every case */
void visitor_new(int fd, const struct endpoint *from, uint64_t now);

/** visitor_released() - a joined side has ended: its address may open another one */
void visitor_released(const struct endpoint *from, uint64_t now);

/** visitors_run() - end those whose time is over. Return: next deadline */
uint64_t visitors_run(uint64_t now);

/** visitors_close() - end all */
void visitors_close(uint64_t now);

#endif
