/* SPDX-License-Identifier: MIT */
/*
 * mapping.h - the worker's end of the mappers: which of our ports does the gateway pass on?
 */
#ifndef PUNCH_MAPPING_H
#define PUNCH_MAPPING_H

#include <event2/event.h>

#include "resolver/mapper.h"

struct mapping;

/**
 * mapping_new() - start a mapper for each family's ports; another one when it dies or has found nothing
 * @allowed:	bits of protocols, 1 << enum mapper_protocol
 * @ports:	own port numbers
 * @count:	1 to MAPPER_PORTS
 * @pinhole:	own port that is to be let in through an IPv6 firewall, 0 none
 * @changed:	called when a mapping came, changed or went; never from inside
 * Return: NULL when out of memory; no mapper is no error
 */
struct mapping *mapping_new(struct event_base *base, unsigned int allowed, const uint16_t *ports,
			    unsigned int count, uint16_t pinhole, void (*changed)(void *arg), void *arg);

/** mapping_free() - the mappers end their mappings and leave by themselves */
void mapping_free(struct mapping *mapping);

/**
 * mapping_external() - where the gateway says that @port is reached
 * @family:	AF_INET a mapping, AF_INET6 a pinhole
 * Return: false when it is not mapped
 */
bool mapping_external(const struct mapping *mapping, int family, uint16_t port, struct endpoint *external);

/** mapping_restart() - another network: all of it anew */
void mapping_restart(struct mapping *mapping);

/** mapping_refresh() - the connection was interrupted: the gateway may have forgotten. Once a minute, others late */
void mapping_refresh(struct mapping *mapping);

/**
 * mapping_protocol() - which one maps
 * @family:	AF_INET, AF_INET6
 * @known:	false while nothing was answered yet
 * Return: MAPPER_NONE when no gateway does
 */
enum mapper_protocol mapping_protocol(const struct mapping *mapping, int family, bool *known);

#endif
