/* SPDX-License-Identifier: MIT */
/* TUN devices, in any network namespace. */
#ifndef LAB_NAT_TUN_H
#define LAB_NAT_TUN_H

#include "nat_pkt.h"

/**
 * nat_tun_open() - Make a TUN device
 * @netns:	path of a network namespace, e.g. /proc/123/ns/net
 * @name:	name of the device there
 * @offload:	let TCP segments of up to 64 KiB through
 *
 * Return: non-blocking descriptor, to be closed, which takes the device with it; or -errno.
 */
int nat_tun_open(const char *netns, const char *name, bool offload);

/**
 * nat_tun_read() - Take a packet
 * @fd:	descriptor
 * @p:	packet; its data points to NAT_PKT_MAX bytes
 *
 * Return: 0; -EAGAIN if there is none; another -errno if the device is gone.
 */
int nat_tun_read(int fd, struct nat_pkt *p);

/**
 * nat_tun_write() - Hand a packet to the kernel
 * @fd:	descriptor
 * @p:	packet
 *
 * Return: 0 or -errno.
 */
int nat_tun_write(int fd, const struct nat_pkt *p);

#endif
