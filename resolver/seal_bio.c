/* SPDX-License-Identifier: MIT */
/*
 * seal_bio.c - many TLS records for each system call, below OpenSSL
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "resolver/seal.h"
#include "resolver/seal_bio.h"

static uint8_t ahead[SEAL_ROOM];

static int on_write(BIO *bio, const char *data, size_t size, size_t *written)
{
	struct seal_bio *io = BIO_get_data(bio);

	*written = 0;
	if (!io->out || size > io->room - io->used)
		return 0;
	memcpy(io->out + io->used, data, size);
	io->used += size;
	*written = size;
	return 1;
}

/* Return: bytes; 0 the end; -errno, -EAGAIN among them */
static ssize_t refill(struct seal_bio *io)
{
	ssize_t n;

	free(io->rest);
	io->rest = NULL;
	n = recv(io->fd, ahead, sizeof(ahead), MSG_DONTWAIT);
	if (n < 0)
		return errno == EWOULDBLOCK || errno == EINTR ? -EAGAIN : -errno;
	io->ended = n == 0;
	if (n == 0)
		return 0;
	io->next = ahead;
	io->left = (size_t)n;
	return n;
}

static int on_read(BIO *bio, char *data, size_t size, size_t *got)
{
	struct seal_bio *io = BIO_get_data(bio);
	ssize_t n = io->left ? (ssize_t)io->left : refill(io);

	BIO_clear_retry_flags(bio);
	*got = 0;
	io->served = n > 0;
	if (n == -EAGAIN)
		BIO_set_retry_read(bio);
	if (n < 0)
		errno = (int)-n;
	if (n <= 0)
		return 0;
	*got = size < io->left ? size : io->left;
	memcpy(data, io->next, *got);
	io->next += *got;
	io->left -= *got;
	return 1;
}

static long on_control(BIO *bio, int command, long number, void *pointer)
{
	const struct seal_bio *io = BIO_get_data(bio);

	(void)number;
	(void)pointer;
	if (command == BIO_CTRL_EOF)
		return io->ended && !io->left;
	return command == BIO_CTRL_FLUSH;
}

BIO *seal_bio_new(struct seal_bio *io)
{
	static BIO_METHOD *method;
	BIO *bio;

	if (!method) {
		method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "records");
		if (!method || BIO_meth_set_write_ex(method, on_write) != 1 ||
		    BIO_meth_set_read_ex(method, on_read) != 1 || BIO_meth_set_ctrl(method, on_control) != 1)
			return NULL;
	}
	bio = BIO_new(method);
	if (bio) {
		BIO_set_data(bio, io);
		BIO_set_init(bio, 1);
	}
	return bio;
}

int seal_bio_keep(struct seal_bio *io)
{
	if (!io->left) {
		free(io->rest);
		io->rest = NULL;
	} else if (!io->rest) {
		io->rest = malloc(io->left);
		if (!io->rest)
			return -ENOMEM;
		memcpy(io->rest, io->next, io->left);
		io->next = io->rest;
	}
	return 0;
}

void seal_bio_end(struct seal_bio *io)
{
	free(io->rest);
	io->rest = NULL;
	io->left = 0;
}
