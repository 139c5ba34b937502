/* SPDX-License-Identifier: MIT */
/*
 * sandbox.c - what each process of the resolver can still do while strangers and gateways talk to it
 */
#include "resolver/sandbox.h"

#include <errno.h>
#include <string.h>
#include <sys/prctl.h>

#include "common/drop.h"
#include "common/log.h"
#include "common/sandbox.h"

/* What no resolver does. Children inherit it: what a program's start and their own sandboxes take is not here */
static const char *const refused[] = {
	/* other processes; pidfd_open, pidfd_getfd and kill stay */
#ifndef __SANITIZE_ADDRESS__	/* its leak checker traces this process */
	"ptrace",
#endif
	"process_vm_readv", "process_vm_writev", "kcmp", "migrate_pages", "move_pages",
	/* the file system's shape, and files past their paths */
	"mount", "umount2", "mount_setattr", "move_mount", "open_tree", "fsopen", "fsconfig", "fsmount", "fspick",
	"pivot_root", "chroot", "name_to_handle_at", "open_by_handle_at", "mknod", "mknodat", "swapon", "swapoff",
	"quotactl", "quotactl_fd", "fanotify_init",
	/* namespaces; clone() is seen to by sandbox_refuse() */
	"unshare", "setns",
	/* the kernel's richest interfaces */
	"bpf", "perf_event_open", "userfaultfd", "io_uring_setup", "io_uring_enter", "io_uring_register", "keyctl",
	"add_key", "request_key", "init_module", "finit_module", "delete_module", "kexec_load", "kexec_file_load",
	"lookup_dcookie", "modify_ldt", "personality", "uselib", "iopl", "ioperm", "vm86", "vm86old",
	/* code from memory */
	"memfd_create", "memfd_secret", "execveat", "pkey_mprotect", "shmget", "shmat",
	/* the machine */
	"reboot", "syslog", "acct", "sethostname", "setdomainname", "settimeofday", "clock_settime", "clock_adjtime",
	"adjtimex", "stime", "vhangup",
	/* other users */
	"setuid", "setgid", "setreuid", "setregid", "setresuid", "setresgid", "setfsuid", "setfsgid", "setgroups",
	"chown", "fchown", "lchown", "fchownat", NULL,
};

static void tell(int err, const char *why)
{
	if (err)
		log_info("not all of the sandbox can be had here: %s", why);
	else if (*why)
		log_debug("confined, as far as the kernel can: %s", why);
}

void sandbox_resolver(void)
{
	char why[256] = "no_new_privs";
	int err = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ? -errno : sandbox_refuse(refused, why, sizeof(why));

	tell(err, why);
}

static void enter(const struct sandbox *sandbox)
{
	char why[256] = "no_new_privs";
	int err;

#ifdef __SANITIZE_ADDRESS__	/* its leak checker reads /proc, forks and traces: it has none of that in here */
	return;
#endif
	log_keep();
	err = drop_privileges();
	tell(err ? err : sandbox_enter(sandbox, why, sizeof(why)), why);
}

void sandbox_pump(void)
{
	static const uint16_t no_ports[] = { 0 };
	static const struct sandbox sandbox = { .bind = no_ports, .connect = no_ports, .alone = true, .no_code = true };

	enter(&sandbox);
}

void sandbox_mapper(void)
{
	/* select() and alarm() have other names on newer machines: those of the list that there are */
	static const char *const calls[] = {
		"connect", "bind", "select", "_newselect", "pselect6", "alarm", "setitimer", NULL,
	};
	static const uint16_t no_ports[] = { 0 };
	static const struct sandbox sandbox = {
		.bind = no_ports, .alone = true, .no_code = true, .internet = true, .calls = calls,
	};

	enter(&sandbox);
}

void sandbox_porter(void)
{
	static const char *const calls[] = { "socketpair", NULL };
	static const uint16_t no_ports[] = { 0 };
	static const struct sandbox sandbox = {
		.bind = no_ports, .connect = no_ports, .alone = true, .no_code = true, .calls = calls,
	};

	enter(&sandbox);
}
