/* SPDX-License-Identifier: MIT */
/*
 * printable.h - text from outside on its way to a terminal or a log: it must not forge lines or drive a terminal
 *
 * In a header, because the shim and pure modules print, too.
 */
#ifndef PUNCH_PRINTABLE_H
#define PUNCH_PRINTABLE_H

#include <stddef.h>
#include <stdint.h>

/* Bytes of the character of UTF-8 at @text, of @size bytes, if it can be shown; else 0 */
static inline size_t printable_character(const unsigned char *text, size_t size)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };	/* of so many bytes: no longer forms */
	size_t bytes = *text < 0x80 ? 1 : *text >= 0xf0 && *text < 0xf8 ? 4 : *text >= 0xe0 && *text < 0xf0 ? 3 :
		       *text >= 0xc0 && *text < 0xe0 ? 2 : 0, i;
	uint32_t code = bytes < 2 ? *text : *text & (0x7fu >> bytes);

	if (!bytes || bytes > size)
		return 0;
	for (i = 1; i < bytes; i++) {
		if ((text[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (text[i] & 0x3f);
	}
	if (code < ' ' || (code >= 0x7f && code < 0xa0) || code < least[bytes] || (code >= 0xd800 && code < 0xe000) ||
	    code > 0x10ffff)
		return 0;	/* C0, DEL, C1 (U+009B begins a control sequence), and what is none */
	/* line and paragraph separators, and what turns the direction of the rest of the line */
	return code == 0x2028 || code == 0x2029 || (code >= 0x202a && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069) ? 0 : bytes;
}

/** printable() - put "?" for each byte of @text that is no part of a character of UTF-8, or of one that controls */
static inline void printable(char *text, size_t size)
{
	size_t at = 0, bytes;

	while (at < size) {
		bytes = printable_character((const unsigned char *)text + at, size - at);
		if (!bytes)
			text[at] = '?';
		at += bytes ? bytes : 1;
	}
}

#endif
