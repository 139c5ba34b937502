/* SPDX-License-Identifier: MIT */
/*
 * live.c - the real servers on loopback, as seen by a client
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/frame.h"
#include "common/tls.h"
#include "tests/unit/live.h"

void live_folder(char path[64])
{
	strcpy(path, "/tmp/punch-live-XXXXXX");
	if (!mkdtemp(path))
		abort();
}

void live_folder_remove(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;

	while (dir && (entry = readdir(dir)))
		unlinkat(dirfd(dir), entry->d_name, 0);
	if (dir)
		closedir(dir);
	rmdir(path);
}

const char *live_path(const char *folder, const char *name)
{
	static char paths[8][256];
	static unsigned int next;
	char *path = paths[next++ % 8];

	snprintf(path, 256, "%s/%s", folder, name);
	return path;
}

void live_write(const char *folder, const char *name, const char *text)
{
	int fd = open(live_path(folder, name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		abort();
	close(fd);
}

static uint32_t random_number(void)
{
	uint32_t number;

	if (getrandom(&number, sizeof(number), 0) != sizeof(number))
		abort();
	return number;
}

/* Below the ephemeral range (32768 and above), whose ports any connection may take at any moment */
uint16_t live_port(void)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd, err;

	do {
		sin.sin_port = htons((uint16_t)(10000 + random_number() % 22000));
		fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (fd < 0)
			abort();
		err = bind(fd, (struct sockaddr *)&sin, sizeof(sin));
		close(fd);
	} while (err);
	return ntohs(sin.sin_port);
}

/* build/tests/unit/test_x -> build/NAME */
static void program_path(char path[512], const char *name)
{
	ssize_t size = readlink("/proc/self/exe", path, 400);

	if (size < 0)
		abort();
	path[size] = '\0';
	for (int i = 0; i < 3; i++)
		*strrchr(path, '/') = '\0';
	strcat(path, "/");
	strcat(path, name);
}

static void child_run(const char *name, char *const argv[], const char *state, int out,
		      unsigned int descriptors)
{
	struct rlimit limit = { descriptors, descriptors };
	char path[512];
	int err;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setenv("STATE_DIRECTORY", state, 1);
	err = open(live_path(state, "log"), O_WRONLY | O_CREAT | O_APPEND, 0600);
	if (dup2(out, 1) < 0 || dup2(err, 2) < 0)
		_exit(126);
	close(err);
	if (descriptors && setrlimit(RLIMIT_NOFILE, &limit))
		_exit(126);
	if (name)
		program_path(path, name);
	execvp(name ? path : argv[0], argv);
	_exit(127);
}

bool live_start(struct program *program, const char *name, char *const argv[], const char *state,
		const char *until, unsigned int descriptors)
{
	uint64_t deadline = clock_now() + LIVE_WAIT_S * SECOND;
	size_t have = 0;
	struct pollfd pfd;
	ssize_t n = 1;
	int out[2];

	if (pipe2(out, O_CLOEXEC))
		abort();
	program->pid = fork();
	if (!program->pid)
		child_run(name, argv, state, out[1], descriptors);
	close(out[1]);
	pfd = (struct pollfd){ .fd = out[0], .events = POLLIN };
	program->said[0] = '\0';
	while (n > 0 && clock_now() < deadline && !strstr(program->said, until)) {
		if (poll(&pfd, 1, 100) <= 0)
			continue;
		n = read(out[0], program->said + have, sizeof(program->said) - 1 - have);
		have += n > 0 ? (size_t)n : 0;
		program->said[have] = '\0';
	}
	close(out[0]);
	return strstr(program->said, until) != NULL;
}

static bool has_ended(void *arg)
{
	int *pid_status = arg;
	pid_t pid = waitpid(pid_status[0], &pid_status[1], WNOHANG);

	return pid == pid_status[0] || (pid < 0 && errno == ECHILD);
}

int live_stop(struct program *program)
{
	int pid_status[2] = { program->pid, 0 };

	if (program->pid <= 0)
		return -1;
	kill(program->pid, SIGTERM);
	if (!live_until(has_ended, pid_status)) {
		kill(program->pid, SIGKILL);
		waitpid(program->pid, NULL, 0);
		pid_status[1] = 1;	/* died by a signal */
	}
	program->pid = 0;
	return WIFEXITED(pid_status[1]) ? WEXITSTATUS(pid_status[1]) : -1;
}

/* The scheduler's own sum in ns; utime and stime of /proc/PID/stat are guessed from ticks */
unsigned int live_cpu_ms(pid_t pid)
{
	unsigned long long ns = 0;
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/schedstat", pid);
	f = fopen(path, "re");
	if (!f || fscanf(f, "%llu", &ns) != 1)
		abort();
	fclose(f);
	return (unsigned int)(ns / 1000000);
}

bool live_until(bool (*condition)(void *arg), void *arg)
{
	uint64_t deadline = clock_now() + LIVE_WAIT_S * SECOND;

	while (!condition(arg)) {
		if (clock_now() > deadline)
			return false;
		poll(NULL, 0, 5);
	}
	return true;
}

bool live_log_has(const char *folder, const char *text)
{
	static char log[1 << 20];
	FILE *f = fopen(live_path(folder, "log"), "re");
	size_t n;

	if (!f)
		return false;
	n = fread(log, 1, sizeof(log) - 1, f);
	fclose(f);
	log[n] = '\0';
	return strstr(log, text) != NULL;
}

/* What /proc/PID/status says behind "NAME:", and whether it says it at all */
static bool status_field(pid_t pid, const char *name, char value[64])
{
	size_t size = strlen(name);
	char path[64], line[256];
	bool found = false;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	f = fopen(path, "re");
	if (!f)
		abort();
	while (!found && fgets(line, sizeof(line), f))
		found = !strncmp(line, name, size) && line[size] == ':' && sscanf(line + size + 1, "%63s", value) == 1;
	fclose(f);
	return found;
}

unsigned int live_rss_kib(pid_t pid)
{
	char value[64];

	return status_field(pid, "VmRSS", value) ? (unsigned int)strtoul(value, NULL, 10) : 0;
}

bool live_is_confined(pid_t pid)
{
	static const char *const fields[][2] = {
		{ "NoNewPrivs", "1" }, { "Seccomp", "2" }, { "CapEff", "0000000000000000" },
	};
	char value[64];

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		if (!status_field(pid, fields[i][0], value) || strcmp(value, fields[i][1]))
			return false;
	}
	return true;
}

int live_filters(pid_t pid)
{
	char value[64];

	return status_field(pid, "Seccomp_filters", value) ? atoi(value) : -1;
}

unsigned int live_descriptors(pid_t pid)
{
	struct dirent *entry;
	unsigned int count = 0;
	char path[64];
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	dir = opendir(path);
	if (!dir)
		abort();
	while ((entry = readdir(dir)))
		count += entry->d_name[0] != '.';
	closedir(dir);
	return count;
}

int live_connect(const char *address, uint16_t port)
{
	return live_connect_from(NULL, address, port);
}

int live_reads;

int live_connect_from(const char *from, const char *address, uint16_t port)
{
	const int on = 1;
	const struct timeval wait = { .tv_sec = LIVE_WAIT_S };
	struct sockaddr_storage ss;
	struct endpoint ep, source;
	int fd, len;

	if (endpoint_parse(&ep, address, port))
		abort();
	len = endpoint_to_sockaddr(&ep, ep.family, &ss);
	fd = socket(ep.family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
	if (live_reads)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &live_reads, sizeof(live_reads));
	if (from) {
		struct sockaddr_storage local;

		if (endpoint_parse(&source, from, 0))
			abort();
		/* The port is chosen with the destination known: any number of addresses have all their ports */
		setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
		if (bind(fd, (struct sockaddr *)&local,
			 (socklen_t)endpoint_to_sockaddr(&source, ep.family, &local)))
			abort();
	}
	if (connect(fd, (struct sockaddr *)&ss, (socklen_t)len)) {
		close(fd);
		return -1;
	}
	return fd;
}

bool live_send(int fd, const ProtobufCMessage *message)
{
	uint8_t *frame;
	ssize_t size = frame_pack(message, &frame);
	bool ok = size > 0 && send(fd, frame, (size_t)size, MSG_NOSIGNAL) == size;

	free(frame);
	return ok;
}

ProtobufCMessage *live_recv(int fd, const ProtobufCMessageDescriptor *type)
{
	uint8_t frame[FRAME_HEADER + LIMIT_FRAME];
	ssize_t size;

	if (recv(fd, frame, FRAME_HEADER, MSG_WAITALL) != FRAME_HEADER)
		return NULL;
	size = frame_size(frame, FRAME_HEADER);
	if (size < 0 || recv(fd, frame + FRAME_HEADER, (size_t)size - FRAME_HEADER, MSG_WAITALL) !=
	    size - FRAME_HEADER)
		return NULL;
	return frame_unpack(type, frame, (size_t)size);
}

const char *live_http(uint16_t port)
{
	static const char request[] = "GET /metrics HTTP/1.0\r\nHost: localhost\r\n\r\n";
	static char answer[16384];
	int fd = live_connect("127.0.0.1", port);
	size_t have = 0;
	ssize_t n = 0;

	if (fd >= 0 && send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL) > 0)
		while ((n = recv(fd, answer + have, sizeof(answer) - 1 - have, 0)) > 0)
			have += (size_t)n;
	answer[have] = '\0';
	if (fd >= 0)
		close(fd);
	return answer;
}

long long live_metric(uint16_t port, const char *name)
{
	const char *line = live_http(port);
	size_t size = strlen(name);

	while ((line = strchr(line, '\n'))) {
		line++;
		if (!strncmp(line, name, size) && line[size] == ' ')
			return atoll(line + size);
	}
	return -1;
}

/* ---------------------------------------------------------------- a node */

bool node_connect(struct node *node, const char *address, uint16_t port)
{
	if (!node->key.private && key_generate(&node->key))
		return false;
	node->fd = live_connect_from(node->from, address, port);
	if (node->fd < 0)
		return false;
	node->ctx = tls_context(&node->key, false);
	node->ssl = node->ctx ? SSL_new(node->ctx) : NULL;
	if (node->ssl && SSL_set_fd(node->ssl, node->fd) == 1 && SSL_connect(node->ssl) == 1)
		return true;
	node_close(node);
	return false;
}

void node_close(struct node *node)
{
	SSL_free(node->ssl);
	SSL_CTX_free(node->ctx);
	if (node->fd > 0)
		close(node->fd);
	node->ssl = NULL;
	node->ctx = NULL;
	node->fd = -1;
}

void node_free(struct node *node)
{
	node_close(node);
	key_wipe(&node->key);
}

bool node_write(struct node *node, const void *data, size_t size)
{
	size_t written = 0;

	while (size > 0) {
		if (SSL_write_ex(node->ssl, data, size, &written) != 1)
			return false;
		data = (const char *)data + written;
		size -= written;
	}
	return true;
}

bool node_send(struct node *node, const Punch__Message *message)
{
	uint8_t *frame;
	ssize_t size = frame_pack(&message->base, &frame);
	bool ok = size > 0 && node_write(node, frame, (size_t)size);

	free(frame);
	return ok;
}

static bool read_whole(struct node *node, uint8_t *out, size_t size)
{
	size_t n;

	for (; size > 0; out += n, size -= n)
		if (SSL_read_ex(node->ssl, out, size, &n) != 1)
			return false;
	return true;
}

Punch__Message *node_recv(struct node *node)
{
	uint8_t frame[FRAME_HEADER + LIMIT_FRAME];
	ssize_t size;

	if (!node->ssl || !read_whole(node, frame, FRAME_HEADER))
		return NULL;
	size = frame_size(frame, FRAME_HEADER);
	if (size < 0 || !read_whole(node, frame + FRAME_HEADER, (size_t)size - FRAME_HEADER))
		return NULL;
	return (Punch__Message *)frame_unpack(&punch__message__descriptor, frame, (size_t)size);
}

Punch__Message *node_hello(struct node *node, const char *address, uint16_t port, bool receive)
{
	Punch__Message message = PUNCH__MESSAGE__INIT, *welcome;
	char software[] = "live test";
	Punch__Hello hello;

	punch__hello__init(&hello);
	hello.version = PROTOCOL_VERSION;
	hello.software = software;
	hello.receive = receive;
	message.kind_case = PUNCH__MESSAGE__KIND_HELLO;
	message.hello = &hello;
	if (!node_connect(node, address, port) || !node_send(node, &message))
		return NULL;
	welcome = node_recv(node);
	if (welcome && welcome->kind_case == PUNCH__MESSAGE__KIND_WELCOME)
		return welcome;
	if (welcome)
		punch__message__free_unpacked(welcome, NULL);
	return NULL;
}
