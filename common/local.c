/* SPDX-License-Identifier: MIT */
/*
 * local.c - packets and descriptors between shim, punchctl and resolver
 *
 * Linked into the shim: sendmsg() and friends go straight to the kernel, for
 * the libc names are the shim's own hooks.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/local.h"

#define TAG_TEXT	40	/* bytes kept of a file's or node's name: with two 64-bit numbers it fits sun_path */
#define RECV_FDS	8	/* descriptors received at most; the kernel drops the rest itself */

/* The folder of an absolute path, "/" for "/punch.conf" */
static int folder_of(const char *path, struct stat *st)
{
	char folder[LIMIT_PATH];
	const char *slash = strrchr(path, '/');
	size_t size;

	if (!slash)
		return stat(".", st) < 0 ? -errno : 0;
	size = slash == path ? 1 : (size_t)(slash - path);
	if (size >= sizeof(folder))
		return -ENAMETOOLONG;
	memcpy(folder, path, size);
	folder[size] = '\0';
	return stat(folder, st) < 0 ? -errno : 0;
}

/* As "%llx-". Return: behind it */
static char *put_hex(char *to, unsigned long long number)
{
	int shift = 60;

	while (shift && !(number >> shift & 15))
		shift -= 4;
	for (; shift >= 0; shift -= 4)
		*to++ = "0123456789abcdef"[number >> shift & 15];
	*to++ = '-';
	return to;
}

/* Without stdio: the constructor of the shim calls it, and what it touches of libc every program pays for */
int local_tag_of(char tag[LOCAL_TAG], const char *path)
{
	int saved = errno, rc;
	const char *base;
	struct stat st;
	size_t size;

	rc = folder_of(path, &st);
	errno = saved;
	if (rc < 0)
		return rc;
	base = strrchr(path, '/');
	base = base ? base + 1 : path;
	*tag++ = 'f';
	*tag++ = '-';
	tag = put_hex(put_hex(tag, st.st_dev), st.st_ino);
	size = strnlen(base, TAG_TEXT);
	memcpy(tag, base, size);
	tag[size] = '\0';
	return 0;
}

int local_tag(char tag[LOCAL_TAG], const struct local_config *config)
{
	if (config->path[0])
		return local_tag_of(tag, config->path);
	snprintf(tag, LOCAL_TAG, "q-%.*s", TAG_TEXT, config->as);
	return 0;
}

int local_address_of(struct sockaddr_un *sun, uid_t uid, const char *tag, unsigned int n)
{
	int size;

	memset(sun, 0, sizeof(*sun));
	sun->sun_family = AF_UNIX;
	size = snprintf(sun->sun_path + 1, sizeof(sun->sun_path) - 1, "punch/%u/%s/%u", (unsigned int)uid, tag, n);
	if (size < 0 || (size_t)size >= sizeof(sun->sun_path) - 1)
		return -ENAMETOOLONG;
	return (int)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)size);
}

int local_address(struct sockaddr_un *sun, uid_t uid, const struct local_config *config, unsigned int n)
{
	char tag[LOCAL_TAG];
	int rc = local_tag(tag, config);

	memset(sun, 0, sizeof(*sun));
	return rc < 0 ? rc : local_address_of(sun, uid, tag, n);
}

/* Time depends on the sizes alone, not on where two secrets differ */
static int secret_equal(const char *a, const char *b)
{
	volatile unsigned char diff = 0;
	size_t size = strnlen(a, LIMIT_SECRET), i;

	if (size != strnlen(b, LIMIT_SECRET))
		return 0;
	for (i = 0; i < size; i++)
		diff = (unsigned char)(diff | (a[i] ^ b[i]));
	return diff == 0;
}

/* One file by two ways (a link on the way to its folder, "//"): the folder counts, as in local_tag_of() */
static int same_file(const char *a, const char *b)
{
	const char *base_a = strrchr(a, '/'), *base_b = strrchr(b, '/');
	char tag_a[LOCAL_TAG], tag_b[LOCAL_TAG];

	return base_a && base_b && strcmp(base_a, base_b) == 0 && local_tag_of(tag_a, a) == 0 &&
	       local_tag_of(tag_b, b) == 0 && strcmp(tag_a, tag_b) == 0;
}

/* @a, @b: of LIMIT_PATH bytes, without an end where a hostile client has sent one */
static int path_equal(const char *a, const char *b)
{
	if (strncmp(a, b, LIMIT_PATH) == 0)
		return 1;
	return memchr(a, '\0', LIMIT_PATH) && memchr(b, '\0', LIMIT_PATH) && same_file(a, b);
}

int local_config_equal(const struct local_config *a, const struct local_config *b)
{
	return secret_equal(a->secret, b->secret) && path_equal(a->path, b->path) &&
	       strncmp(a->as, b->as, sizeof(a->as)) == 0 &&
	       strncmp(a->rendezvous, b->rendezvous, sizeof(a->rendezvous)) == 0;
}

int local_send(int fd, const void *data, size_t size, int pass)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	union {
		const void *in;
		void *out;
	} base = { .in = data };	/* the kernel only reads it, but iov_base is not const */
	struct iovec iov = { .iov_base = base.out, .iov_len = size };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	int saved = errno;
	long n;

	if (pass >= 0) {
		struct cmsghdr *cmsg;

		memset(&control, 0, sizeof(control));
		msg.msg_control = control.bytes;
		msg.msg_controllen = sizeof(control.bytes);
		cmsg = CMSG_FIRSTHDR(&msg);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(cmsg), &pass, sizeof(int));
	}
	do {
		n = syscall(SYS_sendmsg, fd, &msg, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	if (n < 0) {
		n = -errno;
		errno = saved;
		return (int)n;
	}
	return (size_t)n == size ? 0 : -EMSGSIZE;
}

/*
 * Keep the first descriptor, close the others.  Walked by hand: CMSG_NXTHDR()
 * is a function in glibc that musl does not have.
 */
static int take_descriptors(const char *control, size_t size)
{
	int kept = -1;
	size_t at = 0;

	while (at + sizeof(struct cmsghdr) <= size) {
		struct cmsghdr head;
		size_t i;

		memcpy(&head, control + at, sizeof(head));
		if (head.cmsg_len < CMSG_LEN(0) || head.cmsg_len > size - at)
			break;
		for (i = CMSG_LEN(0); head.cmsg_level == SOL_SOCKET && head.cmsg_type == SCM_RIGHTS &&
		     i + sizeof(int) <= head.cmsg_len; i += sizeof(int)) {
			int fd;

			memcpy(&fd, control + at + i, sizeof(fd));
			if (kept < 0)
				kept = fd;
			else
				close(fd);
		}
		at += CMSG_ALIGN(head.cmsg_len);
	}
	return kept;
}

ssize_t local_recv(int fd, void *data, size_t size, int *pass)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(RECV_FDS * sizeof(int))];
	} control;
	struct iovec iov = { .iov_base = data, .iov_len = size };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control.bytes, .msg_controllen = sizeof(control.bytes),
	};
	int saved = errno, got;
	long n;

	*pass = -1;
	do {
		n = syscall(SYS_recvmsg, fd, &msg, MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n < 0) {
		n = -errno;
		errno = saved;
		return n;
	}
	got = take_descriptors(control.bytes, msg.msg_controllen);
	if (msg.msg_flags & MSG_TRUNC)
		n = -EMSGSIZE;
	else if ((msg.msg_flags & MSG_CTRUNC) && got < 0)
		n = -EMFILE;		/* the descriptor was sent, but this process has no room for it */
	if (n < 0 && got >= 0) {
		close(got);
		got = -1;
	}
	errno = saved;
	*pass = got;
	return n;
}
