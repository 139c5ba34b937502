/* SPDX-License-Identifier: MIT */
/*
 * seeds_chunks.c - good inputs for the targets whose input is a list of chunks
 */
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/seeds.h"

static uint8_t list[4096];
static size_t used;

static void add(unsigned int head, const void *data, size_t size)
{
	MUST(used + 3 + size <= sizeof(list));
	list[used] = (uint8_t)head;
	list[used + 1] = (uint8_t)(size >> 8);
	list[used + 2] = (uint8_t)size;
	memcpy(list + used + 3, data, size);
	used += 3 + size;
}

static void end(const char *target, const char *name)
{
	save(target, name, -1, list, used);
	used = 0;
}

static void talk(void)
{
	static const uint8_t ping[] = { 0x1a, 2, 8, 7 };	/* Message.ping.nonce = 7 */

	add(1, ping, sizeof(ping));
	add(0, "the path's own", 14);
	end("talk", "ping");
	add(4, "\0\0\0\5", 4);
	add(8, "hello", 5);
	end("talk", "stranger");
	add(3, ping, sizeof(ping));
	end("talk", "changed");
}

static unsigned int at_relay(unsigned int side, unsigned int step, unsigned int number)
{
	return side | step << 2 | number << 5;
}

static void relay(void)
{
	enum { BYTES, HELLO, TICKET, GOOD, SHUT, CLOSE, READ, TIME };	/* of fuzz_relay.c */

	add(at_relay(0, GOOD, 0), "from 0", 6);
	add(at_relay(1, GOOD, 1), "from 1", 6);
	add(at_relay(0, READ, 0), "", 0);
	add(at_relay(1, READ, 0), "", 0);
	add(at_relay(0, BYTES, 0), "more", 4);
	add(at_relay(0, SHUT, 0), "", 0);
	add(at_relay(1, CLOSE, 0), "", 0);
	end("relay", "pair");
	add(at_relay(0, GOOD, 4), "", 0);
	add(at_relay(1, GOOD, 5), "", 0);
	add(at_relay(2, GOOD, 4), "", 0);
	add(at_relay(2, READ, 0), "", 0);
	end("relay", "used");
	add(at_relay(0, GOOD, 0), "", 0);
	add(at_relay(1, BYTES, 0), "\0\0", 2);
	add(at_relay(0, TIME, 5), "", 0);
	add(at_relay(0, READ, 0), "", 0);
	add(at_relay(0, TIME, 1), "", 0);
	end("relay", "late");
	add(at_relay(0, HELLO, 0), "abc", 3);
	add(at_relay(1, TICKET, 0), "\n\x10" "0123456789abcdef", 18);
	add(at_relay(0, BYTES, 0), "x", 1);
	add(at_relay(0, READ, 0), "", 0);
	end("relay", "bad");
}

void seeds_chunks(void)
{
	talk();
	relay();
}
