/* SPDX-License-Identifier: MIT */
/*
 * ctl_text.h - words of punchctl's command line
 */
#ifndef PUNCH_CTL_TEXT_H
#define PUNCH_CTL_TEXT_H

#include <stdint.h>

#include "common/limits.h"

/** ctl_text_port() - decimal, 1 to 65535, nothing after it. Return: 0 or -EINVAL */
int ctl_text_port(const char *text, uint16_t *port);

/**
 * ctl_text_peer() - PEER[:PORT]; an IPv6 alias with a port in brackets
 * @port:	0 when the text has none
 * Return: 0 or -EINVAL
 */
int ctl_text_peer(const char *text, char peer[LIMIT_HOST], uint16_t *port);

#endif
