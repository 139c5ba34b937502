/* SPDX-License-Identifier: MIT */
/*
 * keepalive.c - keep NATs from forgetting a connection that its program leaves idle
 *
 * RFC 5382, REQ-5, wants 2 h 4 min for an idle connection; carriers and clouds give four minutes and
 * less.  The kernel's own keepalive, set on the bare socket, holds the mapping open without any process of ours:
 * a probe goes out after @idle seconds of silence, the far kernel's answer comes back, and both pass
 * every NAT of the path.
 *
 * It must not make a connection more fragile than it was.  The system's default gives a silent far end up after
 * tcp_keepalive_time + intvl * probes, 2 h 11 min; with probes as often as ours and the default
 * count a broken line would end an idle login after minutes.  So the count is raised until it
 * takes as long as the default.
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "resolver/keepalive.h"

/* Half of 4 min, the shortest lifetime of an established connection in wide use (clouds, carriers): a lost
 * probe is made up for by the next */
#define KEEPALIVE_DEFAULT	120
#define KEEPALIVE_LEAST		10	/* s: a NAT below 20 s breaks more than idle logins */
#define KEEPALIVE_PROBES_MOST	127	/* the kernel's own limit */

unsigned int keepalive_idle(unsigned int setting, uint32_t lifetime)
{
	unsigned int half = lifetime / 2;

	if (setting == CONF_KEEPALIVE_NO)
		return 0;
	if (setting != CONF_KEEPALIVE_AUTO)
		return setting;
	if (!lifetime || half > KEEPALIVE_DEFAULT)
		return KEEPALIVE_DEFAULT;
	return half < KEEPALIVE_LEAST ? KEEPALIVE_LEAST : half;
}

static int option(int fd, int name)
{
	int value = 0;
	socklen_t size = sizeof(value);

	return getsockopt(fd, IPPROTO_TCP, name, &value, &size) < 0 ? 0 : value;
}

void keepalive_set(int fd, unsigned int idle)
{
	int on = 1, wait = (int)idle, probes;
	int patience = option(fd, TCP_KEEPIDLE) + option(fd, TCP_KEEPINTVL) * option(fd, TCP_KEEPCNT);

	if (!idle)
		return;
	/* Idle first, then one wait less than probes: the last one has its wait, too */
	probes = patience / wait - 1;
	if (probes < 1)
		probes = 1;
	if (probes > KEEPALIVE_PROBES_MOST)
		probes = KEEPALIVE_PROBES_MOST;
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &wait, sizeof(wait));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &wait, sizeof(wait));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
}
