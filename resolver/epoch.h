/* SPDX-License-Identifier: MIT */
/*
 * epoch.h - core: does a gateway's clock say that it has lost its mappings?
 *
 * Every answer of PCP (RFC 6887 8.5) and NAT-PMP (RFC 6886 3.6) says for how many seconds the
 * gateway has had its table.
 */
#ifndef PUNCH_EPOCH_H
#define PUNCH_EPOCH_H

#include <stdbool.h>
#include <stdint.h>

/**
 * struct epoch - the last answer; all zero: there was none
 * @server:	s, the gateway's word
 * @at:		own clock then
 */
struct epoch {
	bool known;
	uint32_t server;
	uint64_t at;
};

/** epoch_take() - an answer came at @now */
void epoch_take(struct epoch *epoch, uint32_t server, uint64_t now);

/**
 * epoch_lost() - does what the gateway says at @now not follow from its last answer?
 * The check is RFC 6887's. RFC 6886 forgives a clock that is an eighth slow, this one a
 * sixteenth: the price is a renewal.
 * Return: false, too, when there was no answer
 */
bool epoch_lost(const struct epoch *epoch, uint32_t server, uint64_t now);

#endif
