/* SPDX-License-Identifier: MIT */
/*
 * conf_take.c - the checks of values, and the look-ups in word lists
 *
 * Each conf_take_*() says what would be right when a value is not.  Linked
 * into the shim.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "conf/conf_walk.h"

#define PEM_LINE	64	/* characters: an Ed25519 key in PKCS#8 is one line */

/* ASCII on purpose: a program's locale must not change what a name is */
static bool is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

bool conf_word_next(const char **cursor, char *word, size_t size)
{
	const char *at = *cursor;
	size_t used = 0;

	while (is_blank(*at))
		at++;
	if (!*at) {
		*cursor = at;
		return false;
	}
	for (; *at && !is_blank(*at); at++) {
		if (used + 1 < size)
			word[used++] = *at;
	}
	word[used] = '\0';
	*cursor = at;
	return true;
}

bool conf_word_in(const char *list, const char *word)
{
	size_t size = strlen(word), n;

	while (*list) {
		while (is_blank(*list))
			list++;
		for (n = 0; list[n] && !is_blank(list[n]); n++)
			;
		if (n && n == size && strncasecmp(list, word, n) == 0)
			return true;
		list += n;
	}
	return false;
}

bool conf_name_ok(const char *name)
{
	size_t i;

	for (i = 0; name[i]; i++) {
		if (!is_alnum(name[i]) && (i == 0 || !strchr("-_.", name[i])))
			return false;
	}
	return i > 0 && i < LIMIT_NAME;
}

bool conf_host_ok(const char *host)
{
	size_t i;

	for (i = 0; host[i]; i++) {
		if (host[i] == '.' && (i == 0 || host[i - 1] == '.'))
			return false;
		if (!is_alnum(host[i]) && host[i] != '.' && host[i] != '_' && (host[i] != '-' || i == 0))
			return false;
	}
	return i > 0 && i < LIMIT_HOST;
}

int conf_absolute(char out[LIMIT_PATH], const char *path)
{
	size_t size = 0;

	if (!*path)
		return -ENOENT;
	if (*path != '/') {
		if (!getcwd(out, LIMIT_PATH))
			return -errno;
		size = strlen(out);
		if (size && out[size - 1] != '/' && size + 1 < LIMIT_PATH)
			out[size++] = '/';
		while (path[0] == '.' && path[1] == '/')
			path += 2 + strspn(path + 2, "/");
	}
	if (size + strlen(path) >= LIMIT_PATH)
		return -ENAMETOOLONG;
	strcpy(out + size, path);
	return 0;
}

bool conf_take_text(struct conf_walk *walk, const char *value, char *out, size_t size)
{
	if (strlen(value) >= size) {
		conf_fail(walk, value, "longer than %zu bytes", size - 1);
		return false;
	}
	strcpy(out, value);
	return true;
}

/* 32 bytes in base64, alone or as a line of PEM has them: no name of a file, which messages would repeat */
static bool is_key(const char *value)
{
	size_t i;

	for (i = 0; is_alnum(value[i]) || value[i] == '+' || value[i] == '/'; i++)
		;
	return (i == KEY_TEXT_SIZE - 2 || i >= PEM_LINE) && strspn(value + i, "=") == strlen(value + i);
}

bool conf_take_path(struct conf_walk *walk, const char *value, char out[LIMIT_PATH])
{
	const char *slash = strrchr(walk->path, '/');
	size_t folder = *value == '/' || !slash ? 0 : (size_t)(slash - walk->path) + 1;

	if (*value != '/' && is_key(value)) {
		conf_fail(walk, value, "expected the path of a file; this looks like what should be in it");
		return false;
	}
	if (folder + strlen(value) >= LIMIT_PATH) {
		conf_fail(walk, value, "a path has at most %d bytes", LIMIT_PATH - 1);
		return false;
	}
	memcpy(out, walk->path, folder);
	strcpy(out + folder, value);
	return true;
}

bool conf_take_public_key(struct conf_walk *walk, const char *value, char out[KEY_TEXT_SIZE])
{
	/* the last character before "=" carries four bits, its other two are zero */
	static const char last[] = "AEIMQUYcgkosw048";
	size_t i;

	for (i = 0; is_alnum(value[i]) || value[i] == '+' || value[i] == '/'; i++)
		;
	if (strlen(value) != KEY_TEXT_SIZE - 1 || i != KEY_TEXT_SIZE - 2 || value[i] != '=' ||
	    !strchr(last, value[i - 1])) {
		conf_fail(walk, value, "expected a public key: 43 characters of base64 and \"=\", "
			  "as \"punchctl pubkey FILE\" prints it");
		return false;
	}
	strcpy(out, value);
	return true;
}

bool conf_number(const char *text, unsigned int low, unsigned int high, unsigned int *out)
{
	unsigned long long n = 0;
	size_t i;

	for (i = 0; text[i] >= '0' && text[i] <= '9' && i < 12; i++)
		n = n * 10 + (unsigned int)(text[i] - '0');
	if (i == 0 || text[i] || n < low || n > high)
		return false;
	*out = (unsigned int)n;
	return true;
}

bool conf_take_number(struct conf_walk *walk, const char *value, unsigned int low, unsigned int high,
		      unsigned int *out)
{
	if (conf_number(value, low, high, out))
		return true;
	if (strchr(value, '#'))
		conf_fail(walk, value, "expected a number from %u to %u; a comment begins with \";\"", low, high);
	else
		conf_fail(walk, value, "expected a number from %u to %u", low, high);
	return false;
}

bool conf_take_choice(struct conf_walk *walk, const char *value, const char *const *choices, unsigned int *out)
{
	char known[100] = "";
	unsigned int i;

	for (i = 0; choices[i]; i++) {
		size_t size = strlen(known);

		if (strcmp(choices[i], value) == 0) {
			*out = i;
			return true;
		}
		snprintf(known + size, sizeof(known) - size, "%s%s", i ? ", " : "", choices[i]);
	}
	conf_fail(walk, value, "expected one of: %s", known);
	return false;
}

bool conf_take_endpoint(struct conf_walk *walk, const char *value, uint16_t port, struct endpoint *out)
{
	struct endpoint ep;

	if (endpoint_parse(&ep, value, port) < 0 || !ep.port) {
		conf_fail(walk, value, "expected ADDRESS:PORT with a literal address, as 0.0.0.0:%u or [::]:%u",
			  port ? port : 9430, port ? port : 9430);
		return false;
	}
	*out = ep;
	return true;
}

unsigned int conf_take_endpoints(struct conf_walk *walk, const char *value, uint16_t port,
				 struct endpoint out[CONF_LIST])
{
	char word[LIMIT_HOST];
	unsigned int count = 0, i;

	while (conf_word_next(&value, word, sizeof(word))) {
		if (count == CONF_LIST) {
			conf_fail(walk, word, "at most %d addresses", CONF_LIST);
			return 0;
		}
		if (!conf_take_endpoint(walk, word, port, &out[count]))
			return 0;
		for (i = 0; i < count; i++) {
			if (endpoint_equal(&out[i], &out[count])) {
				conf_fail(walk, word, "this address is in the list twice");
				return 0;
			}
		}
		count++;
	}
	return count;
}

/* HOST[:PORT], where HOST may be a literal */
static bool host_port_ok(const char *word, bool need_port)
{
	struct endpoint ep;
	char host[LIMIT_HOST];
	unsigned int port;
	char *colon;

	if (endpoint_parse(&ep, word, need_port ? 0 : 1) == 0)
		return ep.port != 0 && endpoint_is_unicast(&ep);
	if (strlen(word) >= sizeof(host))
		return false;
	strcpy(host, word);
	colon = strrchr(host, ':');
	if (!colon)
		return !need_port && conf_host_ok(host);
	*colon = '\0';
	return conf_host_ok(host) && conf_number(colon + 1, 1, UINT16_MAX, &port);
}

bool conf_server_ok(const char *text)
{
	return host_port_ok(text, false);
}

bool conf_take_hosts(struct conf_walk *walk, const char *value, bool need_port, unsigned int most,
		     char out[CONF_WORDS])
{
	char word[CONF_WORDS];
	const char *cursor = value;
	unsigned int count = 0;

	if (!conf_take_text(walk, value, out, CONF_WORDS))
		return false;
	while (conf_word_next(&cursor, word, sizeof(word))) {
		if (++count > most) {
			conf_fail(walk, word, "at most %u servers", most);
			return false;
		}
		if (!host_port_ok(word, need_port)) {
			conf_fail(walk, word, need_port ?
				  "expected HOST:PORT, as relay.example.org:4433; a port is 1 to 65535" :
				  "expected HOST or HOST:PORT, as rdv.example.org:4430; a port is 1 to 65535");
			return false;
		}
	}
	return true;
}
