/* SPDX-License-Identifier: MIT */
/*
 * allowed.c - whom the server serves now, and how that changes
 */
#include <errno.h>
#include <unistd.h>

#include "common/log.h"
#include "rendezvous/allow.h"
#include "rendezvous/allowed.h"
#include "rendezvous/limits.h"

static struct allow *list;
static const char *list_path;
static struct event *again;
static bool is_told;			/* that it cannot be read now */
static void (*list_changed)(void);

/* What the file says is wrong for as long as it says so; anything else may pass, and somebody is to be revoked by it */
static bool may_pass(int err)
{
	return err != -EINVAL && err != -E2BIG;
}

static void on_again(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval in = { .tv_sec = RDV_RELOAD_AGAIN / SECOND };
	struct allow *new;
	char why[512];
	int err;

	(void)fd;
	(void)what;
	(void)arg;
	err = allow_load(&new, list_path, why, sizeof(why));
	if (err && !is_told)
		log_error("%s; the old list stays%s", why, may_pass(err) ? ", until this one can be read" : "");
	is_told = err != 0;
	if (err && may_pass(err))
		evtimer_add(again, &in);
	if (err)
		return;
	allow_free(list);
	list = new;
	log_info("allow = %s: read again", list_path);
	list_changed();
}

int allowed_open(struct event_base *base, const char *path, void (*changed)(void))
{
	char why[512];
	int err = allow_load(&list, path, why, sizeof(why));

	if (err) {
		log_error("%s", why);
		return err;
	}
	list_path = path;
	list_changed = changed;
	again = evtimer_new(base, on_again, NULL);
	return again ? 0 : -ENOMEM;
}

void allowed_close(void)
{
	if (again)
		event_free(again);
	again = NULL;
	allow_free(list);
	list = NULL;
}

bool allowed_has(const uint8_t key[KEY_SIZE])
{
	return allow_has(list, key);
}

void allowed_reload(void)
{
	evtimer_del(again);
	is_told = false;
	on_again(-1, 0, NULL);
}

int allowed_check(void)
{
	struct allow *now;
	char why[512];
	int err = allow_load(&now, list_path, why, sizeof(why));

	if (err)
		log_error("%s: it could be read until all privileges were given up, and no longer: SIGHUP would revoke "
			  "nobody; uid %u, without capabilities, has to be able to read it",
			  why, (unsigned int)getuid());
	else
		allow_free(now);
	return err;
}
