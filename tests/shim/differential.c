/* SPDX-License-Identifier: MIT */
/*
 * differential.c - each hooked call beside the bare system call
 *
 * For descriptors of many kinds, and arguments good, odd and bad, the function that the program finds
 * (the shim's, when it is preloaded) must give what the kernel gives: result, errno, and
 * what was written to memory.  Each combination has two descriptors made alike, one for each side.
 * What does not agree is printed.
 *
 * Argument "busy": first one connection to a peer is left waiting and another is made, so that
 * the shim has sockets to keep in mind, and has to tell them from all others.
 */
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>

#include "tests/shim/under.h"

#define ROOM	256
#define SHOWN	10	/* differences of one function */
#define PAGE	4096
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* What one side said. @written: the memory that the call could write to, afterwards */
struct outcome {
	long rc;
	int error;
	unsigned char written[ROOM];
	socklen_t size;
};

static unsigned int combinations, different, shown;
static const char *function;
static sigjmp_buf fault;
static struct sockaddr_in listening;	/* where @listener listens */
static int listener;
static struct sockaddr_in refusing;
static char *nothing;			/* a page that may not be touched */

static void on_fault(int number)
{
	(void)number;
	siglongjmp(fault, 1);
}

/* Run @call as the side @out. It assigns its result to out->rc */
#define SIDE(out, call) do {						\
	(out)->error = 0;						\
	errno = 4711;							\
	if (sigsetjmp(fault, 0) == 0) {					\
		(out)->rc = (long)(call);				\
		(out)->error = errno;					\
	} else {							\
		(out)->rc = -4711;	/* a signal */			\
	}								\
} while (0)

/* As libc: the errno of success is what it was before */
__attribute__((format(printf, 3, 4)))
static void compare(const struct outcome *hook, const struct outcome *bare, const char *how, ...)
{
	va_list list;

	combinations++;
	if (hook->rc == bare->rc && hook->error == bare->error && hook->size == bare->size &&
	    memcmp(hook->written, bare->written, ROOM) == 0)
		return;
	different++;
	if (shown++ >= SHOWN)
		return;
	printf("# %s(", function);
	va_start(list, how);
	vprintf(how, list);
	va_end(list);
	printf("): %ld %s, size %u; the kernel: %ld %s, size %u%s\n", hook->rc, strerror(hook->error), hook->size,
	       bare->rc, strerror(bare->error), bare->size,
	       memcmp(hook->written, bare->written, ROOM) ? "; memory differs" : "");
}

static void clear(struct outcome *hook, struct outcome *bare)
{
	memset(hook, 0x5a, sizeof(*hook));
	memset(bare, 0x5a, sizeof(*bare));
	hook->size = bare->size = 0;
}

/* ------------------------------------------------------------ descriptors */

static int stream(int family, int protocol)
{
	return socket(family, SOCK_STREAM | SOCK_NONBLOCK, protocol);
}

static int bare_connect(int fd, const void *address, socklen_t size)
{
	return (int)syscall(SYS_connect, fd, address, size);
}

static int make_none(void) { return -1; }
static int make_closed(void) { return 9999; }
static int make_file(void) { return open("/dev/null", O_RDWR); }
static int make_folder(void) { return open("/", O_RDONLY | O_DIRECTORY); }
static int make_path(void) { return open("/", O_PATH); }
static int make_event(void) { return eventfd(0, EFD_NONBLOCK); }
static int make_epoll(void) { return epoll_create1(0); }
static int make_tcp(void) { return stream(AF_INET, 0); }
static int make_tcp6(void) { return stream(AF_INET6, 0); }
static int make_mptcp(void) { return stream(AF_INET, 262); }
static int make_sctp(void) { return stream(AF_INET, IPPROTO_SCTP); }
static int make_vsock(void) { return stream(40, 0); }
static int make_udp(void) { return socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0); }
static int make_udp6(void) { return socket(AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK, 0); }
static int make_raw(void) { return socket(AF_INET, SOCK_RAW | SOCK_NONBLOCK, IPPROTO_ICMP); }
static int make_netlink(void) { return socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK, 0); }
static int make_unix(void) { return stream(AF_UNIX, 0); }

static int make_pipe(void)
{
	int fds[2];

	if (pipe2(fds, O_NONBLOCK) < 0)
		return -1;
	close(fds[1]);
	return fds[0];
}

static int make_pair(int type)
{
	int fds[2];

	if (socketpair(AF_UNIX, type | SOCK_NONBLOCK, 0, fds) < 0)
		return -1;
	close(fds[1]);
	return fds[0];
}

static int make_unix_pair(void) { return make_pair(SOCK_STREAM); }
static int make_unix_datagram(void) { return make_pair(SOCK_DGRAM); }
static int make_unix_packets(void) { return make_pair(SOCK_SEQPACKET); }

/* Listening, with a client that waits to be accepted (and has gone again) */
static int make_listener(int family, socklen_t size)
{
	struct sockaddr_storage ss = { .ss_family = (sa_family_t)family };
	int fd = stream(family, 0), client = stream(family, 0);

	if (family == AF_INET6)
		((struct sockaddr_in6 *)&ss)->sin6_addr = in6addr_loopback;
	if (family == AF_INET)
		((struct sockaddr_in *)&ss)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind(fd, (struct sockaddr *)&ss, size) < 0 || syscall(SYS_listen, fd, 2) < 0)
		abort();
	size = sizeof(ss);
	if (getsockname(fd, (struct sockaddr *)&ss, &size) < 0)
		abort();
	bare_connect(client, &ss, size);
	close(client);
	return fd;
}

static int make_listener4(void) { return make_listener(AF_INET, sizeof(struct sockaddr_in)); }
static int make_listener6(void) { return make_listener(AF_INET6, sizeof(struct sockaddr_in6)); }
static int make_listener_unix(void) { return make_listener(AF_UNIX, sizeof(sa_family_t)); }

static int make_connected(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (bare_connect(fd, &listening, sizeof(listening)) < 0)
		abort();
	fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}

static int make_refused(void)
{
	int fd = stream(AF_INET, 0);

	bare_connect(fd, &refusing, sizeof(refusing));	/* SO_ERROR is left to be read */
	return fd;
}

static int make_shut(void)
{
	int fd = make_connected();

	shutdown(fd, SHUT_RDWR);
	return fd;
}

static int make_udp_connected(void)
{
	int fd = make_udp();

	bare_connect(fd, &refusing, sizeof(refusing));
	return fd;
}

static const struct kind {
	const char *name;
	int (*make)(void);
} kinds[] = {
	{ "-1", make_none }, { "closed", make_closed }, { "file", make_file }, { "folder", make_folder },
	{ "O_PATH", make_path }, { "pipe", make_pipe }, { "eventfd", make_event }, { "epoll", make_epoll },
	{ "tcp", make_tcp }, { "tcp6", make_tcp6 }, { "mptcp", make_mptcp }, { "sctp", make_sctp },
	{ "vsock", make_vsock }, { "udp", make_udp }, { "udp6", make_udp6 }, { "raw", make_raw },
	{ "netlink", make_netlink }, { "unix", make_unix },
	{ "unix pair", make_unix_pair }, { "unix datagram", make_unix_datagram },
	{ "unix packets", make_unix_packets }, { "listener", make_listener4 }, { "listener6", make_listener6 },
	{ "unix listener", make_listener_unix }, { "connected", make_connected }, { "refused", make_refused },
	{ "shut", make_shut }, { "udp connected", make_udp_connected },
};

/* ------------------------------------------------------------ arguments */

static const socklen_t sizes[] = { 0, 1, 2, 3, 4, 7, 8, 12, 15, 16, 24, 27, 28, 110, 111, 128, 129, 4096,
				   0x7fffffff, 0x80000000u, 0xffffffffu };

/* Addresses that no program owns; a page that may not be touched comes last, see @untouchable */
static void *const bad[] = { NULL, (void *)1, (void *)0xfff, (void *)-1, (void *)-4096,
			     (void *)0x8000000000000000, (void *)0xffff888000000000 };

static union {
	struct sockaddr any;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
	struct sockaddr_un un;
	unsigned char bytes[8192];
} addresses[16];
static unsigned int address_count;

static void add_in(uint32_t address, uint16_t port)
{
	addresses[address_count].in.sin_family = AF_INET;
	addresses[address_count].in.sin_addr.s_addr = htonl(address);
	addresses[address_count++].in.sin_port = htons(port);
}

static void add_in6(const char *text, uint16_t port)
{
	addresses[address_count].in6.sin6_family = AF_INET6;
	inet_pton(AF_INET6, text, &addresses[address_count].in6.sin6_addr);
	addresses[address_count++].in6.sin6_port = htons(port);
}

/* Nothing here can be reached, and so nothing depends on time: loopback, or refused by the kernel */
static void make_addresses(void)
{
	address_count++;					/* AF_UNSPEC */
	addresses[address_count++].any.sa_family = 12345;
	addresses[address_count].un.sun_family = AF_UNIX;
	strcpy(addresses[address_count++].un.sun_path, "/nonexistent/socket");
	addresses[address_count].un.sun_family = AF_UNIX;
	strcpy(addresses[address_count++].un.sun_path + 1, "nobody is there");
	add_in(INADDR_LOOPBACK, ntohs(listening.sin_port));
	add_in(INADDR_LOOPBACK, ntohs(refusing.sin_port));
	add_in(INADDR_ANY, ntohs(refusing.sin_port));
	add_in(INADDR_BROADCAST, 9);
	add_in(0xe0000001, 9);					/* 224.0.0.1 */
	add_in(0xefbfffff, 9);					/* 239.191.255.255: just not a stand-in */
	add_in6("::1", ntohs(refusing.sin_port));
	add_in6("::ffff:127.0.0.1", ntohs(listening.sin_port));
	add_in6("ff02::1", 9);
	add_in6("fe80::1", 9);					/* without a scope */
}

/* ------------------------------------------------------------ calls */

/* A fresh descriptor of each of two sides */
static void make_two(const struct kind *kind, int fds[2])
{
	fds[0] = kind->make();
	fds[1] = kind->make();
}

static void close_two(const int fds[2])
{
	long client;

	while ((client = syscall(SYS_accept4, listener, NULL, NULL, 0)) >= 0)	/* or its queue would fill */
		syscall(SYS_close, (int)client);
	if (fds[0] >= 0 && fds[0] != 9999)
		syscall(SYS_close, fds[0]);
	if (fds[1] >= 0 && fds[1] != 9999)
		syscall(SYS_close, fds[1]);
}

static void connect_one(const struct kind *kind, const void *address, socklen_t size, const char *what)
{
	struct outcome hook, bare;
	int fds[2], again;

	make_two(kind, fds);
	for (again = 0; again < 2; again++) {		/* the second one has another state to tell of */
		clear(&hook, &bare);
		SIDE(&bare, syscall(SYS_connect, fds[1], address, size));
		SIDE(&hook, connect(fds[0], address, size));
		compare(&hook, &bare, "%s, %s, %u%s", kind->name, what, size, again ? ", again" : "");
	}
	close_two(fds);
}

static void try_connect(const struct kind *kind)
{
	char what[32];
	unsigned int a, s;

	for (a = 0; a < address_count; a++) {
		snprintf(what, sizeof(what), "address %u (family %u)", a, addresses[a].any.sa_family);
		for (s = 0; s < COUNT(sizes); s++)
			connect_one(kind, &addresses[a], sizes[s], what);
	}
	for (a = 0; a < COUNT(bad); a++) {
		snprintf(what, sizeof(what), "bad %u", a);
		for (s = 0; s < COUNT(sizes); s++)
			connect_one(kind, bad[a], sizes[s], what);
	}
}

static void listen_one(const struct kind *kind, int backlog)
{
	struct outcome hook, bare;
	int fds[2];

	make_two(kind, fds);
	clear(&hook, &bare);
	SIDE(&bare, syscall(SYS_listen, fds[1], backlog));
	SIDE(&hook, listen(fds[0], backlog));
	compare(&hook, &bare, "%s, %d", kind->name, backlog);
	close_two(fds);
}

static void try_listen(const struct kind *kind)
{
	listen_one(kind, 0);
	listen_one(kind, -1);
	listen_one(kind, 0x7fffffff);
}

/* Descriptors are equal when both are there; ports are what they are */
static void normalise(struct outcome *out)
{
	struct sockaddr_storage ss;

	if (out->rc >= 0) {
		syscall(SYS_close, (int)out->rc);
		out->rc = 0;
	}
	memcpy(&ss, out->written, sizeof(ss));
	if (out->rc == 0 && out->size >= 16 && (ss.ss_family == AF_INET || ss.ss_family == AF_INET6))
		memset(out->written + 2, 0, 2);
}

/* @flags: -1 for accept() */
static void accept_one(const struct kind *kind, void *address, bool with_size, socklen_t size, int flags,
		       void *size_address)
{
	struct outcome hook, bare;
	int fds[2];

	make_two(kind, fds);
	clear(&hook, &bare);
	hook.size = bare.size = size;
	SIDE(&bare, syscall(SYS_accept4, fds[1], address == &hook ? bare.written : address,
			    with_size ? &bare.size : size_address, flags < 0 ? 0 : flags));
	if (flags < 0)
		SIDE(&hook, accept(fds[0], address == &hook ? (void *)hook.written : address,
				   with_size ? &hook.size : size_address));
	else
		SIDE(&hook, accept4(fds[0], address == &hook ? (void *)hook.written : address,
				    with_size ? &hook.size : size_address, flags));
	normalise(&hook);
	normalise(&bare);
	compare(&hook, &bare, "%s, %p, %d %u, flags %d", kind->name, address, with_size, size, flags);
	close_two(fds);
}

/* accept_one() and getpeername_one() with memory of their own: any address but these would do */
#define OWN(out) ((void *)(out))

static void try_accept(const struct kind *kind)
{
	static const int flags[] = { -1, 0, SOCK_NONBLOCK, SOCK_CLOEXEC, SOCK_NONBLOCK | SOCK_CLOEXEC, 1, 0x40000000 };
	unsigned int b, f, s;

	for (f = 0; f < COUNT(flags); f++) {
		accept_one(kind, NULL, false, 0, flags[f], NULL);
		accept_one(kind, NULL, false, 0, flags[f], (void *)-1);
		for (b = 0; b < COUNT(bad); b++) {
			accept_one(kind, bad[b], true, 16, flags[f], NULL);
			accept_one(kind, bad[b], true, 0, flags[f], NULL);
			accept_one(kind, addresses[15].bytes, false, 0, flags[f], bad[b]);
		}
		accept_one(kind, nothing, true, 128, flags[f], NULL);
	}
	for (s = 0; s < COUNT(sizes); s++) {
		struct outcome hook, bare;
		int fds[2];

		if (sizes[s] > ROOM && sizes[s] < 0x7fffffff)
			continue;
		make_two(kind, fds);
		clear(&hook, &bare);
		hook.size = bare.size = sizes[s];
		SIDE(&bare, syscall(SYS_accept, fds[1], bare.written, &bare.size));
		SIDE(&hook, accept(fds[0], OWN(hook.written), &hook.size));
		normalise(&hook);
		normalise(&bare);
		compare(&hook, &bare, "%s, memory, %u", kind->name, sizes[s]);
		close_two(fds);
	}
}

static void getpeername_one(const struct kind *kind, void *address, void *size_address, socklen_t size)
{
	struct outcome hook, bare;
	int fds[2];

	make_two(kind, fds);
	clear(&hook, &bare);
	hook.size = bare.size = size;
	SIDE(&bare, syscall(SYS_getpeername, fds[1], address ? address : bare.written,
			    size_address ? size_address : &bare.size));
	SIDE(&hook, getpeername(fds[0], address ? address : OWN(hook.written), size_address ? size_address : &hook.size));
	compare(&hook, &bare, "%s, %p, %p, %u", kind->name, address, size_address, size);
	close_two(fds);
}

static void try_getpeername(const struct kind *kind)
{
	unsigned int b, s;

	for (s = 0; s < COUNT(sizes); s++)
		getpeername_one(kind, NULL, NULL, sizes[s]);
	for (b = 1; b < COUNT(bad); b++) {
		getpeername_one(kind, bad[b], NULL, 16);
		getpeername_one(kind, bad[b], NULL, 0);
		getpeername_one(kind, NULL, bad[b], 0);
	}
	getpeername_one(kind, nothing, NULL, 128);
}

static bool varies(int level, int name)
{
	/* SO_COOKIE names the socket, SO_INCOMING_CPU and TCP_INFO tell of its life, TCP_REPAIR's family of its sequence numbers;
	 * TCP_MAXSEG follows the window of the last segment, which on a socket that was shut may not have come yet */
	return (level == SOL_SOCKET && (name == 57 || name == 49 || name == SO_PEERCRED || name == SO_INCOMING_NAPI_ID)) ||
	       (level == IPPROTO_TCP && (name == TCP_INFO || name == TCP_TIMESTAMP || name == TCP_QUEUE_SEQ || name == TCP_MAXSEG || name == 35)) ||
	       (level == SOL_SOCKET && name == SO_MEMINFO) || (level == IPPROTO_IP && name == 52);
}

static void getsockopt_one(const struct kind *kind, int level, int name, void *value, void *size_address, socklen_t size)
{
	struct outcome hook, bare;
	int fds[2], again;

	make_two(kind, fds);
	for (again = 0; again < 2; again++) {
		clear(&hook, &bare);
		hook.size = bare.size = size;
		SIDE(&bare, syscall(SYS_getsockopt, fds[1], level, name, value ? value : bare.written,
				    size_address ? size_address : &bare.size));
		SIDE(&hook, getsockopt(fds[0], level, name, value ? value : OWN(hook.written),
				       size_address ? size_address : &hook.size));
		compare(&hook, &bare, "%s, %d, %d, %p, %p, %u", kind->name, level, name, value, size_address, size);
	}
	close_two(fds);
}

static void try_getsockopt(const struct kind *kind)
{
	static const int levels[] = { SOL_SOCKET, IPPROTO_TCP, IPPROTO_IP, 4711 };
	unsigned int b, l, s;
	int name;

	for (l = 0; l < COUNT(levels); l++) {
		for (name = 0; name < 76; name++) {
			if (!varies(levels[l], name))
				getsockopt_one(kind, levels[l], name, NULL, NULL, sizeof(int));
		}
	}
	for (s = 0; s < COUNT(sizes); s++)
		getsockopt_one(kind, SOL_SOCKET, SO_ERROR, NULL, NULL, sizes[s]);
	for (b = 1; b < COUNT(bad); b++) {
		getsockopt_one(kind, SOL_SOCKET, SO_ERROR, bad[b], NULL, 4);
		getsockopt_one(kind, SOL_SOCKET, SO_ERROR, NULL, bad[b], 0);
	}
	getsockopt_one(kind, SOL_SOCKET, SO_ERROR, nothing, NULL, 4);
	getsockopt_one(kind, SOL_SOCKET, SO_ERROR, NULL, nothing, 4);
}

static void setsockopt_one(const struct kind *kind, int level, int name, const void *value, socklen_t size)
{
	struct outcome hook, bare;
	int fds[2];

	make_two(kind, fds);
	clear(&hook, &bare);
	SIDE(&bare, syscall(SYS_setsockopt, fds[1], level, name, value, size));
	SIDE(&hook, setsockopt(fds[0], level, name, value, size));
	compare(&hook, &bare, "%s, %d, %d, %p, %u", kind->name, level, name, value, size);
	close_two(fds);
}

static void try_setsockopt(const struct kind *kind)
{
	static const int names[] = { TCP_DEFER_ACCEPT, TCP_NODELAY, TCP_FASTOPEN_CONNECT };
	static const int values[] = { 0, 1, -1, 30, 0x7fffffff };
	unsigned int b, n, s, v;

	for (n = 0; n < COUNT(names); n++) {
		for (v = 0; v < COUNT(values); v++) {
			for (s = 0; s < COUNT(sizes); s++) {
				if (sizes[s] <= 4 || sizes[s] > 0x7ffffff)
					setsockopt_one(kind, IPPROTO_TCP, names[n], &values[v], sizes[s]);
			}
		}
		for (b = 0; b < COUNT(bad); b++)
			setsockopt_one(kind, IPPROTO_TCP, names[n], bad[b], 4);
		setsockopt_one(kind, IPPROTO_TCP, names[n], nothing, 4);
	}
}

static void send_one(const struct kind *kind, const void *data, size_t count, int flags, const void *address, socklen_t size)
{
	struct outcome hook, bare;
	int fds[2];

	make_two(kind, fds);
	clear(&hook, &bare);
	SIDE(&bare, syscall(SYS_sendto, fds[1], data, count, flags | MSG_NOSIGNAL, address, size));
	SIDE(&hook, sendto(fds[0], data, count, flags | MSG_NOSIGNAL, address, size));
	compare(&hook, &bare, "%s, %p, %zu, %#x, %p, %u", kind->name, data, count, (unsigned int)flags, address, size);
	close_two(fds);
}

static const int send_flags[] = { 0, MSG_FASTOPEN, MSG_OOB, MSG_MORE, MSG_ZEROCOPY, MSG_ERRQUEUE, 0x10000000 };

static void try_sendto(const struct kind *kind)
{
	unsigned int a, f, s;

	for (f = 0; f < COUNT(send_flags); f++) {
		send_one(kind, "x", 1, send_flags[f], NULL, 0);
		send_one(kind, "x", 1, send_flags[f], NULL, 16);
		send_one(kind, (void *)-1, 1, send_flags[f], NULL, 0);
		for (a = 0; a < address_count; a++) {
			send_one(kind, "x", 1, send_flags[f], &addresses[a], 16);
			send_one(kind, "x", 1, send_flags[f], &addresses[a], 28);
		}
		for (a = 0; a < COUNT(bad); a++)
			send_one(kind, "x", 1, send_flags[f], bad[a], 16);
	}
	for (s = 0; s < COUNT(sizes); s++)
		send_one(kind, "x", 1, 0, &addresses[5], sizes[s]);
}

static void message_one(const struct kind *kind, const struct msghdr *message, int flags, const char *what)
{
	struct outcome hook, bare;
	int fds[2];

	make_two(kind, fds);
	clear(&hook, &bare);
	SIDE(&bare, syscall(SYS_sendmsg, fds[1], message, flags | MSG_NOSIGNAL));
	SIDE(&hook, sendmsg(fds[0], message, flags | MSG_NOSIGNAL));
	compare(&hook, &bare, "%s, %s, %#x", kind->name, what, (unsigned int)flags);
	close_two(fds);
}

/* @message with each fault in turn */
static void messages(const struct kind *kind, const struct msghdr *good, int flags)
{
	union {
		char room[CMSG_SPACE(sizeof(int))];
		struct cmsghdr header;
	} control = { .header = { .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int)) } };
	static const int input = STDIN_FILENO;
	struct msghdr message = *good;

	message_one(kind, &message, flags, "good");
	message.msg_iovlen = 0;
	message_one(kind, &message, flags, "no iov");
	message.msg_iovlen = 1025;
	message_one(kind, &message, flags, "too many iov");
	message.msg_iovlen = 1;
	message.msg_iov = (void *)-1;
	message_one(kind, &message, flags, "bad iov");
	message = *good;
	memcpy(CMSG_DATA(&control.header), &input, sizeof(input));
	message.msg_control = &control;
	message.msg_controllen = sizeof(control.room);
	message_one(kind, &message, flags, "a descriptor");
	control.header.cmsg_len = 1;
	message_one(kind, &message, flags, "bad control");
	message.msg_control = (void *)-1;
	message_one(kind, &message, flags, "unreadable control");
	message.msg_controllen = (size_t)-1;
	message_one(kind, &message, flags, "huge control");
}

static void try_sendmsg(const struct kind *kind)
{
	struct iovec iov = { .iov_base = (char[]){ "x" }, .iov_len = 1 };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };
	unsigned int a, b, f, s;

	for (f = 0; f < COUNT(send_flags); f++) {
		messages(kind, &message, send_flags[f]);
		for (b = 0; b < COUNT(bad); b++) {
			message_one(kind, bad[b], send_flags[f], "bad message");
			message.msg_name = bad[b];
			message.msg_namelen = 16;
			message_one(kind, &message, send_flags[f], "bad name");
		}
		for (a = 0; a < address_count; a++) {
			for (s = 0; s < COUNT(sizes); s++) {
				message.msg_name = &addresses[a];
				message.msg_namelen = sizes[s];
				message_one(kind, &message, send_flags[f], "address");
			}
		}
		message.msg_name = NULL;
		message.msg_namelen = 0;
	}
}

static void many_one(const struct kind *kind, struct mmsghdr *many, unsigned int count, int flags, const char *what)
{
	struct outcome hook, bare;
	int fds[2];

	make_two(kind, fds);
	clear(&hook, &bare);
	SIDE(&bare, syscall(SYS_sendmmsg, fds[1], many, count, flags | MSG_NOSIGNAL));
	SIDE(&hook, sendmmsg(fds[0], many, count, flags | MSG_NOSIGNAL));
	compare(&hook, &bare, "%s, %s, %u, %#x", kind->name, what, count, (unsigned int)flags);
	close_two(fds);
}

static void try_sendmmsg(const struct kind *kind)
{
	static const unsigned int counts[] = { 0, 1, 2, 1024, 1025, 0x7fffffff, 0xffffffff };
	struct iovec iov = { .iov_base = (char[]){ "x" }, .iov_len = 1 };
	/* as many as the kernel looks at, so that the hook's next look would be at @nothing */
	static struct mmsghdr *full;
	unsigned int a, b, c, f, i;
	char *room;

	if (!full) {
		size_t size = (1024 * sizeof(*full) + PAGE - 1) / PAGE * PAGE;

		room = mmap(NULL, size + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		mprotect(room + size, PAGE, PROT_NONE);
		full = (void *)(room + size - 1024 * sizeof(*full));
	}
	for (f = 0; f < COUNT(send_flags); f++) {
		for (c = 0; c < COUNT(counts); c++) {
			for (b = 0; b < COUNT(bad); b++)
				many_one(kind, bad[b], counts[c], send_flags[f], "bad messages");
			for (i = 0; i < 1024; i++)
				full[i] = (struct mmsghdr){ .msg_hdr = { .msg_iov = &iov, .msg_iovlen = 1 } };
			full[1].msg_hdr.msg_iov = (void *)-1;	/* the first one is sent */
			many_one(kind, full, counts[c], send_flags[f], "bad iov");
			full[0].msg_hdr.msg_iov = (void *)-1;
			full[0].msg_hdr.msg_name = (void *)-1;
			full[0].msg_hdr.msg_namelen = 16;
			many_one(kind, full, counts[c], send_flags[f], "bad name");
			for (a = 0; a < address_count; a++) {
				full[0].msg_hdr.msg_name = &addresses[a];
				many_one(kind, full, counts[c], send_flags[f], "address");
			}
		}
	}
}

/* ------------------------------------------------------------ main */

static void run(const char *name, void (*attempt)(const struct kind *))
{
	unsigned int before = different, first = combinations, k;

	function = name;
	shown = 0;
	for (k = 0; k < COUNT(kinds); k++) {
		int fd = kinds[k].make();

		/* not every kernel has every protocol, and not everyone may have packets */
		if (fd < 0 && kinds[k].make != make_none)
			continue;
		if (fd >= 0 && fd != 9999)
			syscall(SYS_close, fd);
		attempt(&kinds[k]);
	}
	printf("%sok - %s(): %u calls, result, errno and memory as the kernel gives them\n",
	       different == before ? "" : "not ", name, combinations - first);
}

static void get_busy(void)
{
	struct address never = peer("never", AF_INET, 22), bob = peer("bob", AF_INET, ntohs(listening.sin_port));
	int waiting = make_tcp(), there = socket(AF_INET, SOCK_STREAM, 0);

	if (connect(waiting, (struct sockaddr *)&never.ss, never.size) == 0 || errno != EINPROGRESS)
		abort();
	if (connect(there, (struct sockaddr *)&bob.ss, bob.size) < 0)
		abort();
}

static void make_places(void)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	int other = socket(AF_INET, SOCK_STREAM, 0);
	socklen_t size = sizeof(listening);

	/* both stay open; the second is bound and does not listen */
	listener = stream(AF_INET, 0);
	if (bind(listener, (struct sockaddr *)&in, sizeof(in)) < 0 || syscall(SYS_listen, listener, 64) < 0 ||
	    bind(other, (struct sockaddr *)&in, sizeof(in)) < 0 ||
	    getsockname(listener, (struct sockaddr *)&listening, &size) < 0 ||
	    getsockname(other, (struct sockaddr *)&refusing, &size) < 0)
		abort();
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_handler = on_fault, .sa_flags = SA_NODEFER };

	setvbuf(stdout, NULL, _IOLBF, 0);
	nothing = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
	make_places();
	make_addresses();
	if (argc > 1 && strcmp(argv[1], "busy") == 0)
		get_busy();
	run("connect", try_connect);
	run("listen", try_listen);
	run("accept", try_accept);
	run("getpeername", try_getpeername);
	run("getsockopt", try_getsockopt);
	run("setsockopt", try_setsockopt);
	run("sendto", try_sendto);
	run("sendmsg", try_sendmsg);
	run("sendmmsg", try_sendmmsg);
	return different != 0;
}
