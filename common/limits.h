/* SPDX-License-Identifier: MIT */
/*
 * limits.h - INTERFACE - every size and count that more than one program relies on
 */
#ifndef PUNCH_LIMITS_H
#define PUNCH_LIMITS_H

#define PUNCH_VERSION		"0.1.0"
#define PROTOCOL_VERSION	1

#define LIMIT_FRAME		16384	/* bytes of one frame's body; an invitation is below 1 KiB */
#define LIMIT_CANDIDATES	16	/* of one description */
#define LIMIT_RELAYS		4	/* offers in one message */
#define LIMIT_NAME		64	/* bytes of a peer or service name, with its NUL */
#define LIMIT_HOST		256	/* bytes of a host name, with its NUL (RFC 1035: 253 + NUL) */
#define LIMIT_PATH		4096	/* bytes of a path, with its NUL (PATH_MAX) */
#define LIMIT_SECRET		256	/* bytes of a quick-mode secret, with its NUL */

#define KEY_SIZE		32	/* bytes: Ed25519 and X25519 public keys, and private seeds */
#define KEY_TEXT_SIZE		45	/* base64 of 32 bytes, with its NUL */
#define SESSION_SIZE		16	/* bytes of a session's identifier */
#define SIGNATURE_SIZE		64	/* bytes, Ed25519 */
#define HASH_SIZE		32	/* bytes, SHA-256 */

#define PORT_RENDEZVOUS		4430	/* TCP, TLS 1.3 */
#define PORT_PROBE_1		4431	/* TCP, STUN */
#define PORT_PROBE_2		4432	/* TCP, STUN */
#define PORT_RELAY		4433	/* TCP */

#define TIMEOUT_DEFAULT_S	15	/* PUNCH_TIMEOUT: below the 20-30 s at which people give up */
/* PUNCH_TIMEOUT; below the 127 s after which the kernel ends SYN_SENT of a parked socket */
#define TIMEOUT_MOST_S		60

#endif
