/* SPDX-License-Identifier: MIT */
/*
 * encrypt.h - what two sides' wishes for the encryption of payload come to
 */
#ifndef PUNCH_ENCRYPT_H
#define PUNCH_ENCRYPT_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/conf.h"

/* What is done for the payload of one connection */
enum encrypt_cover {
	ENCRYPT_BARE,		/* as the program sends it */
	ENCRYPT_KERNEL,		/* TLS 1.3 in the kernel, on the program's own socket */
	ENCRYPT_PUMP,		/* TLS 1.3 in a process of ours, joined to the program by a local socket */
	ENCRYPT_COVER_COUNT
};

/** encrypt_cover_name() - for status: "bare", "tls-kernel", "tls-pump" */
const char *encrypt_cover_name(enum encrypt_cover cover);

/** encrypt_wish() - one side's [peer] and [service] together: yes counts most, then no */
enum conf_encrypt encrypt_wish(enum conf_encrypt peer, enum conf_encrypt service);

/** encrypt_port_is_private() - does the protocol that is usual on this port encrypt by itself? */
bool encrypt_port_is_private(uint16_t port);

/**
 * encrypt_settle() - both sides' wishes for one service
 * @port:	of the service; 0: only a path is wanted, which carries nothing
 * @encrypted:	set on success
 * Return: 0, or -EPROTO: one side says yes and the other no
 */
int encrypt_settle(enum conf_encrypt caller, enum conf_encrypt callee, uint16_t port, bool *encrypted);

#endif
