/* SPDX-License-Identifier: MIT */
/*
 * log.h - INTERFACE - one line a call, to stderr or PUNCH_LOG_FILE
 *
 * Pure: needs only libc, so the shim uses it too.  errno is kept.  A line is
 * formatted on the stack and leaves in one write(), so that lines of several
 * processes do not mix.  No malloc, no stdio streams, no descriptor kept
 * (the file is opened for each line with O_APPEND|O_CLOEXEC): programs under
 * the shim close and renumber descriptors as they please.
 */
#ifndef PUNCH_LOG_H
#define PUNCH_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_level {
	LOG_LEVEL_ERROR,
	LOG_LEVEL_WARN,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG,
};

/**
 * log_init() - set name, level and target
 * @ident:	program name put before each line, e.g. "punch-resolver"; kept by reference
 * @level:	NULL or empty: "warn"; else error, warn, info or debug
 * @file:	NULL or empty: stderr; else a path, kept by copy (at most LIMIT_PATH)
 *
 * Return: 0, or -EINVAL for an unknown level (warn is set then)
 */
int log_init(const char *ident, const char *level, const char *file);

/**
 * log_never_wait() - a line that its place does not take at once, such as a pipe that is full, is lost
 * For code inside other people's programs: log_write() may be called where nothing may block.
 */
void log_never_wait(void);

/**
 * log_keep() - open the file now and for good, as stderr: for a process that is about to lose the right to open files
 * A log that is moved away later is followed to where it goes.
 */
void log_keep(void);

/** log_enabled() - would a line of this level be written? */
bool log_enabled(enum log_level level);

/** log_write() - write "ident: [level: ]text\n"; debug and info lines carry monotonic ms */
void log_write(enum log_level level, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#define log_error(...)	log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...)	log_write(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...)	log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)	log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)

/**
 * log_stderr_usable() - is descriptor 2 (still) a place for messages, rather
 * than a connection or a data file of the program we live in?
 */
bool log_stderr_usable(void);

/**
 * struct log_limit - token bucket for lines that a stranger can trigger
 * @tokens:	lines left; starts at 0 meaning "full"
 * @refilled:	monotonic second of the last refill
 * @suppressed:	lines swallowed since the last one that was written
 * @told:	the last call said yes, so its @suppressed has been mentioned
 */
struct log_limit {
	unsigned int tokens;
	uint64_t refilled;
	unsigned int suppressed;
	bool told;
};

/**
 * log_limited() - may this line be written?  At most 5 a second and limit;
 * after a yes the caller mentions limit->suppressed, which the next call resets.
 */
bool log_limited(struct log_limit *limit);

#endif
