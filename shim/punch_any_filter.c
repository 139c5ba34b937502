/* SPDX-License-Identifier: MIT */
/*
 * punch_any_filter.c - which system calls stop and ask
 *
 * A filter sees numbers, not what pointers point to.  So each connect() asks, those
 * to Unix sockets too, but of getsockopt() only SO_ERROR, of setsockopt() only TCP_DEFER_ACCEPT, of
 * sendto(), sendmsg() and sendmmsg() only MSG_FASTOPEN.  All else passes at the price of a few instructions.
 * Calls of another machine's numbers (32-bit programs) pass: a stand-in address leads nowhere.
 *
 * SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (Linux 5.19) would keep signals from a call once it was received. It is for
 * the whole filter, and a connect() or accept() that blocks is held in it: no signal would end these any more.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "shim/punch_any_filter.h"
#include "shim/raw.h"

#if defined(__x86_64__)
#define OWN_ARCH	AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define OWN_ARCH	AUDIT_ARCH_AARCH64
#elif defined(__riscv)
#define OWN_ARCH	AUDIT_ARCH_RISCV64
#elif defined(__powerpc64__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define OWN_ARCH	AUDIT_ARCH_PPC64LE
#else
#define OWN_ARCH	0	/* not known: nothing would ask */
#endif

#define FIELD(name)	((uint32_t)offsetof(struct seccomp_data, name))
#define LOW_HALF	(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? 0 : 4)

struct writer {
	struct sock_filter *program;
	unsigned int count;
};

static void write_step(struct writer *w, unsigned int code, uint32_t k, unsigned int yes, unsigned int no)
{
	struct sock_filter step = BPF_JUMP((uint16_t)code, k, (uint8_t)yes, (uint8_t)no);

	w->program[w->count++] = step;
}

static void load(struct writer *w, uint32_t offset)
{
	write_step(w, BPF_LD | BPF_W | BPF_ABS, offset, 0, 0);
}

static void answer(struct writer *w, uint32_t action)
{
	write_step(w, BPF_RET | BPF_K, action, 0, 0);
}

static void load_argument(struct writer *w, unsigned int n)
{
	load(w, FIELD(args) + n * (uint32_t)sizeof(uint64_t) + LOW_HALF);
}

/* The number is loaded */
static void ask_for(struct writer *w, long number)
{
	write_step(w, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)number, 0, 1);
	answer(w, SECCOMP_RET_USER_NOTIF);
}

/* Only this option of this level */
static void ask_for_option(struct writer *w, long number, int level, int name)
{
	write_step(w, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)number, 0, 6);
	load_argument(w, 1);
	write_step(w, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)level, 0, 3);
	load_argument(w, 2);
	write_step(w, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)name, 0, 1);
	answer(w, SECCOMP_RET_USER_NOTIF);
	answer(w, SECCOMP_RET_ALLOW);
}

/* Only with this flag in argument @n */
static void ask_for_flag(struct writer *w, long number, unsigned int n, uint32_t flag)
{
	write_step(w, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)number, 0, 4);
	load_argument(w, n);
	write_step(w, BPF_JMP | BPF_JSET | BPF_K, flag, 0, 1);
	answer(w, SECCOMP_RET_USER_NOTIF);
	answer(w, SECCOMP_RET_ALLOW);
}

unsigned int filter_build(struct sock_filter program[FILTER_MOST], bool serving)
{
	struct writer w = { .program = program };

	load(&w, FIELD(arch));
	write_step(&w, BPF_JMP | BPF_JEQ | BPF_K, OWN_ARCH, 1, 0);
	answer(&w, SECCOMP_RET_ALLOW);
	load(&w, FIELD(nr));
	ask_for(&w, SYS_connect);
	ask_for(&w, SYS_getpeername);
	ask_for_option(&w, SYS_getsockopt, SOL_SOCKET, SO_ERROR);
	ask_for_flag(&w, SYS_sendto, 3, MSG_FASTOPEN);
	ask_for_flag(&w, SYS_sendmsg, 2, MSG_FASTOPEN);
	ask_for_flag(&w, SYS_sendmmsg, 3, MSG_FASTOPEN);
	ask_for(&w, SYS_io_uring_setup);
	if (serving) {
		ask_for(&w, SYS_listen);
#ifdef SYS_accept
		ask_for(&w, SYS_accept);
#endif
		ask_for(&w, SYS_accept4);
		ask_for_option(&w, SYS_setsockopt, IPPROTO_TCP, TCP_DEFER_ACCEPT);
	}
	answer(&w, SECCOMP_RET_ALLOW);
	return w.count;
}

int filter_install(bool serving)
{
	struct sock_filter program[FILTER_MOST];
	struct sock_fprog given = { .filter = program };
	int rc;

	if (OWN_ARCH == 0)
		return -ENOSYS;
	given.len = (unsigned short)filter_build(program, serving);
	/* with CAP_SYS_ADMIN it goes without no_new_privs, and set-uid programs stay what they are */
	rc = (int)raw_result(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &given));
	if (rc != -EACCES)
		return rc;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	return (int)raw_result(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &given));
}
