/* SPDX-License-Identifier: MIT */
/*
 * porter.c - the process that receives what other users pass
 *
 * Theory of operation
 *
 * One loop, poll(), a table of guests.  A guest is READING until his request has come, for LOCAL_PATIENCE at most; what
 * may be heard is handed in, and from then on packets go from the resolver to him until either hangs up.  An
 * answer that he does not take now is held, and no more are fetched: the resolver sees its own socket full, as it
 * would see his.
 *
 * Blocking is allowed here: it takes the time of this user alone.  The resolver sees that its connections are not
 * fetched any more, and ends us (porters.c).  In a process that ends the kernel waits for no SO_LINGER.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <openssl/crypto.h>

#include "common/clock.h"
#include "common/log.h"
#include "resolver/local_internal.h"
#include "resolver/porter.h"
#include "resolver/process.h"
#include "resolver/sandbox.h"

/* of one user; each has two descriptors here, and those in READING make room for new ones */
#define PORTER_GUESTS	256
#define PORTER_IDLE_MS	10000	/* without a guest: a user who asks again soon finds us there */

/**
 * struct guest - one connection
 * @alone:	the resolver has closed its copy; before, ours must not be: then its close() would be the last, and wait
 * @inner:	to the resolver; -1: READING
 * @shown:	what came with a CLAIM_PARKED, until the answer is here; -1
 * @held:	@held_size bytes that he does not take now, with @held_pass; NULL
 */
struct guest {
	int fd, inner, shown;
	bool alone;
	uint64_t since;
	unsigned char *held;
	size_t held_size;
	int held_pass;
};

static struct {
	uint8_t token[LOCAL_TOKEN];
	struct guest guests[PORTER_GUESTS + 1];	/* oldest first; one too many leaves as soon as it may */
	unsigned int count;
	uint32_t handled;
} porter;

_Static_assert(sizeof(struct local_reply) <= LOCAL_PACKET, "a reply is a packet");

static void close_it(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void guest_remove(unsigned int i)
{
	struct guest guest = porter.guests[i];

	porter.count--;
	memmove(&porter.guests[i], &porter.guests[i + 1], (porter.count - i) * sizeof(guest));
	close_it(&guest.inner);		/* first: it may be a dial to be cancelled, and the others may block */
	close_it(&guest.held_pass);
	free(guest.held);
	close_it(&guest.shown);
	close_it(&guest.fd);
}

/* ------------------------------------------------------------ out */

/* Send on, or hold. Return: false when he is gone. Takes @pass along */
static bool pass_on(struct guest *guest, const void *data, size_t size, int pass)
{
	int rc = local_send(guest->fd, data, size, pass);

	if (rc == -EAGAIN || rc == -ENOBUFS) {
		guest->held = malloc(size);
		if (guest->held) {
			memcpy(guest->held, data, size);
			guest->held_size = size;
			guest->held_pass = pass;
			return true;
		}
	}
	close_it(&pass);
	return rc == 0;
}

static bool pass_held(struct guest *guest)
{
	unsigned char *held = guest->held;
	int pass = guest->held_pass;
	bool there;

	guest->held = NULL;
	guest->held_pass = -1;
	there = pass_on(guest, held, guest->held_size, pass);
	free(held);
	return there;
}

/* Before the answer: the reset that woke the program is not to be seen after it, and what it closes then is closed */
static void settle(struct guest *guest, const void *data, ssize_t size)
{
	struct local_reply reply;
	int error;
	socklen_t length = sizeof(error);

	if (size == (ssize_t)sizeof(reply)) {
		memcpy(&reply, data, sizeof(reply));
		if (reply.status == LOCAL_FAILED && reply.error != EINPROGRESS)
			getsockopt(guest->shown, SOL_SOCKET, SO_ERROR, &error, &length);
	}
	close_it(&guest->shown);
}

/* The resolver has said something. Return: false when all is said */
static bool fetch(struct guest *guest)
{
	unsigned char packet[LOCAL_PACKET];
	int pass;
	ssize_t n = local_recv(guest->inner, packet, sizeof(packet), &pass);

	if (n == -EAGAIN)
		return true;
	if (guest->shown >= 0)
		settle(guest, packet, n);
	if (n > 0)
		return pass_on(guest, packet, (size_t)n, pass);
	close_it(&pass);
	return false;
}

/* ------------------------------------------------------------ in */

enum local_status porter_refusal(const struct local_request *in)
{
	static const uint8_t none[LOCAL_TOKEN];

	/* A token of another resolver of our user, perhaps: the client is to look further */
	return memcmp(in->token, none, LOCAL_TOKEN) ? LOCAL_OTHER_CONFIG : LOCAL_DENIED;
}

static void refuse(const struct guest *guest, const struct local_request *in)
{
	struct local_reply reply;

	memset(&reply, 0, sizeof(reply));
	reply.magic = LOCAL_MAGIC;
	reply.status = porter_refusal(in);
	reply.error = EACCES;
	local_send(guest->fd, &reply, sizeof(reply), -1);
}

/* Return: false when it cannot be */
static bool hand_in(struct guest *guest, const struct porter_request *out, int pass)
{
	int ends[2], rc;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0)
		return false;
	guest->inner = ends[1];
	rc = local_send(guest->inner, out, sizeof(*out), pass);
	if (rc == 0)
		rc = local_send(PORTER_LINK_FD, "", 1, ends[0]);
	close(ends[0]);
	return rc == 0;
}

/* Return: false when he is not to stay */
static bool hear(struct guest *guest)
{
	struct porter_request out;
	bool trusted, claims, stays;
	int pass;
	ssize_t n;

	memset(&out, 0, sizeof(out));
	n = local_recv(guest->fd, &out.in, sizeof(out.in), &pass);
	if (n == -EAGAIN)
		return true;
	stays = local_is_request(&out.in, n);
	trusted = stays && CRYPTO_memcmp(out.in.token, porter.token, LOCAL_TOKEN) == 0;
	claims = stays && (out.in.kind == LOCAL_CLAIM_PARKED || out.in.kind == LOCAL_CLAIM_DOORBELL);
	if (stays && !trusted && !(claims && pass >= 0)) {
		refuse(guest, &out.in);
		stays = false;
	}
	if (stays && claims) {
		proof_take(pass, PORTER_LINK_FD, &out.proof);
		if (out.in.kind == LOCAL_CLAIM_PARKED) {
			guest->shown = pass;
			pass = -1;
		}
		close_it(&pass);
	}
	stays = stays && hand_in(guest, &out, pass);
	OPENSSL_cleanse(&out, sizeof(out));
	close_it(&pass);
	return stays;
}

/* Nothing may follow a request: this is his end, or a program out of step. Return: false then */
static bool is_still_there(const struct guest *guest)
{
	char byte;
	int pass;
	ssize_t n = local_recv(guest->fd, &byte, sizeof(byte), &pass);

	close_it(&pass);
	return n == -EAGAIN;
}

static bool guest_turn(struct guest *guest, short events, short inner)
{
	if (!guest->alone)
		return true;
	if (events & POLLOUT && guest->held && !pass_held(guest))
		return false;
	if (events & ~POLLOUT && !(guest->inner < 0 ? hear(guest) : is_still_there(guest)))
		return false;
	return !inner || guest->held || guest->inner < 0 || fetch(guest);
}

/* ------------------------------------------------------------ the loop */

/* All that are here are ours alone. Where they are too many, the oldest who has said nothing
 * leaves: the last at the latest */
static void take_over(void)
{
	unsigned int i;

	for (i = 0; i < porter.count; i++)
		porter.guests[i].alone = true;
	for (i = 0; porter.count > PORTER_GUESTS && i < porter.count; i++) {
		if (porter.guests[i].inner < 0)
			guest_remove(i);
	}
}

static void fetch_guest(void)
{
	char word = PORTER_CONNECTION;
	int fd;
	ssize_t n = local_recv(PORTER_LINK_FD, &word, sizeof(word), &fd);

	if (n == -EAGAIN)
		return;
	if (n == 0 || (n < 0 && n != -EMFILE))
		_exit(0);	/* without a word to our guests: the resolver has gone */
	take_over();
	porter.handled += word == PORTER_CONNECTION;
	if (fd >= 0)
		porter.guests[porter.count++] = (struct guest){
			.fd = fd, .inner = -1, .shown = -1, .held_pass = -1, .since = clock_now(),
		};
}

/* Return: ms until somebody in READING has used his time up, or until we are idle; -1 none */
static int expire(void)
{
	uint64_t now = clock_now(), limit = LOCAL_PATIENCE_S * SECOND;
	unsigned int i = 0;

	while (i < porter.count && (porter.guests[i].inner >= 0 || !porter.guests[i].alone ||
				    now - porter.guests[i].since >= limit)) {
		if (porter.guests[i].inner < 0 && porter.guests[i].alone)
			guest_remove(i);
		else
			i++;
	}
	if (i < porter.count)
		return (int)((porter.guests[i].since + limit - now) / MS) + 1;
	return porter.count ? -1 : PORTER_IDLE_MS;
}

static unsigned int watch(struct pollfd *polls)
{
	unsigned int i;

	polls[0] = (struct pollfd){ .fd = PORTER_LINK_FD, .events = POLLIN };
	for (i = 0; i < porter.count; i++) {
		const struct guest *guest = &porter.guests[i];

		polls[2 * i + 1] = (struct pollfd){
			.fd = guest->alone ? guest->fd : -1, .events = guest->held ? POLLIN | POLLOUT : POLLIN,
		};
		polls[2 * i + 2] = (struct pollfd){ .fd = guest->held ? -1 : guest->inner, .events = POLLIN };
	}
	return 2 * porter.count + 1;
}

/* @patience: ms to wait for something to do */
static void turn(int patience)
{
	struct pollfd polls[2 * (PORTER_GUESTS + 1) + 1];
	struct porter_idle idle;
	unsigned int i;
	int ready = poll(polls, watch(polls), patience);

	if (ready == 0 && !porter.count) {
		idle.handled = porter.handled;
		local_send(PORTER_LINK_FD, &idle, sizeof(idle), -1);
	}
	/* From the end: those who leave move only those who had their turn */
	for (i = ready > 0 ? porter.count : 0; i-- > 0;) {
		if (!guest_turn(&porter.guests[i], polls[2 * i + 1].revents, polls[2 * i + 2].revents))
			guest_remove(i);
	}
	if (ready > 0 && polls[0].revents)
		fetch_guest();
}

void porter_run(void)
{
	const char up = PORTER_UP;
	int pass;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	process_title("punch-porter", "punch-porter");
	sandbox_porter();
	if (local_recv(PORTER_LINK_FD, porter.token, LOCAL_TOKEN, &pass) != LOCAL_TOKEN)
		_exit(0);	/* the resolver has gone */
	local_send(PORTER_LINK_FD, &up, sizeof(up), -1);
	for (;;)
		turn(expire());
}
