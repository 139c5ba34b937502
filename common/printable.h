/* SPDX-License-Identifier: MIT */
/*
 * printable.h - text from outside on its way to a terminal or a log: it must not forge lines or drive a terminal
 *
 * In a header, because the shim and pure modules print, too.
 */
#ifndef PUNCH_PRINTABLE_H
#define PUNCH_PRINTABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

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
	return code == 0x2028 || code == 0x2029 || (code >= 0x202a && code <= 0x202e) ||
	       (code >= 0x2066 && code <= 0x2069) ? 0 : bytes;
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

/* Digits of base64, or of hexadecimal, in a row that are no host's name and no setting: 32 bytes have 43, or 64 */
#define PRINTABLE_KEY	40

static inline bool printable_in_key(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c && strchr("+/-_", c));
}

/**
 * printable_harmless() - how much of a wrong @text a complaint may quote
 *
 * It may be a secret that stands in a wrong place: a key, of which the first 4 digits are told;
 * a phrase of four words or more, of which the first is; what precedes the "@" of a URL.
 * Return: bytes from the beginning; its length where nothing speaks against it
 */
static inline size_t printable_harmless(const char *text)
{
	size_t size = strlen(text), at, run = 0, gaps = 0, first = size;
	const char *user = strstr(text, "://");

	if (user && strchr(user, '@'))
		return (size_t)(user - text) + 3;
	for (at = 0; at < size; at++) {
		bool blank = text[at] == ' ' || text[at] == '\t';

		if (blank && at + 1 < size && text[at + 1] != ' ' && text[at + 1] != '\t' && gaps++ == 0)
			first = at;
		run = printable_in_key(text[at]) ? run + 1 : 0;
		if (run == PRINTABLE_KEY)
			return at + 1 - PRINTABLE_KEY + 4;
	}
	return gaps >= 3 ? first : size;
}

/** printable_rest() - what stands for what is not quoted */
static inline const char *printable_rest(const char *text)
{
	return text[printable_harmless(text)] ? "..." : "";
}

#endif
