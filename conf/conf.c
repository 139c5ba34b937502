/* SPDX-License-Identifier: MIT */
/*
 * conf.c - walk an INI file by a table of its sections and keys
 *
 * Theory of operation
 *
 * The file is read whole (it is small by decree) and handed to inih line by
 * line through read_line(), the only reader there is.  inih splits "key = value",
 * drops comments and blanks and calls on_setting().  What inih would do silently is
 * done by read_line() instead, so that nothing passes unnoticed:
 *
 *  - Lines are counted: Debian's inih does not tell its handler.
 *  - A line longer than LINE_MAX_BYTES, or with a NUL byte, is complained about
 *    (inih cuts it).
 *  - "[section]" lines are taken here and shown to inih as blank ones: inih
 *    cuts names after 49 bytes, and does not report a section without keys.
 *  - A line that inih got and that did not come back as a setting by the next
 *    line is neither a section nor a setting; inih counts such errors but keeps
 *    only a number.
 *
 * inih is configured by global variables.  They are set to the same constants
 * each time, so two threads that load at once do not disturb each other.
 *
 * Linked into the shim: nothing here may need more than any libc has.
 */
#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/printable.h"
#include "conf/conf_walk.h"

#define FILE_MAX_BYTES	(1u << 20)	/* 1 MiB: CONF_PEERS peers with long aliases fit */
#define LINE_MAX_BYTES	(LIMIT_PATH + 64)	/* a path and its key */
#define LINE_END_BYTES	3		/* what inih's buffer needs beyond the line: \r \n NUL */
#define HINT		12	/* bytes quoted of a line that is nothing */
#define OFFENDING	80	/* bytes of it that are quoted, at most */
#define FAR		3		/* more edits than this are no typing mistake */

static void fail(struct conf_walk *walk, int code, int line, const char *format, va_list args)
	__attribute__((format(printf, 4, 0)));

static void fail(struct conf_walk *walk, int code, int line, const char *format, va_list args)
{
	struct conf_error *error = walk->error;
	size_t size = strnlen(error->text, sizeof(error->text));

	error->code = code;
	error->line = line;
	vsnprintf(error->text + size, sizeof(error->text) - size, format, args);
	/* what a file holds must not drive the terminal that shows the message */
	printable(error->text, strlen(error->text));
}

/* "FILE:LINE: [section] key = offending text: " */
static void begin_message(const struct conf_walk *walk, int line, const char *header, const char *key,
			  const char *offending)
{
	struct conf_error *error = walk->error;
	size_t quoted = offending ? printable_harmless(offending) : 0;
	char where[16] = "";

	if (line)
		snprintf(where, sizeof(where), ":%d", line);
	/* limits: the file's name may be as long as the whole message */
	snprintf(error->text, sizeof(error->text), "%s%.200s%s: %s%s%s%s%.*s%s%s",
		 strlen(walk->path) > 200 ? "..." : "",
		 strlen(walk->path) > 200 ? walk->path + strlen(walk->path) - 200 : walk->path, where,
		 header ? header : "", header && *header && (key || offending) ? " " : "", key ? key : "",
		 key && offending ? " = " : "", quoted < OFFENDING ? (int)quoted : OFFENDING,
		 offending ? offending : "", offending ? printable_rest(offending) : "",
		 (header && *header) || key || offending ? ": " : "");
}

void conf_fail(struct conf_walk *walk, const char *offending, const char *format, ...)
{
	va_list args;

	if (walk->error->code)
		return;
	begin_message(walk, walk->line, walk->header, walk->key, offending);
	va_start(args, format);
	fail(walk, -EINVAL, walk->line, format, args);
	va_end(args);
}

void conf_fail_at(struct conf_walk *walk, int line, const char *header, const char *key, const char *offending,
		  const char *format, ...)
{
	va_list args;

	/* checks at the end may find what stands before the first complaint */
	if (walk->error->code)
		return;
	begin_message(walk, line, header, key, offending);
	va_start(args, format);
	fail(walk, -EINVAL, line, format, args);
	va_end(args);
}

static void fail_file(struct conf_walk *walk, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void fail_file(struct conf_walk *walk, int code, const char *format, ...)
{
	va_list args;

	if (walk->error->code)
		return;
	begin_message(walk, 0, NULL, NULL, NULL);
	va_start(args, format);
	fail(walk, code, 0, format, args);
	va_end(args);
}

/* ASCII alone: a program's locale must not change what a file means */
static char lower(char c)
{
	if (c >= 'A' && c <= 'Z')
		return (char)(c - 'A' + 'a');
	return c;
}

/* Levenshtein distance, bounded: longer words than a setting's name are far from each */
static unsigned int distance(const char *a, const char *b)
{
	unsigned int row[32];
	size_t la = strlen(a), lb = strlen(b), i, j;

	if (la >= 32 || lb >= 32)
		return FAR;
	for (j = 0; j <= lb; j++)
		row[j] = (unsigned int)j;
	for (i = 1; i <= la; i++) {
		unsigned int corner = row[0];

		row[0] = (unsigned int)i;
		for (j = 1; j <= lb; j++) {
			unsigned int best = corner + (lower(a[i - 1]) != lower(b[j - 1]));

			corner = row[j];
			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
		}
	}
	return row[lb];
}

/**
 * struct advice - "did you mean NAME?" or "known here: A, B, C"
 * @best_at:	index of the name that was probably meant; valid when @best is
 */
struct advice {
	char text[200];
	const char *best;
	unsigned int best_distance;
	size_t best_at;
};

static void advice_add(struct advice *advice, const char *wrong, const char *name, size_t at)
{
	unsigned int d = distance(wrong, name);
	size_t size = strlen(advice->text);

	if (d < FAR && (!advice->best || d < advice->best_distance)) {
		advice->best = name;
		advice->best_distance = d;
		advice->best_at = at;
	}
	snprintf(advice->text + size, sizeof(advice->text) - size, "%s%s", size ? ", " : "", name);
}

static void complain_unknown(struct conf_walk *walk, const char *what, const char *wrong,
			     const struct advice *advice)
{
	if (advice->best)
		conf_fail(walk, wrong, "unknown %s, did you mean \"%s\"?", what, advice->best);
	else
		conf_fail(walk, wrong, "unknown %s, known here: %s", what, advice->text);
}

/* A header's text without its brackets, trimmed: find its table, start it */
static void on_section(struct conf_walk *walk, char *text)
{
	const struct conf_section *section = NULL;
	struct advice advice = { .text = "" };
	char *title = text + strcspn(text, " \t");
	size_t i;

	walk->seen_keys = 0;
	snprintf(walk->header, sizeof(walk->header), "[%.*s%s]",
		 (int)(printable_harmless(text) < 100 ? printable_harmless(text) : 100), text, printable_rest(text));
	if (*title) {
		*title++ = '\0';
		title += strspn(title, " \t");
	}
	for (i = 0; i < walk->section_count; i++) {
		if (strcmp(text, walk->sections[i].name) == 0)
			section = &walk->sections[i];
	}
	if (!section) {
		for (i = 0; i < walk->section_count; i++)
			advice_add(&advice, text, walk->sections[i].name, i);
		complain_unknown(walk, "section", NULL, &advice);
		if (!advice.best)
			return;
		section = &walk->sections[advice.best_at];	/* go on with what was meant, for its names */
	}
	walk->section = section;
	if (section->titled && !*title) {
		conf_fail(walk, NULL, "a name is missing, as in [%s %s]", section->name, section->example);
	} else if (!section->titled && *title) {
		conf_fail(walk, NULL, "this section takes no name: write [%s]", section->name);
	} else if (section->titled) {
		walk->ignore = !section->begin(walk, title);
	} else if (walk->seen_section[section - walk->sections]) {
		conf_fail(walk, NULL, "this section is already in the file; put all its settings into one");
	} else {
		walk->ignore = false;
	}
	if (!section->titled)
		walk->seen_section[section - walk->sections] = true;
}

static bool may_be_empty(const struct conf_section *section, const struct conf_key *key)
{
	return section->empty && strcmp(section->empty, key->name) == 0;
}

static int on_setting(void *user, const char *inih_section, const char *name, const char *value)
{
	struct conf_walk *walk = user;
	struct advice advice = { .text = "" };
	const struct conf_key *key;

	(void)inih_section;
	walk->pending = 0;
	if (!walk->section) {
		if (!walk->ignore)
			conf_fail(walk, name, "a setting before the first [section]");
		return 1;
	}
	for (key = walk->section->keys; key->name; key++) {
		if (strcmp(key->name, name) == 0)
			break;
	}
	if (!key->name) {
		for (key = walk->section->keys; key->name; key++)
			advice_add(&advice, name, key->name, (size_t)(key - walk->section->keys));
		complain_unknown(walk, "setting", name, &advice);
		if (!advice.best)
			return 1;
		key = &walk->section->keys[advice.best_at];
	}
	walk->key = key->name;
	if (walk->seen_keys & 1ull << (key - walk->section->keys))
		conf_fail(walk, value, "this setting is already in the section; several values go on one line");
	else if (!*value && !may_be_empty(walk->section, key))
		conf_fail(walk, "", "a value is missing");
	else if (!walk->ignore)
		key->take(walk, value);
	walk->seen_keys |= 1ull << (key - walk->section->keys);
	walk->key = NULL;
	return 1;
}

/* To a hint at which line it is: anything may stand there, also the word of quick mode */
static void shorten(char *text)
{
	size_t size = strcspn(text, " \t");

	if (size > HINT)
		size = HINT;
	if (text[size])
		strcpy(text + size, "...");
}

/* The line that inih got before has not become a setting */
static void check_pending(struct conf_walk *walk)
{
	int line = walk->line;

	if (!walk->pending)
		return;
	walk->line = walk->pending;
	shorten(walk->pending_text);
	conf_fail(walk, walk->pending_text, "neither a [section] nor \"key = value\"");
	walk->line = line;
	walk->pending = 0;
}

/* A line that starts with "[" */
static void take_header(struct conf_walk *walk, char *line)
{
	char *end, *rest;
	size_t size;

	line[strcspn(line, "\r\n")] = '\0';
	end = strchr(line, ']');
	walk->header[0] = '\0';
	walk->section = NULL;
	walk->ignore = true;
	if (!end) {
		conf_fail(walk, line, "the closing \"]\" is missing");
		end = line + strcspn(line, ";");
	} else {
		rest = end + 1 + strspn(end + 1, " \t");
		if (*rest && *rest != ';' && *rest != '#')
			conf_fail(walk, line, "unexpected text after \"]\"; a comment begins with \";\"");
	}
	*end = '\0';
	line++;
	line += strspn(line, " \t");
	size = strlen(line);
	while (size > 0 && strchr(" \t", line[size - 1]))
		line[--size] = '\0';
	on_section(walk, line);
}

/* Complain, and note what inih has to report back */
static void inspect_line(struct conf_walk *walk, char *text)
{
	static const char bom[] = "\xef\xbb\xbf";
	char *start = text;
	size_t size;

	if (walk->line == 1 && strncmp(start, bom, 3) == 0)
		start += 3;
	start += strspn(start, " \t\r\n\v\f");
	if (*start == '[') {
		take_header(walk, start);
		strcpy(text, "\n");	/* inih need not see it */
		return;
	}
	if (!*start || *start == ';' || *start == '#')
		return;
	walk->pending = walk->line;
	snprintf(walk->pending_text, sizeof(walk->pending_text), "%s", start);
	size = strcspn(walk->pending_text, "\r\n");
	walk->pending_text[size] = '\0';
}

/* inih's reader, in the manner of fgets() */
static char *read_line(char *out, int room, void *user)
{
	struct conf_walk *walk = user;
	size_t size, keep, max = (size_t)room - LINE_END_BYTES;
	const char *end;

	check_pending(walk);
	if (walk->next == walk->end)
		return NULL;
	walk->line++;
	end = memchr(walk->next, '\n', (size_t)(walk->end - walk->next));
	size = (size_t)((end ? end : walk->end) - walk->next);
	keep = size;
	if (memchr(walk->next, '\0', size)) {
		conf_fail(walk, NULL, "the line has a NUL byte; this is a text file");
		keep = strnlen(walk->next, size);
	}
	if (keep > max) {
		conf_fail(walk, NULL, "the line has %zu bytes; at most %zu are allowed", size, max);
		keep = max;
	}
	memcpy(out, walk->next, keep);
	out[keep] = '\n';
	out[keep + 1] = '\0';
	walk->next = end ? end + 1 : walk->end;
	inspect_line(walk, out);
	return out;
}

/* More bytes of a file, in a buffer of *@room bytes that grows to the most allowed. Return: false at the end */
static bool slurp_more(struct conf_walk *walk, int fd, char **text, size_t *room, size_t *size)
{
	ssize_t n;

	if (*size == *room) {	/* it is larger than fstat() said */
		char *bigger = *room < FILE_MAX_BYTES + 1 ? realloc(*text, FILE_MAX_BYTES + 1) : NULL;

		if (!bigger)
			return false;
		*text = bigger;
		*room = FILE_MAX_BYTES + 1;
	}
	n = read(fd, *text + *size, *room - *size);
	if (n < 0 && errno == EINTR)
		return true;
	if (n < 0)
		fail_file(walk, -errno, "cannot read: %s", strerror(errno));
	*size += n > 0 ? (size_t)n : 0;
	return n > 0;
}

/* The whole file into one buffer. Return: the buffer, or NULL after a complaint */
static char *slurp(struct conf_walk *walk, size_t *size)
{
	/* O_NONBLOCK: opening a FIFO must not wait for a writer */
	int fd = open(walk->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	char *text = NULL;
	struct stat st;
	size_t room;

	*size = 0;
	if (fd < 0 || fstat(fd, &st) < 0) {
		fail_file(walk, -errno, "cannot read: %s", strerror(errno));
		goto out;
	}
	if (!S_ISREG(st.st_mode)) {
		fail_file(walk, S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL,
			  "not a regular file, but a configuration must be one");
		goto out;
	}
	room = st.st_size < FILE_MAX_BYTES ? (size_t)st.st_size + 1 : FILE_MAX_BYTES + 1;
	text = malloc(room);
	if (!text) {
		fail_file(walk, -ENOMEM, "%s", strerror(ENOMEM));
		goto out;
	}
	while (slurp_more(walk, fd, &text, &room, size))
		;
	if (*size > FILE_MAX_BYTES) {
		fail_file(walk, -E2BIG, "larger than %u bytes", FILE_MAX_BYTES);
		*size = FILE_MAX_BYTES;
	}
out:
	if (fd >= 0)
		close(fd);
	return text;
}

int conf_walk(struct conf_walk *walk)
{
	size_t size;
	char *text;

	memset(walk->error, 0, sizeof(*walk->error));
	text = slurp(walk, &size);
	if (!text)
		return walk->error->code;
	walk->next = text;
	walk->end = text + size;
	walk->line = 0;

	ini_allow_multiline = false;
	ini_use_stack = true;
	ini_max_line = LINE_MAX_BYTES + LINE_END_BYTES;
	/* its result repeats what read_line() and on_setting() have seen */
	ini_parse_stream(read_line, walk, on_setting, walk);
	check_pending(walk);
	free(text);
	return walk->error->code;
}
