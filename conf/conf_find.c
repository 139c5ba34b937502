/* SPDX-License-Identifier: MIT */
/*
 * conf_find.c - which punch.conf applies, and who is meant by a name, address or port
 *
 * The look-ups run for each connect(), getaddrinfo() and listen() of a program
 * under the shim: they allocate nothing and lock nothing.  Linked into the shim.
 */
#include <errno.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "conf/conf.h"
#include "conf/conf_walk.h"

/* Without stdio: what the shim's constructor touches of libc every program pays for */
static int join(char path[LIMIT_PATH], const char *folder, const char *name)
{
	size_t size = strlen(folder);

	if (size + strlen(name) >= LIMIT_PATH)
		return -ENAMETOOLONG;
	memcpy(path, folder, size);
	strcpy(path + size, name);
	return 0;
}

int conf_node_path(char path[LIMIT_PATH], char *(*getenv_)(const char *))
{
	const char *value = getenv_("PUNCH_CONF");

	if (value && *value)
		return conf_absolute(path, value);
	value = getenv_("XDG_CONFIG_HOME");
	if (value && *value == '/') {	/* the XDG specification: relative ones are to be ignored */
		if (join(path, value, "/punch/punch.conf") == 0 && access(path, F_OK) == 0)
			return 0;
	} else {
		value = getenv_("HOME");
		if (value && *value == '/' && join(path, value, "/.config/punch/punch.conf") == 0 &&
		    access(path, F_OK) == 0)
			return 0;
	}
	strcpy(path, "/etc/punch/punch.conf");
	return access(path, F_OK) == 0 ? 0 : -ENOENT;
}

const struct conf_peer *conf_peer_find(const struct conf_node *conf, const char *name)
{
	char wanted[LIMIT_HOST];
	size_t size = strlen(name);
	unsigned int i;

	if (size > 1 && name[size - 1] == '.')
		size--;
	if (size == 0 || size >= sizeof(wanted))
		return NULL;
	memcpy(wanted, name, size);
	wanted[size] = '\0';
	for (i = 0; i < conf->peer_count; i++) {
		if (strcasecmp(conf->peers[i].name, wanted) == 0 || conf_word_in(conf->peers[i].alias, wanted))
			return &conf->peers[i];
	}
	return NULL;
}

const struct conf_peer *conf_peer_by_address(const struct conf_node *conf, const struct endpoint *ep)
{
	char text[ENDPOINT_TEXT_SIZE];
	unsigned int i;

	if (!ep->family)
		return NULL;
	/* aliases are kept in the form that endpoint_format_address() gives */
	endpoint_format_address(ep, text);
	for (i = 0; i < conf->peer_count; i++) {
		if (conf_word_in(conf->peers[i].alias, text))
			return &conf->peers[i];
	}
	return NULL;
}

const struct conf_service *conf_service_find(const struct conf_node *conf, uint16_t port)
{
	unsigned int i;

	for (i = 0; i < conf->service_count; i++) {
		if (port && conf->services[i].port == port)
			return &conf->services[i];
	}
	return NULL;
}

bool conf_service_allows(const struct conf_service *service, const char *peer)
{
	return strcmp(service->allow, "*") == 0 || conf_word_in(service->allow, peer);
}
