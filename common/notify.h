/* SPDX-License-Identifier: MIT */
/*
 * notify.h - tell a service manager that this service is there
 */
#ifndef PUNCH_NOTIFY_H
#define PUNCH_NOTIFY_H

/**
 * notify_ready() - sd_notify(3)'s READY=1: from here on clients can connect, and units ordered after this one start
 *
 * To be called before privileges are dropped and a sandbox is entered: it makes a socket.  NOTIFY_SOCKET is taken out
 * of the environment, for it was not meant for children; without it nothing happens.
 *
 * Return: 0 or -errno (nobody was told: the manager will give up on this service, so it should be logged)
 */
int notify_ready(void);

#endif
