/* SPDX-License-Identifier: MIT */
/*
 * netcache.c - what was found out about a network, for the next time that we are there
 *
 * Only what takes seconds or minutes to find out and rarely changes: all of it is measured anew all the same, and
 * what is measured counts. It is a cache: a file that cannot be read is as good as none, and of two
 * resolvers that write at one time one wins.
 */
#include "resolver/netcache.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common/file.h"
#include "common/secret.h"
#include "resolver/hops.h"

#define NETWORKS	32		/* remembered at one time */
#define NETCACHE_AGE	(7 * 86400u)	/* s */
#define NETCACHE_BYTES	8192		/* of the file: 32 networks of less than 100 bytes */

/* ---------------------------------------------------------------- which network */

/* Of the route to the Internet: gateway's address (0: none) and interface. Return: 0 or -errno */
static int default_route(struct in_addr *gateway, int *index)
{
	struct {
		struct nlmsghdr head;
		struct rtmsg route;
		struct rtattr attribute;
		uint8_t to[4];
	} ask = {
		.head = { .nlmsg_len = sizeof(ask), .nlmsg_type = RTM_GETROUTE, .nlmsg_flags = NLM_F_REQUEST },
		.route = { .rtm_family = AF_INET, .rtm_dst_len = 32 },
		.attribute = { .rta_len = RTA_LENGTH(4), .rta_type = RTA_DST },
		.to = { 198, 41, 0, 4 },	/* a root server, as in reach.c; no packet goes there */
	};
	union {
		struct nlmsghdr head;
		uint8_t bytes[4096];
	} in;
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE), left;
	struct rtattr *a;
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = send(fd, &ask, sizeof(ask), 0) < 0 ? -1 : recv(fd, &in, sizeof(in), 0);
	close(fd);
	if (n < 0 || !NLMSG_OK(&in.head, (size_t)n) || in.head.nlmsg_type != RTM_NEWROUTE)
		return -ENETUNREACH;
	left = (int)RTM_PAYLOAD(&in.head);
	for (a = RTM_RTA(NLMSG_DATA(&in.head)); RTA_OK(a, left); a = RTA_NEXT(a, left)) {
		if (a->rta_type == RTA_GATEWAY && RTA_PAYLOAD(a) == 4)
			memcpy(gateway, RTA_DATA(a), 4);
		else if (a->rta_type == RTA_OIF && RTA_PAYLOAD(a) == sizeof(*index))
			memcpy(index, RTA_DATA(a), sizeof(*index));
	}
	return 0;
}

/* Six bytes; zero where it is not known */
static void hardware_address(const struct in_addr *gateway, int index, uint8_t out[6])
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_addr = *gateway };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct arpreq ask;

	memset(out, 0, 6);
	memset(&ask, 0, sizeof(ask));
	memcpy(&ask.arp_pa, &sin, sizeof(sin));
	if (fd < 0)
		return;
	if (if_indextoname((unsigned int)index, ask.arp_dev) && ioctl(fd, SIOCGARP, &ask) == 0)
		memcpy(out, ask.arp_ha.sa_data, 6);
	close(fd);
}

int netcache_key(uint8_t key[NETCACHE_KEY], const struct endpoint *public)
{
	uint8_t text[4 + 6 + 6] = { 0 }, hash[HASH_SIZE];
	struct in_addr gateway = { 0 };
	int index = 0, err = default_route(&gateway, &index);

	if (err)
		return err;
	memcpy(text, &gateway, 4);
	hardware_address(&gateway, index, text + 4);
	memcpy(text + 10, public->address, public->family == AF_INET ? 3 : 6);
	err = secret_hash(text, sizeof(text), hash);
	if (!err)
		memcpy(key, hash, NETCACHE_KEY);
	return err;
}

/* ---------------------------------------------------------------- the file */

/* Return: NULL when there is none, or no valid one */
static Punch__SavedNetworks *cache_read(const char *path)
{
	uint8_t data[NETCACHE_BYTES + 1];
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	Punch__SavedNetworks *saved;
	ssize_t n;
	size_t i;

	if (fd < 0)
		return NULL;
	n = read(fd, data, sizeof(data));
	close(fd);
	if (n < 0 || n > NETCACHE_BYTES)
		return NULL;
	saved = punch__saved_networks__unpack(NULL, (size_t)n, data);
	for (i = 0; saved && i < saved->n_networks; i++) {
		if (saved->networks[i]->key.len == NETCACHE_KEY && saved->networks[i]->nat)
			continue;
		punch__saved_networks__free_unpacked(saved, NULL);
		return NULL;
	}
	return saved;
}

static int cache_write(const char *path, const Punch__SavedNetworks *saved)
{
	uint8_t data[NETCACHE_BYTES];
	size_t size = punch__saved_networks__get_packed_size(saved);

	if (size > sizeof(data))
		return -E2BIG;
	punch__saved_networks__pack(saved, data);
	file_make_folders(path);
	return file_replace(path, data, size);
}

int netcache_load(const char *path, const uint8_t key[NETCACHE_KEY], uint64_t now_s, struct description *facts)
{
	Punch__SavedNetworks *saved = cache_read(path);
	int err = -ENOENT;
	size_t i;

	for (i = 0; saved && i < saved->n_networks && err; i++) {
		const Punch__SavedNetwork *network = saved->networks[i];
		const Punch__NatFacts *nat = network->nat;

		if (memcmp(network->key.data, key, NETCACHE_KEY) || network->seen_s > now_s ||
		    now_s - network->seen_s > NETCACHE_AGE)
			continue;
		if ((unsigned int)nat->filtering > PUNCH__FILTERING__FILTERING_SYN_ACK_ONLY ||
		    (unsigned int)network->stray_syn > PUNCH__STRAY_SYN__STRAY_SYN_ICMP ||
		    (unsigned int)network->hairpin > PUNCH__HAIRPIN__HAIRPIN_YES || nat->hops > HOPS_MAX)
			continue;
		facts->filtering = nat->filtering;
		facts->stray_syn = network->stray_syn;
		facts->hairpin = network->hairpin;
		facts->lifetime = nat->lifetime;
		facts->hops = nat->hops;
		err = 0;
	}
	if (saved)
		punch__saved_networks__free_unpacked(saved, NULL);
	return err;
}

int netcache_save(const char *path, const uint8_t key[NETCACHE_KEY], uint64_t now_s, const struct description *facts)
{
	Punch__SavedNetworks *old = cache_read(path), out = PUNCH__SAVED_NETWORKS__INIT;
	Punch__SavedNetwork own = PUNCH__SAVED_NETWORK__INIT, *list[NETWORKS] = { &own };
	Punch__NatFacts nat = PUNCH__NAT_FACTS__INIT;
	size_t i, count = 1;
	int err;

	own.key = convert_bytes(key, NETCACHE_KEY);
	own.seen_s = now_s;
	own.nat = &nat;
	nat.filtering = (Punch__Filtering)facts->filtering;
	own.stray_syn = (Punch__StraySyn)facts->stray_syn;
	own.hairpin = (Punch__Hairpin)facts->hairpin;
	nat.lifetime = facts->lifetime;
	nat.hops = facts->hops;
	/* The newest stands first, so the oldest falls out at the end */
	for (i = 0; old && i < old->n_networks && count < NETWORKS; i++)
		if (memcmp(old->networks[i]->key.data, key, NETCACHE_KEY))
			list[count++] = old->networks[i];
	out.networks = list;
	out.n_networks = count;
	err = cache_write(path, &out);
	if (old)
		punch__saved_networks__free_unpacked(old, NULL);
	return err;
}
