/* SPDX-License-Identifier: MIT */
/*
 * env.c - what the environment said when the library was loaded
 *
 * Everything lives in one static arena: no allocation, and a program touches
 * one page of it, for each page touched costs its start a microsecond.
 */
#include <dlfcn.h>
#include <errno.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "common/limits.h"
#include "common/log.h"
#include "conf/conf_env.h"
#include "shim/env.h"

/* Three paths, the secret, and the rest; a PATH that does not fit is left out */
#define ARENA_SIZE	(5 * LIMIT_PATH)

static struct {
	bool on;
	bool any;
	uint32_t timeout_ms;
	uint32_t route;
	unsigned int count;
	char *kept[ENV_KEPT + 1];
	const char *resolver;
	size_t used;
	char arena[ARENA_SIZE];
} state;

/* Without these the resolver would not find its state, its files or the right words */
static const char *const also[] = { "HOME=", "PATH=", "USER=", "LOGNAME=", "TZ=", "LANG=", "STATE_DIRECTORY=" };

static bool wanted(const char *variable)
{
	const char *value;
	unsigned int i;

	/* most variables are none of these, as their first letter tells: this runs for each, at each start */
	if (!strchr("PXHULTS", variable[0]))
		return false;
	value = strchr(variable, '=');
	if (!value || !value[1])
		return false;
	if (strncmp(variable, "PUNCH_", 6) == 0 || strncmp(variable, "XDG_", 4) == 0)
		return true;
	for (i = 0; i < sizeof(also) / sizeof(also[0]); i++) {
		if (strncmp(variable, also[i], strlen(also[i])) == 0)
			return true;
	}
	return false;
}

/* Join up to three texts as one more variable; dropped when there is no room */
static void keep(const char *a, const char *b, const char *c)
{
	size_t la = strlen(a), lb = strlen(b), lc = strlen(c);
	char *to = state.arena + state.used;

	if (state.count == ENV_KEPT || la + lb + lc + 1 > sizeof(state.arena) - state.used)
		return;
	memcpy(to, a, la);
	memcpy(to + la, b, lb);
	memcpy(to + la + lb, c, lc + 1);
	state.used += la + lb + lc + 1;
	state.kept[state.count++] = to;
}

/* The names of files are kept as absolute ones */
static void keep_variable(const char *variable)
{
	static const char conf[] = "PUNCH_CONF=", file[] = "PUNCH_LOG_FILE=";
	const char *prefix = strncmp(variable, conf, sizeof(conf) - 1) == 0 ? conf :
			     strncmp(variable, file, sizeof(file) - 1) == 0 ? file : NULL;
	char folder[LIMIT_PATH];

	if (!prefix || variable[strlen(prefix)] == '/' || !getcwd(folder, sizeof(folder) - 1)) {
		keep(variable, "", "");
		return;
	}
	strcat(folder, "/");
	variable += strlen(prefix);
	keep(prefix, folder, variable);
}

static void keep_all(bool punch)
{
	char **variable;

	for (variable = environ; variable && *variable; variable++) {
		if (wanted(*variable) && (strncmp(*variable, "PUNCH_", 6) == 0) == punch)
			keep_variable(*variable);
	}
}

/* The folder of this library, with a slash at its end, absolute. Return: its bytes, 0 when unknown */
static size_t library_folder(char folder[LIMIT_PATH])
{
	const char *slash;
	size_t size = 0;
	Dl_info info;

	if (!dladdr(&state, &info) || !info.dli_fname)
		return 0;
	slash = strrchr(info.dli_fname, '/');
	if (info.dli_fname[0] != '/') {
		if (!getcwd(folder, LIMIT_PATH - 1))
			return 0;
		size = strlen(folder);
		folder[size++] = '/';
	}
	if (slash) {
		size_t own = (size_t)(slash - info.dli_fname) + 1;

		if (size + own >= LIMIT_PATH)
			return 0;
		memcpy(folder + size, info.dli_fname, own);
		size += own;
	}
	folder[size] = '\0';
	return size;
}

/*
 * @folder: of the one who asks, or NULL for this library's.
 * Where it was built the resolver lies beside the library; installed, the
 * library is in PREFIX/lib/punch and the programs in PREFIX/bin.
 */
static void find_resolver(const char *folder)
{
	static const char installed[] = "/lib/punch/", there[] = "/bin/", name[] = "punch-resolver";
	char *path = state.arena;
	size_t size, tail = sizeof(installed) - 1;

	if (folder) {
		size = strlen(folder);
		memcpy(path, folder, size < LIMIT_PATH ? size + 1 : 0);
	} else {
		size = library_folder(path);
	}
	if (!size || size + sizeof(name) > LIMIT_PATH)
		return;
	if (size >= tail && strcmp(path + size - tail, installed) == 0) {
		size -= tail;
		memcpy(path + size, there, sizeof(there));
		size += sizeof(there) - 1;
	}
	memcpy(path + size, name, sizeof(name));
	state.resolver = path;
	state.used = size + sizeof(name);
}

void env_init(const char *folder)
{
	int errno_kept = errno;
	char why[256];
	bool understood;

	if (getauxval(AT_SECURE))
		return;
	find_resolver(folder);
	keep_all(true);		/* ours first, should the room end */
	keep_all(false);
	understood = log_init("punch", env_get("PUNCH_LOG"), env_get("PUNCH_LOG_FILE")) == 0;
	if (!understood)
		log_warn("PUNCH_LOG = \"%s\": should be error, warn, info or debug; using warn", env_get("PUNCH_LOG"));
	log_never_wait();
	state.timeout_ms = conf_env_timeout_ms(env_get, why, sizeof(why));
	if (*why)
		log_warn("%s", why);
	state.route = conf_env_route(env_get, why, sizeof(why));
	if (*why)
		log_warn("%s", why);
	state.any = env_get("PUNCH_ANY") != NULL;
	state.on = true;
	errno = errno_kept;
}

bool env_off(void)
{
	return !state.on;
}

bool env_any(void)
{
	return state.any;
}

char *env_get(const char *name)
{
	size_t size = strlen(name);
	unsigned int i;

	for (i = 0; i < state.count; i++) {
		if (strncmp(state.kept[i], name, size) == 0 && state.kept[i][size] == '=')
			return state.kept[i] + size + 1;
	}
	return NULL;
}

char *const *env_array(void)
{
	return state.kept;
}

uint32_t env_timeout_ms(void)
{
	return state.timeout_ms;
}

uint32_t env_route(void)
{
	return state.route;
}

bool env_loopback(void)
{
	const char *text = env_get("PUNCH_LOOPBACK");

	return text && strcmp(text, "yes") == 0;
}

const char *env_resolver(void)
{
	return state.resolver ? state.resolver : "";
}
