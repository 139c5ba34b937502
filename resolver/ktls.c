/* SPDX-License-Identifier: MIT */
/*
 * ktls.c - TLS records made and opened by the kernel, on the program's own socket
 *
 * The kernel's tls module (Documentation/networking/tls.rst) takes the keys of either
 * direction.  read() and write(), sendfile() and splice(), MSG_PEEK and poll() then work on the
 * payload, and nothing of ours is in the way: the socket survives us as a bare one does.  What differs: urgent data
 * fails, and the end of what is sent does not wait for what write() took of a last record (shim/drain.c).
 *
 * Before Linux 6.5, sendfile() and splice() do not push 64 KiB of records until the last page of them is encrypted.
 * A send buffer that is full before, as a fresh socket's of some 45 KiB, then waits for ever for acknowledgements
 * of what was never sent.  So the buffer is made larger once, and left to the kernel's own tuning again; a smaller
 * size that the program set before is raised with it (shim/carry.c).  One that it sets later is its own.
 *
 * Before Linux 6.0 a record is read by the kernel's strparser: it must fit into the receive buffer and be there within
 * SO_RCVTIMEO, else read() fails for good.  So the kernel is left alone that does not know TLS_RX_EXPECT_NO_PAD, which
 * came with the reader of records that followed.
 *
 * Bytes that came before the keys stay in the socket, and the kernel opens them when it gets these (tests/vm asks it).
 */
#include <errno.h>
#include <linux/tls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <openssl/crypto.h>

#include "common/log.h"
#include "resolver/ktls.h"
#include "resolver/pair.h"

#ifndef TCP_ULP
#define TCP_ULP 31
#endif
#ifndef SOL_TLS
#define SOL_TLS 282
#endif

#ifndef TLS_RX_EXPECT_NO_PAD
#define TLS_RX_EXPECT_NO_PAD 4
#endif
#ifndef SO_BUF_LOCK
#define SO_BUF_LOCK 72
#endif

/* bytes: four times what is not pushed; the kernel gives net.core.wmem_max at most */
#define KTLS_SEND_BUFFER (256 * 1024)

static const char ulp[] = "tls";

static int set_chacha(int fd, int direction, const uint8_t *key, const uint8_t *iv)
{
	struct tls12_crypto_info_chacha20_poly1305 info = {
		.info = { .version = TLS_1_3_VERSION, .cipher_type = TLS_CIPHER_CHACHA20_POLY1305 },
	};
	int rc;

	memcpy(info.key, key, sizeof(info.key));
	memcpy(info.iv, iv, sizeof(info.iv));
	rc = setsockopt(fd, SOL_TLS, direction, &info, sizeof(info)) < 0 ? -errno : 0;
	OPENSSL_cleanse(&info, sizeof(info));
	return rc;
}

static int set_aes(int fd, int direction, const uint8_t *key, const uint8_t *iv)
{
	struct tls12_crypto_info_aes_gcm_128 info = {
		.info = { .version = TLS_1_3_VERSION, .cipher_type = TLS_CIPHER_AES_GCM_128 },
	};
	int rc;

	memcpy(info.key, key, sizeof(info.key));
	memcpy(info.salt, iv, sizeof(info.salt));
	memcpy(info.iv, iv + sizeof(info.salt), sizeof(info.iv));
	rc = setsockopt(fd, SOL_TLS, direction, &info, sizeof(info)) < 0 ? -errno : 0;
	OPENSSL_cleanse(&info, sizeof(info));
	return rc;
}

/* Return: 0 or -errno: without SO_BUF_LOCK (before Linux 5.14) a size that was set once stays for ever */
static int widen(int fd)
{
	const int room = KTLS_SEND_BUFFER, none = 0;
	int present = 0;
	socklen_t size = sizeof(present);

	if (getsockopt(fd, SOL_SOCKET, SO_BUF_LOCK, &present, &size) < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_BUF_LOCK, &none, sizeof(none)) < 0)
		return -errno;
	return 0;
}

int ktls_install(int fd, const struct seal_keys *keys)
{
	int (*set)(int fd, int direction, const uint8_t *key, const uint8_t *iv) = keys->chacha ? set_chacha : set_aes;
	int rc;

	if (setsockopt(fd, IPPROTO_TCP, TCP_ULP, ulp, sizeof(ulp)) < 0)
		return -ENOPROTOOPT;
	rc = widen(fd);
	if (rc == 0)
		rc = set(fd, TLS_TX, keys->out.key, keys->out.iv);
	if (rc == 0)
		rc = set(fd, TLS_RX, keys->in.key, keys->in.iv);
	return rc == -ENOPROTOOPT ? -EIO : rc;
}

bool ktls_is(int fd)
{
	char name[16] = "";		/* TCP_ULP_NAME_MAX of the kernel */
	socklen_t size = sizeof(name);

	return getsockopt(fd, IPPROTO_TCP, TCP_ULP, name, &size) == 0 && size >= sizeof(ulp) &&
	       memcmp(name, ulp, sizeof(ulp)) == 0;
}

/* Does it take the keys of one cipher, and read records without strparser? */
static bool can(bool chacha)
{
	const struct seal_keys keys = { .chacha = chacha };
	socklen_t size = sizeof(int);
	int ends[2], rc, expects;

	if (pair_make(AF_INET, ends) < 0)
		return false;
	rc = ktls_install(ends[0], &keys);
	if (rc == 0)
		rc = getsockopt(ends[0], SOL_TLS, TLS_RX_EXPECT_NO_PAD, &expects, &size);
	close(ends[0]);
	close(ends[1]);
	return rc == 0;
}

unsigned int ktls_offer(void)
{
	static bool known;
	static unsigned int offer;
	const char *wish = secure_getenv("PUNCH_KTLS");

	if (known)
		return offer;
	known = true;
	if (wish && strcmp(wish, "no") == 0)
		return 0;
	offer = (can(true) ? SEAL_KERNEL_CHACHA : 0) | (can(false) ? SEAL_KERNEL_AES : 0);
	if (wish && *wish && strcmp(wish, "aes") != 0)
		log_warn("PUNCH_KTLS=%s: expected no or aes; the kernel's TLS is used where it is there", wish);
	/* One cipher at a time: tests of either */
	if (wish && strcmp(wish, "aes") == 0)
		offer &= SEAL_KERNEL_AES;
	log_info("pump: TLS in the kernel: %s", offer & SEAL_KERNEL_CHACHA ? "ChaCha20-Poly1305" :
		 offer ? "AES-128-GCM" : "no; is the module tls loaded?");
	return offer;
}
