/* SPDX-License-Identifier: MIT */
/*
 * pin.h - INTERFACE - is this the server that is meant?
 *
 * [node] rendezvous-key decides where it is set.  Without it the first key seen is
 * trusted, remembered (known.h) and demanded from then on; where the file cannot be
 * written it is remembered for the life of the process.  Where it cannot be read no key is trusted.
 */
#ifndef PUNCH_PIN_H
#define PUNCH_PIN_H

#include <stdbool.h>

#include "conf/conf.h"

struct pin {
	char host[LIMIT_HOST];
	uint16_t port;
	bool seen;			/* @key was trusted, and no file remembers it */
	uint8_t key[KEY_SIZE];
};

/** pin_init() - @text: HOST[:PORT] as configured; a literal address is brought to one form */
void pin_init(struct pin *pin, const char *text);

/**
 * pin_check() - after the handshake, before anything is said
 * @conf:	for rendezvous_key and the file's name
 * @key:	as proved by TLS
 * @why:	on refusal: what differs, which file says so and what to do
 * Return: 0, -EKEYREJECTED (another key is pinned or remembered), -EBADMSG (what is pinned or remembered is malformed),
 * or another -errno: what is remembered cannot be read now
 */
int pin_check(struct pin *pin, const struct conf_node *conf, const uint8_t key[KEY_SIZE],
	      char *why, size_t size);

#endif
