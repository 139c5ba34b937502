/* SPDX-License-Identifier: MIT */
/*
 * punch_any_hosts.c - peers' names in a hosts file
 *
 * A program without the C library looks names up by itself, in /etc/hosts first.  Our lines
 * come before the system's, from which the same names are taken out: a program tries all addresses
 * of a name, and one that is no stand-in would be a connection to somebody else.  Pure.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/endpoint.h"
#include "common/standin.h"
#include "shim/punch_any_hosts.h"

#define NAMES_MOST	4096	/* a file of configuration has fewer */

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.";

static bool has(const struct hosts *hosts, const char *name)
{
	unsigned int i;

	for (i = 0; i < hosts->count; i++) {
		if (strcasecmp(hosts->names[i].name, name) == 0)
			return true;
	}
	return false;
}

void hosts_add(struct hosts *hosts, const char *name)
{
	struct hosts_name *grown;

	if (!*name || strlen(name) >= LIMIT_HOST || strpbrk(name, " \t\r\n#") || has(hosts, name))
		return;
	grown = hosts->count < NAMES_MOST ? realloc(hosts->names, (hosts->count + 1) * sizeof(*grown)) : NULL;
	if (!grown) {
		hosts->full = true;
		return;
	}
	hosts->names = grown;
	strcpy(grown[hosts->count].name, name);
	grown[hosts->count++].slot = 0;
}

void hosts_find_quick(struct hosts *hosts, const char *text)
{
	static const char suffix[] = ".punch";
	size_t tail = sizeof(suffix) - 1, size;
	char name[LIMIT_HOST];

	for (; *text; text += size + (text[size] != '\0')) {
		size = strspn(text, letters);
		if (size <= tail || size >= sizeof(name) || strncasecmp(text + size - tail, suffix, tail) != 0)
			continue;
		memcpy(name, text, size);
		name[size] = '\0';
		if (name[0] != '.' && name[0] != '-')
			hosts_add(hosts, name);
	}
}

/* "127.0.0.1  localhost bob  # comment" without the names that are ours; nothing when no other is left */
static void copy_line(FILE *out, const struct hosts *hosts, char *line)
{
	char *word, *rest = line;
	bool kept = false, taken = false;
	char *copy = strdup(line);

	if (!copy)
		return;
	copy[strcspn(copy, "#")] = '\0';
	strtok_r(copy, " \t\r", &rest);
	while ((word = strtok_r(NULL, " \t\r", &rest))) {
		if (has(hosts, word))
			taken = true;
		else
			kept = true;
	}
	free(copy);
	if (!taken) {
		fprintf(out, "%s\n", line);
		return;
	}
	if (!kept)
		return;
	line[strcspn(line, "#")] = '\0';
	fputs(strtok_r(line, " \t\r", &rest), out);
	while ((word = strtok_r(NULL, " \t\r", &rest))) {
		if (!has(hosts, word))
			fprintf(out, " %s", word);
	}
	fputc('\n', out);
}

char *hosts_write(const struct hosts *hosts, const char *system)
{
	char *text = NULL, *copy = strdup(system), *line, *rest = copy;
	size_t size;
	FILE *out = copy ? open_memstream(&text, &size) : NULL;
	unsigned int i;

	for (i = 0; out && i < hosts->count; i++) {
		char address[ENDPOINT_TEXT_SIZE];
		struct endpoint ep;

		if (!hosts->names[i].slot)
			continue;
		standin_endpoint(&ep, AF_INET, hosts->names[i].slot, 0);
		fprintf(out, "%s %s\n", endpoint_format_address(&ep, address), hosts->names[i].name);
	}
	while (out && (line = strsep(&rest, "\n"))) {
		if (rest || *line)
			copy_line(out, hosts, line);
	}
	free(copy);
	if (out && fclose(out) != 0) {
		free(text);
		text = NULL;
	}
	return text;
}

void hosts_free(struct hosts *hosts)
{
	free(hosts->names);
	memset(hosts, 0, sizeof(*hosts));
}
