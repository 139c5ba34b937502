/* SPDX-License-Identifier: MIT */
/*
 * sandbox.c - what the rendezvous can still do while strangers talk to it
 *
 * An embedded relay is a child and so inherits all of this: its list of calls holds what a
 * program's start takes, and what the relay does and asks for in its own, narrower sandbox.
 * Without one no program is started, and no code loaded.
 */
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/sandbox.h"
#include "rendezvous/sandbox.h"

#define READ_FIXED 12	/* entries of the list below */

/* Names of hosts (redis://HOST), time zones, randomness; OpenSSL's settings for the relay */
static const char *const read_always[READ_FIXED] = {
	"/etc/resolv.conf", "/etc/hosts", "/etc/host.conf", "/etc/gai.conf", "/etc/nsswitch.conf", "/etc/services",
	"/etc/localtime", "/usr/share/zoneinfo", "/dev/urandom", "/dev/null", "/etc/ssl/openssl.cnf", "/usr/lib/ssl",
};

/* Its store, names of hosts, connecting back, its files */
static const char *const calls_alone[] = {
	"socket", "connect", "bind", "listen", "openat", "access", "faccessat", "faccessat2", "pread64",
	"readlink", "readlinkat",
	NULL,
};

static const char *const calls_with_relay[] = {
	"socket", "connect", "bind", "listen", "openat", "access", "faccessat", "faccessat2", "pread64", "signalfd4",
	/* the start of the relay */
	"pipe2", "clone", "clone3", "fork", "vfork", "execve", "wait4", "kill", "prctl", "dup2", "dup3", "getppid",
	"arch_prctl", "set_tid_address", "set_robust_list", "rseq", "readlink", "readlinkat", "getcwd", "getdents64",
	"epoll_create1", "timerfd_create", "setrlimit", "capget", "capset",
	/* its own sandbox and its work */
	"landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self", "seccomp", "splice", NULL,
};

/* The folder that this program and punch-relay are in. Return: @path, or NULL when it cannot be found out */
static const char *own_folder(char path[LIMIT_PATH])
{
	ssize_t size = readlink("/proc/self/exe", path, LIMIT_PATH - 1);

	if (size < 0)
		return NULL;
	path[size] = '\0';
	return dirname(path);
}

int rendezvous_sandbox(const struct conf_rendezvous *conf)
{
	char allow[LIMIT_PATH], target[PATH_MAX], folder[LIMIT_PATH], why[256];
	const char *read[READ_FIXED + 4], *log = getenv("PUNCH_LOG_FILE");
	const char *const write[] = { log && *log ? log : NULL, NULL };
	const char *const execute[] = {
		"/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/etc/ld.so.cache", "/etc/ld.so.preload",
		own_folder(folder), NULL,
	};
	const bool embedded = strcmp(conf->relay, "embedded") == 0;
	const struct sandbox sandbox = {
		.read = read, .execute = embedded ? execute : NULL, .write = write, .alone = true, .no_code = !embedded,
		.calls = embedded ? calls_with_relay : calls_alone,
	};
	unsigned int count = READ_FIXED;
	int err;

	memcpy(read, read_always, sizeof(read_always));
	if (strcmp(conf->allow, "any") != 0) {
		strcpy(allow, conf->allow);
		read[count++] = dirname(allow);		/* editors put a new file in the place of the old one */
		if (realpath(conf->allow, target))
			read[count++] = dirname(target);	/* where a symbolic link leads now */
	}
	if (embedded)
		read[count++] = conf->relay_secret;
	read[count] = NULL;
	err = sandbox_enter(&sandbox, why, sizeof(why));
	if (err)
		log_error("cannot confine this process: %s", why);
	else if (*why)
		log_info("confined, as far as the kernel can: %s", why);
	return err;
}
