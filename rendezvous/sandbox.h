/* SPDX-License-Identifier: MIT */
/*
 * sandbox.h - what the rendezvous can still do while strangers talk to it
 */
#ifndef RENDEZVOUS_SANDBOX_H
#define RENDEZVOUS_SANDBOX_H

#include "conf/conf.h"

/**
 * rendezvous_sandbox() - its sockets, its store, its log, the file of allowed keys (SIGHUP reads it again) and,
 * where the relay is embedded, whatever that takes to be started again
 * @conf:	with absolute paths
 * Return: 0 or -errno, told
 */
int rendezvous_sandbox(const struct conf_rendezvous *conf);

#endif
