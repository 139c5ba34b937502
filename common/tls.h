/* SPDX-License-Identifier: MIT */
/*
 * tls.h - INTERFACE - TLS 1.3 between nodes and the rendezvous, both keys pinned
 *
 * Each side shows a self-signed X.509 certificate around its Ed25519 key (OpenSSL 3.0 has no
 * raw public keys, RFC 7250); only the key counts, names and dates are ignored.
 * ALPN is "punch/1".  No renegotiation, no resumption tickets, no early data.
 */
#ifndef PUNCH_TLS_H
#define PUNCH_TLS_H

#include <stdbool.h>
#include <openssl/ssl.h>

#include "common/key.h"

/**
 * tls_context() - SSL_CTX for one's own key; accepts any Ed25519 peer key, whose check is
 * tls_peer()'s caller's duty. NULL on failure
 */
SSL_CTX *tls_context(const struct key *own, bool server);

/** tls_peer() - the far end's proved key, after the handshake. Return: 0 or -EKEYREJECTED */
int tls_peer(const SSL *ssl, uint8_t public[KEY_SIZE]);

#endif
