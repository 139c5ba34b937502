/* SPDX-License-Identifier: MIT */
/*
 * TUN devices, in any network namespace.
 *
 * With offload the kernel hands over TCP segments whole, their checksums unfinished; the header that
 * says so (struct virtio_net_hdr) is given back unchanged with the translated packet.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "nat_tun.h"

static int open_here(const char *name, bool offload)
{
	unsigned int features = offload ? TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 : 0;
	struct ifreq req;
	int fd, rc;

	fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	memset(&req, 0, sizeof(req));
	snprintf(req.ifr_name, sizeof(req.ifr_name), "%s", name);
	req.ifr_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR;
	if (ioctl(fd, TUNSETIFF, &req) || ioctl(fd, TUNSETOFFLOAD, features)) {
		rc = -errno;
		close(fd);
		return rc;
	}
	return fd;
}

int nat_tun_open(const char *netns, const char *name, bool offload)
{
	int home, there, rc;

	home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (home < 0)
		return -errno;
	there = open(netns, O_RDONLY | O_CLOEXEC);
	if (there < 0 || setns(there, CLONE_NEWNET)) {
		rc = -errno;
		goto out;
	}
	rc = open_here(name, offload);
	if (setns(home, CLONE_NEWNET)) { /* nothing sensible can follow in the wrong namespace */
		perror("nat: setns back");
		_exit(1);
	}
out:
	if (there >= 0)
		close(there);
	close(home);
	return rc;
}

int nat_tun_read(int fd, struct nat_pkt *p)
{
	struct iovec iov[2] = { { &p->vnet, sizeof(p->vnet) }, { p->data, NAT_PKT_MAX } };
	ssize_t n;

	do
		n = readv(fd, iov, 2);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	if ((size_t)n < sizeof(p->vnet))
		return -EBADFD;
	p->len = (uint32_t)((size_t)n - sizeof(p->vnet));
	p->vnet.flags &= VIRTIO_NET_HDR_F_NEEDS_CSUM; /* "verified" is not ours to repeat */
	return 0;
}

int nat_tun_write(int fd, const struct nat_pkt *p)
{
	struct virtio_net_hdr vnet = p->vnet;
	struct iovec iov[2] = { { &vnet, sizeof(vnet) }, { p->data, p->len } };
	ssize_t n;

	do
		n = writev(fd, iov, 2);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}
