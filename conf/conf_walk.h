/* SPDX-License-Identifier: MIT */
/*
 * conf_walk.h - how conf_node.c and conf_server.c describe a file to conf.c
 *
 * A file is a table of sections, a section a table of keys.  conf_walk() reads
 * it, finds the right entry for each line and calls its take() with the text;
 * whatever is wrong with a line is told to conf_fail(), which keeps the
 * first complaint, and the walk goes on.
 */
#ifndef PUNCH_CONF_WALK_H
#define PUNCH_CONF_WALK_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/endpoint.h"
#include "conf/conf.h"

#define CONF_SECTIONS	4	/* most kinds of section in one kind of file */

struct conf_walk;

/** struct conf_key - one setting. @take: checks and stores @value (not NULL, blanks trimmed) */
struct conf_key {
	const char *name;
	void (*take)(struct conf_walk *walk, const char *value);
};

/**
 * struct conf_section
 * @name:	first word in the brackets
 * @titled:	a second word follows, as in [peer bob], and the section may come again with another one
 * @example:	a title to show in a message
 * @begin:	titled sections: a new one. Return: false to check its keys without storing them
 * @keys:	ends with a NULL name
 * @empty:	the key of which a value may be left empty, or NULL
 */
struct conf_section {
	const char *name;
	bool titled;
	const char *example;
	bool (*begin)(struct conf_walk *walk, const char *title);
	const struct conf_key *keys;
	const char *empty;
};

/**
 * struct conf_walk - one reading of one file
 * @path:	absolute path, for messages and relative names
 * @out:	what the take() functions fill
 * @line:	of the text being looked at, 1 is the first
 * @header:	"[peer bob]", for messages
 * @key:	being taken, or NULL
 */
struct conf_walk {
	const char *path;
	void *out;
	struct conf_error *error;
	const struct conf_section *sections;
	size_t section_count;
	int line;
	char header[LIMIT_NAME * 2];
	const char *key;

	/* conf.c alone */
	const struct conf_section *section;
	bool ignore;			/* of an unknown section: its keys were complained about once */
	uint64_t seen_keys;		/* bits of section->keys */
	bool seen_section[CONF_SECTIONS];
	const char *next, *end;		/* the file's text, not yet read */
	int pending;			/* line given to inih that has not come back as a setting, or 0 */
	char pending_text[80];
};

/**
 * conf_walk() - read @path by the tables
 * Return: 0, or the code of the first error, which is in walk->error
 */
int conf_walk(struct conf_walk *walk);

/**
 * conf_fail() - complain about the line and key at hand
 * @offending:	text to quote, or NULL
 * @format:	what would be right
 */
void conf_fail(struct conf_walk *walk, const char *offending, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/** conf_fail_at() - the same about another line and section; @line 0: the file as a whole */
void conf_fail_at(struct conf_walk *walk, int line, const char *header, const char *key, const char *offending,
		  const char *format, ...)
	__attribute__((format(printf, 6, 7)));

/** conf_absolute() - absolute form of a file's name as given on a command line. Return: 0 or -errno */
int conf_absolute(char out[LIMIT_PATH], const char *path);

/*
 * Checks shared by several keys.  Each copies into the caller's field when the
 * value is right (or, where said, as far as it is), and complains otherwise.
 */

/** conf_take_text() - at most @size - 1 bytes, not empty */
bool conf_take_text(struct conf_walk *walk, const char *value, char *out, size_t size);
/** conf_take_path() - relative names are relative to the file's folder */
bool conf_take_path(struct conf_walk *walk, const char *value, char out[LIMIT_PATH]);
/** conf_take_public_key() - form only: 43 characters of base64 and "=" */
bool conf_take_public_key(struct conf_walk *walk, const char *value, char out[KEY_TEXT_SIZE]);
/** conf_number() - decimal digits alone. Return: false when there is anything else, or it is out of range */
bool conf_number(const char *text, unsigned int low, unsigned int high, unsigned int *out);
/** conf_take_number() - decimal, within the range */
bool conf_take_number(struct conf_walk *walk, const char *value, unsigned int low, unsigned int high,
		      unsigned int *out);
/** conf_take_choice() - index of @value in a NULL-terminated list */
bool conf_take_choice(struct conf_walk *walk, const char *value, const char *const *choices, unsigned int *out);
/** conf_take_endpoint() - literal address with port */
bool conf_take_endpoint(struct conf_walk *walk, const char *value, uint16_t port, struct endpoint *out);
/** conf_take_endpoints() - up to CONF_LIST of them. Return: how many (0 after a complaint) */
unsigned int conf_take_endpoints(struct conf_walk *walk, const char *value, uint16_t port,
				 struct endpoint out[CONF_LIST]);
/** conf_take_hosts() - up to @most words HOST[:PORT]; @need_port: HOST:PORT. Return: false after a complaint */
bool conf_take_hosts(struct conf_walk *walk, const char *value, bool need_port, unsigned int most,
		     char out[CONF_WORDS]);

#endif
