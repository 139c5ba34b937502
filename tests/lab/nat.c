/* SPDX-License-Identifier: MIT */
/*
 * nat: one NAT box of the lab, in userspace, between TUN devices.
 *
 *	nat --ctl SOCKET [--log FILE] --outside NETNS IFNAME [OPTION=VALUE]...
 *	nat --ctl SOCKET --do 'COMMAND'
 *
 * NETNS is the path of a network namespace, e.g. /proc/123/ns/net; the options are those of
 * nat_conf.c. The box makes its TUN devices and leaves addresses and routes to the caller. Commands:
 *
 *	inside NETNS IFNAME ADDRESS...	put a host behind the box
 *	set OPTION=VALUE...		change options; connections live on
 *	flush				forget all mappings (the box was switched off and on)
 *	mappings			tell how many there are
 *	syns				tell how many SYNs came from inside
 */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "nat_core.h"
#include "nat_ctl.h"
#include "nat_tun.h"

/* Packets taken from one device before the others get their turn. */
#define BATCH 64

#define DELIMITERS " \t"

/* Every descriptor that the box waits on: control, outside, then the hosts. */
enum slot { SLOT_CTL, SLOT_OUTSIDE, SLOT_INSIDE, SLOTS = SLOT_INSIDE + NAT_INSIDE_MAX };

struct box {
	struct nat *nat;
	FILE *log;
	struct pollfd fds[SLOTS];
	unsigned int used; /* slots */
};

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * NAT_SECOND + (uint64_t)t.tv_nsec / 1000;
}

static void box_log(void *arg, const char *line)
{
	struct box *b = arg;

	fprintf(b->log, "%s\n", line);
}

static void box_send(void *arg, enum nat_side side, unsigned int host, const struct nat_pkt *p)
{
	struct box *b = arg;
	unsigned int slot = side == NAT_OUTSIDE ? SLOT_OUTSIDE : SLOT_INSIDE + host;
	int rc = slot < b->used ? nat_tun_write(b->fds[slot].fd, p) : -ENODEV;

	if (rc)
		fprintf(b->log, "%llu us: device %u took no packet of %u bytes: %s\n",
			(unsigned long long)now_us(), slot, p->len, strerror(-rc));
}

static void do_inside(struct box *b, char *rest, char *answer, size_t size)
{
	const char *netns, *name, *text;
	struct in6_addr addrs[NAT_INSIDE_ADDRS];
	unsigned int count = 0;
	char *save = NULL;
	int fd;

	netns = strtok_r(rest, DELIMITERS, &save);
	name = strtok_r(NULL, DELIMITERS, &save);
	while ((text = strtok_r(NULL, DELIMITERS, &save))) {
		if (count == NAT_INSIDE_ADDRS || nat_addr_parse(text, &addrs[count++])) {
			snprintf(answer, size, "error: \"%s\": no address, or more than %u", text,
				 NAT_INSIDE_ADDRS);
			return;
		}
	}
	if (!name || !count) {
		snprintf(answer, size, "error: expected: inside NETNS IFNAME ADDRESS...");
		return;
	}
	if (b->used == SLOTS) {
		snprintf(answer, size, "error: more than %u hosts", NAT_INSIDE_MAX);
		return;
	}
	fd = nat_tun_open(netns, name, nat_get_conf(b->nat)->offload);
	if (fd < 0) {
		snprintf(answer, size, "error: TUN \"%s\" in \"%s\": %s", name, netns, strerror(-fd));
		return;
	}
	b->fds[b->used++] = (struct pollfd){ .fd = fd, .events = POLLIN };
	nat_add_inside(b->nat, addrs, count);
	snprintf(answer, size, "ok");
}

static void do_set(struct box *b, char *rest, char *answer, size_t size)
{
	struct nat_conf c = *nat_get_conf(b->nat);
	char err[NAT_CTL_LINE / 2];
	const char *text;
	char *save = NULL;

	for (text = strtok_r(rest, DELIMITERS, &save); text; text = strtok_r(NULL, DELIMITERS, &save)) {
		if (nat_conf_set(&c, text, err, sizeof(err))) {
			snprintf(answer, size, "error: %s", err);
			return;
		}
	}
	nat_reconfigure(b->nat, &c);
	snprintf(answer, size, "ok");
}

static void box_command(void *arg, char *line, char *answer, size_t size)
{
	struct box *b = arg;
	char *rest = line + strcspn(line, DELIMITERS);

	if (*rest)
		*rest++ = '\0';
	if (!strcmp(line, "inside")) {
		do_inside(b, rest, answer, size);
	} else if (!strcmp(line, "set")) {
		do_set(b, rest, answer, size);
	} else if (!strcmp(line, "flush")) {
		nat_flush(b->nat);
		snprintf(answer, size, "ok");
	} else if (!strcmp(line, "mappings")) {
		snprintf(answer, size, "ok %u", nat_mappings(b->nat));
	} else if (!strcmp(line, "syns")) {
		snprintf(answer, size, "ok %llu", (unsigned long long)nat_syns(b->nat));
	} else {
		snprintf(answer, size, "error: \"%.100s\": expected inside, set, flush, mappings or syns", line);
	}
}

/* Take what a device has; a device that is gone is no longer waited for. */
static void box_receive(struct box *b, unsigned int slot)
{
	static uint8_t bytes[NAT_PKT_MAX];
	struct nat_pkt p = { .data = bytes };
	int rc = 0, i;

	for (i = 0; i < BATCH && !rc; i++) {
		rc = nat_tun_read(b->fds[slot].fd, &p);
		if (rc)
			break;
		if (slot == SLOT_OUTSIDE)
			nat_input(b->nat, NAT_OUTSIDE, 0, &p, now_us());
		else
			nat_input(b->nat, NAT_INSIDE, slot - SLOT_INSIDE, &p, now_us());
	}
	if (rc && rc != -EAGAIN && rc != -EIO) { /* EIO: the device is down, and may come up again */
		fprintf(b->log, "device %u: %s\n", slot, strerror(-rc));
		close(b->fds[slot].fd);
		b->fds[slot].fd = -1;
	}
}

static void box_loop(struct box *b)
{
	struct timespec wait;
	uint64_t next, now;
	unsigned int i;

	while (b->fds[SLOT_OUTSIDE].fd >= 0) {
		now = now_us();
		next = nat_run(b->nat, now);
		next = next <= now ? 0 : next - now;
		wait.tv_sec = (time_t)(next / NAT_SECOND);
		wait.tv_nsec = (long)(next % NAT_SECOND) * 1000;
		if (ppoll(b->fds, b->used, next > NAT_NEVER / 2 ? NULL : &wait, NULL) < 0)
			continue; /* EINTR: look at the time again */
		for (i = SLOT_OUTSIDE; i < b->used; i++)
			if (b->fds[i].fd >= 0 && b->fds[i].revents)
				box_receive(b, i);
		if (b->fds[SLOT_CTL].revents)
			nat_ctl_serve(b->fds[SLOT_CTL].fd, box_command, b);
	}
}

static int usage(void)
{
	fputs("usage: nat --ctl SOCKET [--log FILE] --outside NETNS IFNAME [OPTION=VALUE]...\n"
	      "       nat --ctl SOCKET --do 'COMMAND'\n", stderr);
	return 2;
}

/* Open what the box stands on. Returns 0, or -1 with a message printed. */
static int box_open(struct box *b, const char *ctl, const char *log, const char *netns,
		    const char *name, const struct nat_conf *c)
{
	const struct nat_ops ops = { .send = box_send, .log = box_log, .arg = b };
	int fd;

	b->log = log ? fopen(log, "ae") : stderr;
	if (!b->log) {
		fprintf(stderr, "nat: log \"%s\": %s\n", log, strerror(errno));
		return -1;
	}
	setvbuf(b->log, NULL, _IOLBF, 0);
	fd = nat_tun_open(netns, name, c->offload);
	if (fd < 0) {
		fprintf(stderr, "nat: TUN \"%s\" in \"%s\": %s\n", name, netns, strerror(-fd));
		return -1;
	}
	b->fds[SLOT_OUTSIDE] = (struct pollfd){ .fd = fd, .events = POLLIN };
	b->nat = nat_new(c, &ops, now_us());
	fd = nat_ctl_listen(ctl);
	if (fd < 0 || !b->nat) {
		fprintf(stderr, "nat: control socket \"%s\": %s\n", ctl, strerror(fd < 0 ? -fd : ENOMEM));
		return -1;
	}
	b->fds[SLOT_CTL] = (struct pollfd){ .fd = fd, .events = POLLIN };
	b->used = SLOT_INSIDE;
	return 0;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "ctl", required_argument, NULL, 'c' },
		{ "do", required_argument, NULL, 'd' },
		{ "log", required_argument, NULL, 'l' },
		{ "outside", required_argument, NULL, 'o' },
		{ NULL, 0, NULL, 0 },
	};
	const char *ctl = NULL, *log = NULL, *netns = NULL, *command = NULL;
	static struct box box;
	struct nat_conf conf;
	char err[NAT_CTL_LINE];
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'c')
			ctl = optarg;
		else if (c == 'd')
			command = optarg;
		else if (c == 'l')
			log = optarg;
		else if (c == 'o')
			netns = optarg;
		else
			return usage();
	}
	if (ctl && command)
		return nat_ctl_call(ctl, command);
	if (!ctl || !netns || optind == argc) /* the device's name is the first plain word */
		return usage();
	nat_conf_init(&conf);
	for (c = optind + 1; c < argc; c++) {
		if (nat_conf_set(&conf, argv[c], err, sizeof(err))) {
			fprintf(stderr, "nat: %s\n", err);
			return 2;
		}
	}
	signal(SIGPIPE, SIG_IGN);
	if (box_open(&box, ctl, log, netns, argv[optind], &conf))
		return 1;
	box_loop(&box);
	fprintf(box.log, "the outside device is gone: leaving\n");
	nat_free(box.nat);
	return 0;
}
