/* SPDX-License-Identifier: MIT */
/*
 * pending.c - sockets of the program that wait for their peer
 *
 * Theory of operation
 *
 * A connect() to a peer takes a few round trips, and it is the program's own
 * business how it waits for that: in connect(), in poll(), in epoll, in another
 * process.  So the program's socket is made to wait truly.  The resolver *parks* it: connects
 * it to a listener on loopback that drops SYNs.  It is in SYN_SENT then, and everything the
 * program can ask of it is answered by the kernel: EINPROGRESS,
 * EALREADY, ENOTCONN, no event in poll.  When the path is there the resolver lets
 * that connection be established; when it failed, shuts it down.  Either wakes the program.
 *
 * What the program holds then is still only a connection to the resolver, the
 * *placeholder*.  Its next question about it (getsockopt SO_ERROR, getpeername,
 * another connect; each client program that was traced asks one of these) *claims*
 * the real socket, or the real error, and puts it in place.
 *
 * A connect() that blocks is the same thing: parked, then waited for in the
 * kernel's connect(), which on a socket in SYN_SENT just waits.  So a signal
 * interrupts it, or restarts it, exactly as POSIX has it; SO_SNDTIMEO counts; after EINTR the
 * socket goes on connecting and poll() tells when it is done; and a handler
 * that leaves by siglongjmp() leaves nothing behind.
 *
 *	PARKED ----> CLAIMING ----> (removed; the peer's socket is in place)
 *	   ^            |   \  `---> (removed; the program has undone it itself)
 *	   +------------+    +----> FAILED ----> (removed; the program was told)
 *
 * Writing to the placeholder before asking is allowed: then it must
 * stay, for the bytes are in it, and the resolver splices it to the peer.  So it does
 * where a swap would lose registrations with epoll, or finds no descriptor free (swap_possible()).
 */
#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/standin.h"
#include "shim/ask.h"
#include "shim/env.h"
#include "shim/fdtable.h"
#include "shim/libc.h"
#include "shim/names.h"
#include "shim/pending.h"
#include "shim/raw.h"
#include "shim/swap.h"

/* In the kernel's numbers (include/net/tcp_states.h) */
enum { STATE_ESTABLISHED = 1, STATE_SYN_SENT = 2, STATE_SYN_RECV = 3, STATE_CLOSE = 7 };

enum pending_state {
	PENDING_STATE_PARKED,	/* the resolver has it; may be claimed */
	PENDING_STATE_CLAIMING,	/* a thread is asking the resolver; others wait for it */
	PENDING_STATE_FAILED,	/* the error is in the entry, for the next one to ask */
};

#define STATE_SHIFT	REMOTE_BITS
#define ERROR_SHIFT	(REMOTE_BITS + 2)
#define REMOTE_MASK	((1ull << REMOTE_BITS) - 1)

/*
 * A socket that is never asked about would make this process look for it for
 * ever.  The kernel gives SYN_SENT up after 127 s (tcp_syn_retries = 6).
 */
#define FORGET_AFTER	(150 * SECOND)
#define RESET_LIMIT_NS	50000000	/* a turn of the resolver's loop, below 1 ms, lies in between */
#define CLAIM_PAUSE_NS	200000	/* between looks at another thread's claim, which takes about 0.2 ms */

static struct fdtable parked;
_Atomic(uint32_t) pending_alive;
static _Atomic(uint64_t) horizon;	/* when the youngest of them is forgotten, monotonic microseconds */

/* Cookies of sockets that are being parked; two that fall on one place wait for each other */
#define TURNS		256
#define TURN_LIMIT	(20 * SECOND)	/* a resolver's start takes 10 s at most, its answer ASK_TIMEOUT_MS */
static _Atomic(uint64_t) turns[TURNS];

/* A bit for each descriptor that was parked: a hint, which pending_settle() takes back */
#define NUMBERS		4096	/* higher descriptors have none */
static _Atomic(uint64_t) numbers[NUMBERS / 64];

static const char *const state_names[] = { "parked", "claiming", "failed" };

_Static_assert(sizeof(state_names) / sizeof(state_names[0]) == PENDING_STATE_FAILED + 1, "one name for each state");

static uint64_t entry_of(uint64_t remote, enum pending_state state, int error)
{
	return (remote & REMOTE_MASK) | (uint64_t)state << STATE_SHIFT | (uint64_t)error << ERROR_SHIFT;
}

static enum pending_state state_of(uint64_t entry)
{
	return (enum pending_state)(entry >> STATE_SHIFT & 3);
}

/* Every edge but the first and the last goes through here. Return: false when another thread was faster */
static bool set_state(uint64_t cookie, uint64_t entry, enum pending_state to, int error)
{
	enum pending_state from = state_of(entry);
	bool allowed = from == PENDING_STATE_PARKED ? to == PENDING_STATE_CLAIMING :
		       from == PENDING_STATE_CLAIMING && to != PENDING_STATE_CLAIMING;

	if (!allowed || !fdtable_change(&parked, cookie, entry, entry_of(entry, to, error)))
		return false;
	log_debug("socket %llu: %s -> %s", (unsigned long long)cookie, state_names[from], state_names[to]);
	return true;
}

uint64_t pending_turn(int fd)
{
	const struct timespec pause = { .tv_nsec = CLAIM_PAUSE_NS };
	uint64_t cookie = raw_cookie(fd), until = 0, nobody;

	for (;;) {
		nobody = 0;
		/* of a number that is no socket the kernel says what is wrong */
		if (!cookie || atomic_compare_exchange_strong(&turns[cookie % TURNS], &nobody, cookie))
			return cookie;
		if (!until)
			until = clock_now() + TURN_LIMIT;
		if (clock_now() >= until) {	/* we are a child, forked in the midst of it */
			atomic_store(&turns[cookie % TURNS], cookie);
			return cookie;
		}
		syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &pause, NULL);
	}
}

void pending_turn_over(uint64_t turn)
{
	if (turn)
		atomic_compare_exchange_strong(&turns[turn % TURNS], &(uint64_t){ turn }, 0);
}

static void number_set(int fd, bool on)
{
	if (fd < 0 || fd >= NUMBERS)
		return;
	if (on)
		atomic_fetch_or_explicit(&numbers[fd / 64], 1ull << fd % 64, memory_order_relaxed);
	else
		atomic_fetch_and_explicit(&numbers[fd / 64], ~(1ull << fd % 64), memory_order_relaxed);
}

bool pending_may_be(int fd)
{
	return fd >= 0 && fd < NUMBERS && pending_any() &&
	       (atomic_load_explicit(&numbers[fd / 64], memory_order_relaxed) >> fd % 64 & 1);
}

bool pending_has(int fd)
{
	int errno_kept = errno;
	uint64_t cookie = raw_cookie(fd), entry;

	errno = errno_kept;
	if (fdtable_get(&parked, cookie, &entry))
		return true;
	number_set(fd, false);
	return false;
}

void pending_add(int fd, const struct remote *remote)
{
	number_set(fd, true);
	fdtable_put(&parked, raw_cookie(fd), entry_of(remote_pack(remote), PENDING_STATE_PARKED, 0));
	atomic_fetch_add(&pending_alive, 1);
	atomic_store(&horizon, clock_now() + env_timeout_ms() * MS + FORGET_AFTER);
}

bool pending_is_fresh(void)
{
	if (clock_now() < atomic_load(&horizon))
		return true;
	atomic_store(&pending_alive, 0);
	return false;
}

static void forget(uint64_t cookie)
{
	uint32_t before = atomic_load(&pending_alive);

	if (!fdtable_remove(&parked, cookie))
		return;		/* another thread has counted it */
	while (before && !atomic_compare_exchange_weak(&pending_alive, &before, before - 1))
		;
}

void pending_forget_cookie(uint64_t cookie)
{
	uint64_t entry;

	if (fdtable_get(&parked, cookie, &entry))
		forget(cookie);
}

void pending_forget(int fd)
{
	pending_forget_cookie(raw_cookie(fd));
}

/* @written: the program has sent bytes already. Return: TCP state, or -errno */
static int tcp_state(int fd, bool *written)
{
	struct tcp_info info;
	socklen_t size = sizeof(info);
	int rc;

	memset(&info, 0, sizeof(info));
	rc = raw_getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size);
	*written = info.tcpi_bytes_sent > 0 || info.tcpi_notsent_bytes > 0;
	return rc < 0 ? rc : info.tcpi_state;
}

/*
 * Has the program undone it, with shutdown()?  Then the socket is a fresh one, of which the kernel knows all: it has
 * forgotten, too, that it sent anything.  Linux forgets that since 5.6; before, a socket is told by not being
 * shut, oddly, from one that was reset or gave up, unless it was shut twice.  To ask SO_ERROR would take
 * that from the program
 */
static bool is_undone(int fd)
{
	const struct timespec now = { 0 };
	struct pollfd pollfd = { .fd = fd, .events = POLLRDHUP };
	struct tcp_info info;
	socklen_t size = sizeof(info);

	memset(&info, 0, sizeof(info));
	if (raw_getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 && info.tcpi_segs_out == 0)
		return true;
	return raw_result(syscall(SYS_ppoll, &pollfd, 1, &now, NULL, RAW_SIGSET_SIZE)) != 1 ||
	       !(pollfd.revents & POLLRDHUP);
}

/*
 * The resolver cannot be asked, and establishes a connection that failed a moment before it resets it. That what the
 * peer sends has ended is no reset
 */
static bool is_reset_soon(int fd)
{
	const struct timespec limit = { .tv_nsec = RESET_LIMIT_NS };
	struct pollfd pollfd = { .fd = fd };

	return raw_result(syscall(SYS_ppoll, &pollfd, 1, &limit, NULL, RAW_SIGSET_SIZE)) == 1;
}

/* The placeholder stays: bytes are in it, or it has been spliced already */
static enum pending_answer keep_placeholder(int fd, uint64_t cookie, uint64_t entry)
{
	struct remote remote = remote_unpack(entry);

	log_debug("socket %llu: stays a placeholder, to be spliced", (unsigned long long)cookie);
	remote_put(fd, &remote, false);
	forget(cookie);
	return PENDING_DONE;
}

/*
 * The placeholder becomes what a socket is after a connect() that failed: it
 * may have been connected for a moment, and has an error of its own to tell.
 */
static enum pending_answer fail(int fd, uint64_t cookie, uint64_t entry, int problem, int *error)
{
	const struct sockaddr none = { .sa_family = AF_UNSPEC };

	raw_connect(fd, &none, sizeof(none));
	raw_sockopt_int(fd, SOL_SOCKET, SO_ERROR);
	*error = problem;
	set_state(cookie, entry, PENDING_STATE_FAILED, problem);
	return PENDING_FAILED;
}

/* Who waits in connect() tries once more with the next resolver (dial.c), before anybody is told */
static const char call_blocking[] = "connect() that blocks";

static enum pending_answer leave_undone(uint64_t cookie)
{
	forget(cookie);
	return PENDING_NOT;
}

/* The resolver cannot say: it died, or it knows nothing of this socket any more */
static enum pending_answer settle_alone(int fd, uint64_t cookie, uint64_t entry, int state, const char *call,
					int *error)
{
	int problem;

	if (state != STATE_CLOSE)
		return keep_placeholder(fd, cookie, entry);
	if (call != call_blocking && is_undone(fd))	/* the kernel's connect() undoes what failed, too */
		return leave_undone(cookie);
	problem = raw_sockopt_int(fd, SOL_SOCKET, SO_ERROR);
	if (problem != ETIMEDOUT)
		problem = ECONNABORTED;		/* what the kernel says is about loopback: ECONNREFUSED, ECONNRESET */
	if (call != call_blocking)
		log_error("%s: punch-resolver went away while it was connecting; try again",
			  names_label(remote_unpack(entry).slot));
	return fail(fd, cookie, entry, problem, error);
}

static enum pending_answer take(int fd, int fresh, uint64_t cookie, uint64_t entry, int *error)
{
	struct remote remote = remote_unpack(entry);
	int rc = swap_socket(fd, fresh);

	if (rc == -EINTR) {
		set_state(cookie, entry, PENDING_STATE_PARKED, 0);
		return PENDING_CONNECTING;
	}
	if (rc < 0) {
		log_error("cannot put a connected socket in its place: %s", strerror(-rc));
		return fail(fd, cookie, entry, -rc, error);
	}
	remote_put(fd, &remote, false);
	forget(cookie);
	return PENDING_DONE;
}

/* This thread alone claims: @entry is CLAIMING. @state: of TCP, neither SYN_SENT nor SYN_RECV */
static enum pending_answer claim(int fd, uint64_t cookie, uint64_t entry, int state, const char *call, int *error)
{
	struct local_request request;
	struct local_reply reply;
	int fresh, rc;

	ask_request(&request, config_get(), LOCAL_CLAIM_PARKED);
	/* what waits in connect() is hardly in a set of epoll yet */
	request.copy = !swap_possible(call != call_blocking);
	rc = ask(&request, fd, ASK_RUNNING, &reply, &fresh);
	if (rc == 0 && reply.status == LOCAL_OK && fresh >= 0)
		return take(fd, fresh, cookie, entry, error);
	if (fresh >= 0)
		raw_close(fresh);
	if ((rc == -EMFILE || rc == -ENFILE) && (!request.copy || state == STATE_CLOSE || is_reset_soon(fd)))
		return fail(fd, cookie, entry, -rc, error);
	if (rc < 0 || reply.status != LOCAL_FAILED)
		return settle_alone(fd, cookie, entry, state, call, error);
	if (reply.error == EINPROGRESS && state != STATE_CLOSE) {
		set_state(cookie, entry, PENDING_STATE_PARKED, 0);
		return PENDING_CONNECTING;
	}
	/* or the kernel gave up before the resolver had any answer: the program's TCP_SYNCNT, TCP_USER_TIMEOUT */
	if (reply.error == EINPROGRESS)
		return is_undone(fd) ? leave_undone(cookie) : fail(fd, cookie, entry, ETIMEDOUT, error);
	log_error("%s", reply.text);
	return fail(fd, cookie, entry, reply.error > 0 ? reply.error : EHOSTUNREACH, error);
}

/* Another thread claims: wait until it has done */
static void await_claim(uint64_t cookie)
{
	const struct timespec pause = { .tv_nsec = CLAIM_PAUSE_NS };
	uint64_t until = clock_now() + ASK_TIMEOUT_MS * MS, entry;

	do {
		if (!fdtable_get(&parked, cookie, &entry) || state_of(entry) != PENDING_STATE_CLAIMING)
			return;
		syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &pause, NULL);
	} while (clock_now() < until);
	set_state(cookie, entry, PENDING_STATE_PARKED, 0);	/* we are a child, forked in the midst of it */
}

enum pending_answer pending_take(int fd, int fresh, int *error)
{
	uint64_t cookie = raw_cookie(fd), entry;

	if (!fdtable_get(&parked, cookie, &entry) || !set_state(cookie, entry, PENDING_STATE_CLAIMING, 0)) {
		raw_close(fresh);
		return PENDING_NOT;
	}
	return take(fd, fresh, cookie, entry_of(entry, PENDING_STATE_CLAIMING, 0), error);
}

enum pending_answer pending_settle(int fd, const char *call, int *error)
{
	enum pending_answer answer;
	uint64_t cookie, entry;
	bool written;
	int state;

	for (;;) {
		cookie = raw_cookie(fd);
		if (!fdtable_get(&parked, cookie, &entry)) {
			number_set(fd, false);
			return PENDING_NOT;
		}
		if (state_of(entry) == PENDING_STATE_FAILED) {
			*error = (int)(entry >> ERROR_SHIFT);
			return PENDING_FAILED;
		}
		if (state_of(entry) == PENDING_STATE_CLAIMING) {
			await_claim(cookie);
			continue;
		}
		state = tcp_state(fd, &written);
		if (state == STATE_SYN_SENT || state == STATE_SYN_RECV)
			return PENDING_CONNECTING;
		if (written && state != STATE_CLOSE)
			return keep_placeholder(fd, cookie, entry);
		if (!set_state(cookie, entry, PENDING_STATE_CLAIMING, 0))
			continue;
		answer = claim(fd, cookie, entry_of(entry, PENDING_STATE_CLAIMING, 0), state, call, error);
		if (answer == PENDING_DONE)
			log_debug("socket %llu: claimed by %s", (unsigned long long)cookie, call);
		return answer;
	}
}

int pending_getsockopt(int fd, void *value, socklen_t *size)
{
	enum pending_answer answer = PENDING_NOT;
	struct guard guard;
	int error = 0;

	if (raw_plausible(value) && raw_plausible(size)) {
		guard_enter(&guard);
		answer = pending_settle(fd, "getsockopt(SO_ERROR)", &error);
		if (answer == PENDING_FAILED && (int)*size >= 0)
			pending_forget(fd);
		guard_leave(&guard);
	}
	if (answer != PENDING_FAILED || (int)*size < 0)
		return libc_getsockopt(fd, SOL_SOCKET, SO_ERROR, value, size);
	if (*size > (socklen_t)sizeof(error))
		*size = sizeof(error);
	memcpy(value, &error, *size);
	return 0;
}

bool pending_connected(int fd)
{
	enum pending_answer answer;
	struct guard guard;
	int error;

	guard_enter(&guard);
	answer = pending_settle(fd, "getpeername()", &error);
	guard_leave(&guard);
	if (answer == PENDING_FAILED)	/* its placeholder may still be connected, to the resolver */
		errno = ENOTCONN;
	return answer != PENDING_FAILED;
}

/*
 * The address is the stand-in's, never the one the program gave: should the
 * socket have failed in this very moment, this connect() is a fresh one,
 * and must not go to a real host. To a stand-in it fails with ENETUNREACH.
 */
static int wait_natively(int fd, uint32_t slot)
{
	int domain = raw_sockopt_int(fd, SOL_SOCKET, SO_DOMAIN) == AF_INET6 ? AF_INET6 : AF_INET, size;
	struct sockaddr_storage ss;
	struct endpoint ep;

	standin_endpoint(&ep, domain, slot, 1);
	size = endpoint_to_sockaddr(&ep, domain, &ss);
	return libc_connect(fd, (struct sockaddr *)&ss, (socklen_t)size);
}

int pending_wait(int fd, uint32_t slot, bool first)
{
	int errno_kept = errno, error = 0, problem = wait_natively(fd, slot) < 0 ? errno : 0;
	enum pending_answer answer;
	struct guard guard;

	if (problem == EINTR || problem == EALREADY) {
		if (problem == EALREADY && first)		/* SO_SNDTIMEO */
			errno = EINPROGRESS;
		return -1;
	}
	guard_enter(&guard);
	answer = pending_settle(fd, call_blocking, &error);
	if (answer == PENDING_DONE)
		remote_acknowledge(fd);
	if (answer == PENDING_FAILED)
		pending_forget(fd);
	guard_leave(&guard);
	errno = errno_kept;
	/* NOT: another thread has settled it, or undone it */
	if (answer == PENDING_DONE || (answer == PENDING_NOT && (!problem || problem == EISCONN)))
		return 0;
	if (problem == ENETUNREACH)	/* it was a fresh one when wait_natively() came to it */
		problem = ECONNRESET;	/* as the kernel has it for who waits */
	errno = answer == PENDING_FAILED ? error : answer == PENDING_NOT ? problem : EINPROGRESS;
	return -1;
}
