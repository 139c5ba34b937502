/* SPDX-License-Identifier: MIT */
/*
 * seeds_chunks.c - good inputs for the targets whose input is a list of chunks
 */
#include <string.h>

#include "common/local.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/seeds.h"

/* Message.ping.nonce = 7 */
static const uint8_t ping[] = { 0x1a, 2, 8, 7 }, ping_frame[] = { 0, 0, 0, 4, 0x1a, 2, 8, 7 };

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

/* An input with a byte before its chunks */
static void start(unsigned int first)
{
	MUST(!used);
	list[used++] = (uint8_t)first;
}

static void end(const char *target, const char *name)
{
	save(target, name, -1, list, used);
	used = 0;
}

static void talk(void)
{
	add(1, ping, sizeof(ping));
	add(0, "the path's own", 14);
	end("talk", "ping");
	add(4, "\0\0\0\5", 4);
	add(8, "hello", 5);
	end("talk", "stranger");
	add(3, ping, sizeof(ping));
	end("talk", "changed");
}

/* Laid over a request of kind STATUS, after what is passed: of @pass, see fuzz_pass() */
static void over_request(unsigned int head, uint8_t pass, enum local_kind kind, const char *peer)
{
	const size_t begin = offsetof(struct local_request, config), rest = offsetof(struct local_request, peer);
	uint8_t packet[1 + sizeof(struct local_request)] = { pass };
	struct local_request over;

	memset(&over, 0, sizeof(over));
	over.kind = kind ^ LOCAL_STATUS;
	strcpy(over.peer, peer);
	over.target.port = 8080;
	memcpy(packet + 1, &over, begin);	/* without the configuration between them */
	memcpy(packet + 1 + begin, over.peer, sizeof(over) - rest);
	add(head, packet, 1 + begin + sizeof(over) - rest);
}

static void porter(void)
{
	enum { CONNECT, SEND, ASK, LEAVE, WORD, PASS, HAND_IN, MORE, TRUSTED = 32 };	/* of fuzz_porter.c */
	static const uint8_t idle[] = { 1, 0, 0, 0 };

	add(CONNECT, "", 0);
	over_request(ASK, 0, LOCAL_STATUS, "bob");
	end("porter", "refused");
	add(CONNECT, "", 0);
	over_request(ASK, 1, LOCAL_CLAIM_DOORBELL, "bob");
	add(CONNECT | 8, "", 0);
	over_request(ASK | 8, 1, LOCAL_CLAIM_PARKED, "bob");
	add(LEAVE, "", 0);
	end("porter", "claims");
	add(CONNECT, "", 0);
	over_request(ASK | TRUSTED, 3, LOCAL_LISTEN, "bob");
	add(CONNECT | 8, "", 0);
	over_request(ASK | TRUSTED | 8, 1, LOCAL_PARK, "bob");
	end("porter", "trusted");
	add(CONNECT, "", 0);
	over_request(ASK | TRUSTED, 0, LOCAL_PING, "never");
	add(SEND, "\1x", 2);
	end("porter", "second");
	add(CONNECT, "", 0);
	add(SEND, "\1what is no request", 19);
	over_request(HAND_IN, 0, LOCAL_DIAL, "bob");
	add(MORE, "\0x", 2);
	add(WORD, idle, sizeof(idle));
	add(PASS, "\4d", 2);
	end("porter", "taken-over");
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

/* A good answer with CONNECT-BACK, seen at one's own port of a public address */
static void add_back(unsigned int connection, unsigned int outcome)
{
	const uint8_t bytes[] = { 0, (uint8_t)outcome, 5000 >> 8, 5000 & 255 };

	add(connection | 2 << 4, bytes, sizeof(bytes));
}

static void answers(void)
{
	enum { BYTES, ANSWER, BACK, SLOWLY, AGAIN, CLOSE, CONNECT, TIME };	/* of fuzz_answers.c */
	static const uint8_t outcomes[][4] = { { 1, 2, 1, 3 }, { 1, 5, 1, 3 }, { 1, 3, 1, 2 }, { 6 } };
	char name[32];
	unsigned int i, j;

	for (i = 0; i < 4; i++) {
		start(0x38);		/* a study, with another opinion, 3 hops to the NAT */
		for (j = 0; j < 4 && outcomes[i][j]; j++)
			add_back(0, outcomes[i][j]);
		add(1 | ANSWER << 4, "", 1);
		add(CONNECT << 4, "", 0);
		snprintf(name, sizeof(name), "study-%u", i);
		end("answers", name);
	}
	start(1);			/* lifetime */
	add(3 | TIME << 4, "", 0);
	add_back(0, 1);
	add(4 | TIME << 4, "", 0);
	add(1 | SLOWLY << 4, "\0\1\0", 4);
	end("answers", "lifetime");
	for (i = 0; i < 2; i++) {
		start(2);		/* ports, of a NAT that keeps them and of one that counts */
		for (j = 0; j < 6; j++) {
			const uint8_t which = i ? (uint8_t)(8 * j + 1) : 0;

			add(j | ANSWER << 4, &which, 1);
		}
		end("answers", i ? "ports-counted" : "ports-kept");
	}
}

static void relayleg(void)
{
	enum { FRAMED = 1, SLOWLY = 2, LAST = 4 };	/* of fuzz_relayleg.c */
	unsigned int status;
	char name[16];

	for (status = 1; status < 8; status++) {
		add(status % 2 ? FRAMED : FRAMED | SLOWLY, (char []){ 8, (char)status }, 2);
		add(status == 7 ? LAST : 0, "behind it", 9);
		snprintf(name, sizeof(name), "status-%u", status);
		end("relayleg", name);
	}
	add(FRAMED | LAST, "\10\1", 2);
	end("relayleg", "joined-and-closed");
	add(0, "HTTP/1.1 400 Bad Request", 24);
	end("relayleg", "stranger");
}

static void uplink(void)
{
	enum { BYTES, FRAME, WELCOME, INVITED, ANSWERED, GO, FAILED, DIAL, CHECK, CLOSE, PATH, NOMINATE, UNDER, SEE = 16 };
	/* of fuzz_uplink.c */

	start(0);
	add(DIAL, "\0\0\0", 3);
	add(ANSWERED, "", 0);
	add(GO, "", 0);
	add(PATH | SEE, "", 0);
	add(NOMINATE, "", 0);
	end("uplink", "dial");
	start(0);
	add(INVITED, "", 0);
	add(GO | SEE, "", 0);
	add(PATH | SEE, "", 0);
	add(NOMINATE | SEE, "SSH-", 4);
	end("uplink", "called");
	start(0);
	add(DIAL, "\1\0\0", 3);
	add(ANSWERED | SEE, "", 0);
	add(GO, "", 0);
	add(PATH, "0123456789abcdef0123456789abcdef0123456789abcdef01234567", 56);
	end("uplink", "ping");
	start(0);
	add(DIAL, "\0\0\0", 3);
	add(FAILED, "\1\1", 2);
	add(DIAL, "\0\1\1", 3);
	add(FAILED, "\2\1", 2);
	add(CLOSE, "", 0);
	end("uplink", "failed");
	start(1);
	add(WELCOME, "", 0);
	add(FRAME, ping, sizeof(ping));
	add(CHECK, "", 0);
	add(CHECK | SEE, "", 0);
	add(BYTES, ping_frame, sizeof(ping_frame));
	add(BYTES, "\0\0\0\0", 4);
	end("uplink", "frames");
	start(2);
	add(UNDER, "HTTP/1.1 400 Bad Request\r\n", 26);
	end("uplink", "no-tls");
}

static unsigned int at_server(unsigned int who, unsigned int step, unsigned int number)
{
	return who | step << 2 | number << 6;
}

static void server(void)
{
	enum { BYTES, FRAME, HELLO, INVITE, REPLY, FORWARD, F_INVITE, F_REPLY, F_FAILED, F_REPLACED, STORE, PROBE, CLOSE,
	       TIME, UNDER, SLOWLY };	/* of fuzz_server.c */
	static const uint8_t request[] = "\0\1\0\0\x21\x12\xa4\x42" "abcdefghijkl";	/* STUN */

	add(at_server(0, HELLO, 0), "", 0);
	add(at_server(1, HELLO, 0), "", 0);
	add(at_server(0, INVITE, 1), "\1", 1);
	add(at_server(1, REPLY, 0), "\1", 1);
	add(at_server(0, CLOSE, 0), "", 0);
	end("server", "call");
	add(at_server(0, HELLO, 3), "", 0);
	add(at_server(0, INVITE, 1), "\1", 1);
	add(at_server(0, STORE, 0), "", 0);
	add(at_server(0, F_REPLY, 1), "\1", 1);
	add(at_server(0, INVITE, 2), "\2", 1);
	add(at_server(0, STORE, 0), "", 0);
	add(at_server(0, F_FAILED, 2), "\2", 1);
	add(at_server(0, INVITE, 2), "\3", 1);
	add(at_server(0, STORE, 2), "", 0);
	add(at_server(0, TIME, 2), "", 0);
	end("server", "elsewhere");
	add(at_server(1, HELLO, 0), "", 0);
	add(at_server(0, F_INVITE, 1), "\1", 1);
	add(at_server(1, REPLY, 0), "\1", 1);
	add(at_server(0, F_REPLACED, 1), "", 0);
	add(at_server(0, STORE, 3), "\1", 1);
	add(at_server(0, FORWARD, 0), "\n\2", 2);
	end("server", "remote");
	add(at_server(0, HELLO, 0), "", 0);
	add(at_server(0, FRAME, 0), ping, sizeof(ping));
	add(at_server(0, SLOWLY, 0), ping_frame, sizeof(ping_frame));
	add(at_server(0, BYTES, 0), "\0\0\0\0", 4);
	add(at_server(0, UNDER, 0), "GET /\r\n", 7);
	end("server", "ping");
	add(at_server(0, PROBE, 0), request, sizeof(request) - 1);
	add(at_server(0, PROBE, 1), request, sizeof(request) - 1);
	end("server", "probe");
}

static void seal(void)
{
	enum { BYTES, RECORD, DATA, CHANGED, PROGRAM, KEYS, END, FIN, MORE = 8 };	/* of fuzz_seal.c */
	unsigned int first;
	char name[32];

	for (first = 0; first < 4; first++) {
		start(first);
		add(DATA, "hello", 5);
		add(PROGRAM, "answer", 6);
		add(DATA | MORE, "padded", 6);
		add(END, "", 0);
		add(FIN, "", 0);
		snprintf(name, sizeof(name), "ends-%u", first);
		end("seal", name);
		start(first);
		add(KEYS, "", 0);
		add(DATA, "a", 1);
		add(KEYS | MORE, "", 0);
		add(DATA, "b", 1);
		add(PROGRAM, "c", 1);
		add(CHANGED, "def", 3);
		add(DATA, "g", 1);
		snprintf(name, sizeof(name), "keys-%u", first);
		end("seal", name);
		start(first);
		add(RECORD, "\x16\4\0\0\4\0\0\0", 9);	/* NewSessionTicket */
		add(RECORD, "\x15\1\x0a", 3);
		add(BYTES, "\x17\3\3\0\5" "abcde", 10);
		snprintf(name, sizeof(name), "odd-%u", first);
		end("seal", name);
		start(first | 4);
		add(30, "\1", 1);
		add(0, "\0\0\0\1", 4);
		snprintf(name, sizeof(name), "middle-%u", first);
		end("seal", name);
	}
}

void seeds_chunks(void)
{
	porter();
	seal();
	uplink();
	server();
	relayleg();
	talk();
	relay();
	answers();
}
