/* SPDX-License-Identifier: MIT */
/*
 * rtt.c - round-trip time of a TCP connection, as the kernel measured it
 *
 * A file of its own because glibc's <netinet/tcp.h> does not know tcpi_min_rtt and
 * cannot be included together with the kernel's <linux/tcp.h>.
 */
#include <linux/tcp.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "common/rtt.h"

uint32_t rtt_us(int fd)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);

	memset(&info, 0, sizeof(info));
	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len))
		return 0;
	/* Before the first sample the kernel says "all ones" */
	if (info.tcpi_min_rtt && info.tcpi_min_rtt != UINT32_MAX)
		return info.tcpi_min_rtt;
	return info.tcpi_rtt;
}
