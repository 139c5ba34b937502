/* SPDX-License-Identifier: MIT */
/*
 * rtt.h - round-trip time of a TCP connection, as the kernel measured it
 */
#ifndef PUNCH_RTT_H
#define PUNCH_RTT_H

#include <stdint.h>

/**
 * rtt_us() - smallest round-trip time of the last 5 minutes (tcp_min_rtt_wlen), us
 * The smoothed value of a connection that mostly is silent holds the far end's delayed
 * acknowledgements; it serves only where there is no minimum.
 * Return: 0 when nothing was measured yet, or @fd is no TCP socket
 */
uint32_t rtt_us(int fd);

#endif
