/* SPDX-License-Identifier: MIT */
/*
 * fuzz_seal.c - the encrypted data path: a peer that has the key and is hostile, and somebody between who changes bytes
 *
 * One end is seal.c with pump_flow.c between a program and the wire.  The other end has made the handshake with the same
 * key and then writes its records by hand, so that it can put anything under the right keys.  The first byte: 1 our end
 * is the caller's, 2 the far end says that it goes on in its kernel, 4 what passes in the handshake is changed, by a chunk
 * for each turn.  Each chunk after it is a step; its head: bits 0-2 what (enum step).  Promises: the program
 * gets exactly what the far end sealed for it, in order; nothing after a record that was changed; and
 * an end only where the far end said so.
 */
#include <sys/ioctl.h>
#include <unistd.h>

#include "resolver/seal.c"
#include "resolver/pump_internal.h"
#include "tests/fuzz/fuzz.h"

enum step {
	STEP_BYTES,		/* on the wire as they are */
	STEP_RECORD,		/* a record of the type of the first byte, with the rest in it */
	STEP_DATA,		/* a record of payload; 8: with padding */
	STEP_CHANGED,		/* the same with one bit changed; the first byte says which */
	STEP_PROGRAM,		/* our program writes */
	STEP_KEYS,		/* new keys; 8: and we are to take new ones, too */
	STEP_END,		/* close_notify */
	STEP_FIN,
};

enum { CALLER = 1, KERNEL = 2, MIDDLE = 4 };

#define CONTENT	4096	/* bytes in a record at most */
#define SHAKES	8
#define REKEY	3	/* records: so that our end takes new keys, too */

static const uint8_t session[SESSION_SIZE] = "a session's name", key[32] = "thirty-two bytes of a secret key";

/* What the far end seals with */
static struct far {
	struct seal *seal;
	int fd;
	uint8_t secrets[2][SECRET_SIZE];	/* of the client, of the server; as told */
	uint8_t secret[SECRET_SIZE], key[32], iv[12];
	bool chacha;
	uint64_t number;
} far;

/* How it stands between the two */
static struct line {
	struct sealed_flow flow;
	int program;		/* the other end of flow.local */
	bool open;		/* our end goes on */
	bool sound;		/* only good records came so far */
	bool end_said;
	uint8_t sent[65536];	/* payload sealed, and not yet seen by the program */
	size_t size;
} line;

static void on_far_secret(const SSL *ssl, const char *text)
{
	unsigned int i = strncmp(text, label_client, sizeof(label_client) - 1) == 0 ? 0 :
			 strncmp(text, label_server, sizeof(label_server) - 1) == 0 ? 1 : 2;
	size_t size;

	if (i < 2 && far.seal && ssl == far.seal->ssl)
		MUST(OPENSSL_hexstr2buf_ex(far.secrets[i], SECRET_SIZE, &size, strrchr(text, ' ') + 1, '\0') == 1);
	on_secret(ssl, text);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	log_init("fuzz", "error", NULL);
	seal_prepare();
	seal_set_rekey(REKEY);
	SSL_CTX_set_keylog_callback(context(), on_far_secret);
	return 0;
}

/* ------------------------------------------------------------ the handshake */

static struct seal *end_new(bool caller, unsigned int kernel, int fd)
{
	struct seal_setup setup = { .caller = caller, .session = session, .key = key, .fd = fd, .kernel = kernel };
	struct seal *seal = seal_new(&setup);

	MUST(seal);
	return seal;
}

/* What passes from one to the other; @chunk is laid over it (XOR) from the offset in its head on */
static void pass(int from, int to, const struct chunk *chunk)
{
	uint8_t bytes[8192];
	ssize_t n = recv(from, bytes, sizeof(bytes), MSG_DONTWAIT);
	size_t i;

	for (i = 0; chunk && n > 0 && i < chunk->size && chunk->head + i < (size_t)n; i++)
		bytes[chunk->head + i] ^= chunk->data[i];
	if (n > 0)
		send(to, bytes, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* Return: true when our end believes that it is done; the far end may not be, where something was changed */
static bool shake(uint8_t first, const uint8_t **data, size_t *size)
{
	int wire[2], beyond[2], own = -EAGAIN, other = -EAGAIN, i;
	struct chunk chunk;
	bool changed, any = false, wants_write;

	MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, wire) == 0);
	MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, beyond) == 0);
	line.flow.wire = wire[0];
	line.flow.seal = end_new(first & CALLER, 0, wire[0]);
	far.seal = end_new(!(first & CALLER), first & KERNEL ? SEAL_KERNEL_AES : 0, beyond[0]);
	for (i = 0; i < SHAKES; i++) {
		if (own == -EAGAIN)
			own = seal_shake(line.flow.seal, &wants_write);
		if (other == -EAGAIN)
			other = seal_shake(far.seal, &wants_write);
		changed = first & MIDDLE && fuzz_chunk(data, size, &chunk);
		any = any || changed;
		pass(wire[1], beyond[1], NULL);
		pass(beyond[1], wire[1], changed ? &chunk : NULL);
	}
	MUST(any || (own == 0 && other == 0));
	MUST(own == 0 || own == -EAGAIN || own == -EKEYREJECTED || own == -ECONNRESET);
	/* From now on the far end is ours: its seal only opens what comes */
	close(beyond[0]);
	close(beyond[1]);
	far.fd = wire[1];
	if (own || other)
		return false;
	MUST(SSL_set_fd(far.seal->ssl, far.fd) == 1);
	return true;
}

static void take_secret(const uint8_t secret[SECRET_SIZE])
{
	memmove(far.secret, secret, SECRET_SIZE);
	far.chacha = strcmp(seal_cipher(far.seal), CHACHA) == 0;
	far.number = 0;
	MUST(expand_label(secret, "key", far.key, far.chacha ? 32 : 16) == 0 && expand_label(secret, "iv", far.iv, 12) == 0);
}

/* ------------------------------------------------------------ records by hand (RFC 8446, 5.2) */

/* Return: bytes in @out */
static size_t seal_record(uint8_t type, const uint8_t *content, size_t size, size_t padding, uint8_t *out)
{
	uint8_t inner[CONTENT + 256] = { 0 }, nonce[12];
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	size_t whole = size + 1 + padding, i;
	int n;

	MUST(ctx && whole <= sizeof(inner));
	memcpy(inner, content, size);
	inner[size] = type;
	memcpy(nonce, far.iv, sizeof(nonce));
	for (i = 0; i < 8; i++)
		nonce[4 + i] ^= (uint8_t)(far.number >> (56 - 8 * i));
	far.number++;
	memcpy(out, (uint8_t []){ 23, 3, 3, (uint8_t)((whole + 16) >> 8), (uint8_t)(whole + 16) }, 5);
	MUST(EVP_EncryptInit_ex(ctx, far.chacha ? EVP_chacha20_poly1305() : EVP_aes_128_gcm(), NULL, far.key, nonce) == 1 &&
	     EVP_EncryptUpdate(ctx, NULL, &n, out, 5) == 1 &&
	     EVP_EncryptUpdate(ctx, out + 5, &n, inner, (int)whole) == 1 &&
	     EVP_EncryptFinal_ex(ctx, out + 5 + whole, &n) == 1 &&
	     EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, 16, out + 5 + whole) == 1);
	EVP_CIPHER_CTX_free(ctx);
	return 5 + whole + 16;
}

static void put(const uint8_t *bytes, size_t size)
{
	/* All of it, or the records behind it are not what they seem */
	if (size && send(far.fd, bytes, size, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)size)
		line.sound = false;
}

static void put_sealed(uint8_t type, const uint8_t *content, size_t size, size_t padding)
{
	uint8_t record[CONTENT + 512];

	put(record, seal_record(type, content, size, padding, record));
}

/* The program is to get it, unless something has gone wrong before */
static void expect(const uint8_t *data, size_t size)
{
	if (line.sound && !line.end_said && line.size + size <= sizeof(line.sent)) {
		memcpy(line.sent + line.size, data, size);
		line.size += size;
	} else {
		line.sound = false;
	}
}

static void data_record(const struct chunk *chunk, size_t size)
{
	put_sealed(SSL3_RT_APPLICATION_DATA, chunk->data, size, chunk->head & 8 ? chunk->head >> 1 : 0);
	expect(chunk->data, size);
}

static void changed_record(const struct chunk *chunk, size_t size)
{
	uint8_t record[CONTENT + 512];
	size_t n = seal_record(SSL3_RT_APPLICATION_DATA, chunk->data, size, 0, record);
	uint8_t which = chunk->size ? chunk->data[0] : 0;

	record[5 + which % (n - 5)] ^= (uint8_t)(1 << (which & 7));
	line.sound = false;
	put(record, n);
}

/* The type is the last byte that is not zero: it may be one of the content */
static void any_record(const struct chunk *chunk, size_t size)
{
	uint8_t type = size ? chunk->data[0] : 0;
	const uint8_t *content = chunk->data + (size > 0);
	size_t length = size - (size > 0), end = length;

	put_sealed(type, content, length, 0);
	while (!type && end)
		type = content[--end];
	if (type == SSL3_RT_APPLICATION_DATA)
		expect(content, end);
	else
		line.sound = false;
	line.end_said = line.end_said || type == SSL3_RT_ALERT;
}

static void new_keys(const struct chunk *chunk)
{
	const uint8_t update[] = { SSL3_MT_KEY_UPDATE, 0, 0, 1, chunk->head & 8 ? 1 : 0 };
	uint8_t next[SECRET_SIZE];

	put_sealed(SSL3_RT_HANDSHAKE, update, sizeof(update), 0);
	MUST(expand_label(far.secret, "traffic upd", next, sizeof(next)) == 0);
	take_secret(next);
}

/* ------------------------------------------------------------ what came of it */

/* The program has got what was sealed, and nothing else */
static void check_program(void)
{
	uint8_t got[16384];
	ssize_t n;

	while ((n = recv(line.program, got, sizeof(got), MSG_DONTWAIT)) > 0) {
		MUST((size_t)n <= line.size && memcmp(got, line.sent, (size_t)n) == 0);
		line.size -= (size_t)n;
		memmove(line.sent, line.sent + n, line.size);
	}
	MUST(n < 0 || line.end_said);
}

static void run(void)
{
	int i, rc = 0;

	for (i = 0; line.open && i < 3; i++) {
		rc = sealed_flow_run(&line.flow, false);
		MUST(rc <= 1);
		check_program();
		if (rc)
			line.open = false;
	}
}

static void from_program(const struct chunk *chunk)
{
	uint8_t got[SEAL_CHUNK];
	bool end;
	ssize_t n;

	if (!line.open || !chunk->size || send(line.program, chunk->data, chunk->size, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		return;
	run();
	n = seal_decrypt(far.seal, got, sizeof(got), &end);
	MUST(!line.open || (n == (ssize_t)chunk->size && memcmp(got, chunk->data, chunk->size) == 0));
}

static void step(const struct chunk *chunk)
{
	static const uint8_t close_notify[] = { 1, 0 };
	size_t size = chunk->size < CONTENT ? chunk->size : CONTENT;

	switch ((enum step)(chunk->head & 7)) {
	case STEP_BYTES:
		line.sound = line.sound && !size;
		put(chunk->data, size);
		break;
	case STEP_RECORD:
		any_record(chunk, size);
		break;
	case STEP_DATA:
		data_record(chunk, size);
		break;
	case STEP_CHANGED:
		changed_record(chunk, size);
		break;
	case STEP_PROGRAM:
		from_program(chunk);
		break;
	case STEP_KEYS:
		new_keys(chunk);
		break;
	case STEP_END:
		put_sealed(SSL3_RT_ALERT, close_notify, sizeof(close_notify), 0);
		line.end_said = true;
		break;
	case STEP_FIN:
		shutdown(far.fd, SHUT_WR);
		line.end_said = line.end_said || !seal_user(far.seal);
	}
	run();
}

static void flow(uint8_t first, const uint8_t *data, size_t size)
{
	int fds[2];
	struct chunk chunk;

	MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
	line.flow.local = fds[0];
	line.program = fds[1];
	line.open = line.sound = true;
	take_secret(far.secrets[first & CALLER ? 1 : 0]);
	sealed_flow_start(&line.flow);
	while (line.open && fuzz_chunk(&data, &size, &chunk))
		step(&chunk);
	/* What was sound was handed on, as long as our end went on */
	MUST(!line.open || !line.sound || line.size == 0);
	sealed_flow_stop(&line.flow);
	close(line.program);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t first;

	if (!size)
		return 0;
	first = *data++;
	size--;
	memset(&line, 0, sizeof(line));
	if (shake(first, &data, &size)) {
		flow(first, data, size);
	} else {
		seal_free(line.flow.seal);
		close(line.flow.wire);
	}
	seal_free(far.seal);
	far.seal = NULL;
	close(far.fd);
	return 0;
}
