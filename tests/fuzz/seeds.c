/* SPDX-License-Identifier: MIT */
/*
 * seeds.c - good inputs for the fuzz targets to start from: seeds FOLDER
 *
 * One of each message, with each field set, in the form that the target reads; files that are good as they stand.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/convert.h"
#include "common/frame.h"
#include "common/local.h"
#include "common/sources.h"
#include "common/stun.h"
#include "common/ticket.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/seeds.h"

static const char *folder;

void save(const char *target, const char *name, int head, const void *data, size_t size)
{
	char path[512];
	uint8_t first = (uint8_t)head;
	FILE *out;

	snprintf(path, sizeof(path), "%s/%s", folder, target);
	MUST(mkdir(path, 0755) == 0 || errno == EEXIST);
	snprintf(path, sizeof(path), "%s/%s/%s", folder, target, name);
	out = fopen(path, "w");
	MUST(out);
	if (head >= 0)
		fwrite(&first, 1, 1, out);
	fwrite(data, 1, size, out);
	MUST(fclose(out) == 0);
}

static void save_frame(const char *name, int type, const ProtobufCMessage *message)
{
	uint8_t *frame = NULL;
	ssize_t size = frame_pack(message, &frame);

	MUST(size > 0);
	save("frame", name, type, frame, (size_t)size);
	free(frame);
}

static void describe(struct description *d)
{
	static const struct candidate candidates[] = {
		{ 1, 126u << 24, { .family = AF_INET, .port = 40001, .address = { 192, 168, 1, 2 } } },
		{ 2, 105u << 24, { .family = AF_INET, .port = 40002, .address = { 198, 51, 100, 1 } } },
		{ 3, 100u << 24, { .family = AF_INET6, .port = 40003, .address = { 0x20, 1, 0xd, 0xb8, [15] = 1 } } },
		{ 4, 99u << 24, { .family = AF_INET, .port = 40004, .address = { 198, 51, 100, 1 } } },
	};

	memset(d, 0, sizeof(*d));
	memcpy(d->candidates, candidates, sizeof(candidates));
	d->count = sizeof(candidates) / sizeof(candidates[0]);
	d->mapping = PUNCH__MAPPING__MAPPING_ENDPOINT_INDEPENDENT;
	d->filtering = PUNCH__FILTERING__FILTERING_ADDRESS_PORT_DEPENDENT;
	d->port_rule = PUNCH__PORT_RULE__PORT_RULE_PRESERVED;
	d->hops = 2;
	d->guess = true;
}

static void bodies(const struct key *key)
{
	struct invitation in = { .port = 22, .sealed_size = 28 };
	struct answer out = { .status = PUNCH__ANSWER_STATUS__ANSWER_ACCEPTED, .encrypt = 1 };
	Punch__Signed signed_ = PUNCH__SIGNED__INIT;
	uint8_t packed[LIMIT_FRAME];
	struct body body;

	memcpy(in.caller_key, key->public, KEY_SIZE);
	describe(&in.description);
	MUST(invitation_sign(&in, key, &body) == 0);
	save("body", "invitation", 0, body.data, body.size);
	signed_.body = convert_bytes(body.data, body.size);
	signed_.signature = convert_bytes(body.signature, SIGNATURE_SIZE);
	save("body", "invitation-signed", 2, packed, punch__signed__pack(&signed_, packed));
	body_free(&body);
	memcpy(out.callee_key, key->public, KEY_SIZE);
	describe(&out.description);
	MUST(answer_sign(&out, key, &body) == 0);
	save("body", "answer", 1, body.data, body.size);
	body_free(&body);
}

static void uplink(void)
{
	static uint8_t session[SESSION_SIZE], key[KEY_SIZE], bytes[64];
	static char software[] = "punch 0.1.0", host[] = "relay.example.org";
	struct endpoint ep = { .family = AF_INET, .port = 4431, .address = { 203, 0, 113, 10 } };
	Punch__Message m = PUNCH__MESSAGE__INIT;
	Punch__Hello hello = PUNCH__HELLO__INIT;
	Punch__Welcome welcome = PUNCH__WELCOME__INIT;
	Punch__Invited invited = PUNCH__INVITED__INIT;
	Punch__Failed failed = PUNCH__FAILED__INIT;
	Punch__Go go = PUNCH__GO__INIT;
	Punch__Signed payload = PUNCH__SIGNED__INIT;
	Punch__RelayOffer offer = PUNCH__RELAY_OFFER__INIT, *offers[] = { &offer };
	Punch__Endpoint endpoint, *probes[] = { &endpoint };
	Punch__RelayAddress relay = PUNCH__RELAY_ADDRESS__INIT, *relays[] = { &relay };
	uint32_t ports[] = { 4431, 4432 };

	m.kind_case = PUNCH__MESSAGE__KIND_HELLO;
	m.hello = &hello;
	hello.version = PROTOCOL_VERSION;
	hello.software = software;
	hello.receive = true;
	save_frame("hello", 0, &m.base);
	endpoint_to_message(&ep, &endpoint);
	m.kind_case = PUNCH__MESSAGE__KIND_WELCOME;
	m.welcome = &welcome;
	welcome.version = PROTOCOL_VERSION;
	welcome.probe_ports = ports;
	welcome.n_probe_ports = 2;
	welcome.probes = probes;
	welcome.n_probes = 1;
	welcome.observed = &endpoint;
	welcome.keepalive_s = 25;
	relay.address = host;
	relay.port = 4433;
	welcome.relays = relays;
	welcome.n_relays = 1;
	save_frame("welcome", 0, &m.base);
	payload.body = convert_bytes(bytes, sizeof(bytes));
	payload.signature = convert_bytes(bytes, sizeof(bytes));
	offer.address = host;
	offer.port = 4433;
	offer.ticket = convert_bytes(bytes, sizeof(bytes));
	m.kind_case = PUNCH__MESSAGE__KIND_INVITED;
	m.invited = &invited;
	invited.session = convert_bytes(session, sizeof(session));
	invited.from = convert_bytes(key, sizeof(key));
	invited.payload = &payload;
	invited.relays = offers;
	invited.n_relays = 1;
	invited.caller_rtt_us = 40000;
	invited.own_rtt_us = 20000;
	save_frame("invited", 0, &m.base);
	m.kind_case = PUNCH__MESSAGE__KIND_GO;
	m.go = &go;
	go.session = convert_bytes(session, sizeof(session));
	go.start_in_us = 10000;
	save_frame("go", 0, &m.base);
	m.kind_case = PUNCH__MESSAGE__KIND_FAILED;
	m.failed = &failed;
	failed.reason = PUNCH__FAIL_REASON__FAIL_LIMIT;
	failed.text = software;
	failed.retry = true;
	save_frame("failed", 0, &m.base);
}

static void between_servers(void)
{
	static uint8_t session[SESSION_SIZE], key[KEY_SIZE], bytes[64];
	static char origin[] = "0123456789abcdef";
	Punch__Forward f = PUNCH__FORWARD__INIT;
	Punch__ForwardInvite invite = PUNCH__FORWARD_INVITE__INIT;
	Punch__Signed payload = PUNCH__SIGNED__INIT;
	Punch__RelayHello hello = PUNCH__RELAY_HELLO__INIT;
	Punch__RelayReply reply = PUNCH__RELAY_REPLY__INIT;

	payload.body = convert_bytes(bytes, sizeof(bytes));
	payload.signature = convert_bytes(bytes, sizeof(bytes));
	f.kind_case = PUNCH__FORWARD__KIND_INVITE;
	f.invite = &invite;
	invite.origin = origin;
	invite.session = convert_bytes(session, sizeof(session));
	invite.from = convert_bytes(key, sizeof(key));
	invite.to = convert_bytes(key, sizeof(key));
	invite.payload = &payload;
	invite.caller_rtt_us = 1000;
	invite.source = convert_bytes(key, SOURCE_PREFIX_SIZE);
	save_frame("forward", 1, &f.base);
	hello.ticket = convert_bytes(bytes, sizeof(bytes));
	save_frame("relay-hello", 2, &hello.base);
	reply.status = PUNCH__RELAY_STATUS__RELAY_JOINED;
	save_frame("relay-reply", 3, &reply.base);
}

static void state(void)
{
	static char name[] = "bob";
	struct endpoint ep = { .family = AF_INET, .port = 22 };
	Punch__SavedState saved = PUNCH__SAVED_STATE__INIT;
	Punch__SavedService service = PUNCH__SAVED_SERVICE__INIT, *services[] = { &service };
	Punch__SavedName entry = PUNCH__SAVED_NAME__INIT, *names[] = { &entry };
	Punch__SavedFirst first = PUNCH__SAVED_FIRST__INIT, *firsts[] = { &first };
	Punch__SavedNetwork network = PUNCH__SAVED_NETWORK__INIT, *networks[] = { &network };
	Punch__SavedNetworks known = PUNCH__SAVED_NETWORKS__INIT;
	Punch__NatFacts nat = PUNCH__NAT_FACTS__INIT;
	static const uint8_t key[16] = "0123456789abcde";
	uint8_t packed[512];
	Punch__Endpoint endpoint;

	endpoint_to_message(&ep, &endpoint);
	service.port = 22;
	service.listener = &endpoint;
	service.cookie = 1234;
	service.uid = 1000;
	entry.name = name;
	entry.slot = 77;
	saved.services = services;
	saved.n_services = 1;
	saved.names = names;
	saved.n_names = 1;
	save_frame("saved-state", 4, &saved.base);
	first.key = convert_bytes(key, sizeof(key));
	first.first = PUNCH__FIRST__FIRST_SYNC;
	first.until_s = 1000000 + 86400;
	saved.firsts = firsts;
	saved.n_firsts = 1;
	save("state", "state", 0, packed, punch__saved_state__pack(&saved, packed));
	network.key = convert_bytes(key, sizeof(key));
	network.seen_s = 999999;
	network.nat = &nat;
	nat.filtering = PUNCH__FILTERING__FILTERING_SYN_ACK_ONLY;
	nat.hops = 2;
	nat.lifetime = 64;
	known.networks = networks;
	known.n_networks = 1;
	save("state", "networks", 1, packed, punch__saved_networks__pack(&known, packed));
}

static void tickets(void)
{
	static uint8_t zero[KEY_SIZE];
	Punch__Ticket ticket = PUNCH__TICKET__INIT;
	uint8_t secret[RELAY_SECRET_SIZE] = { 0 }, sealed[TICKET_MAX], packed[TICKET_MAX];
	struct ticket t = { .side = TICKET_CALLER, .expires_s = 1000060 };
	int size = ticket_seal(&t, secret, sealed);

	MUST(size > 0);
	save("ticket", "sealed", 0, sealed, (size_t)size);
	ticket.session = convert_bytes(zero, SESSION_SIZE);
	ticket.side = PUNCH__RELAY_SIDE__RELAY_SIDE_CALLEE;
	ticket.caller_key = ticket.callee_key = convert_bytes(zero, KEY_SIZE);
	ticket.expires_s = 1000060;
	ticket.nonce = convert_bytes(zero, sizeof(t.nonce));
	save("ticket", "ticket", 1, packed, punch__ticket__pack(&ticket, packed));
}

static void stun(void)
{
	static const uint8_t id[STUN_ID] = "abcdefghijk";
	/* a request with two attributes that nobody knows */
	static const uint8_t unknown[] = { 0, 3, 0, 4, 0, 0, 0, 6, 0, 0x1a, 0, 3, 1, 2, 3, 0 };
	struct endpoint v6 = { .family = AF_INET6, .port = 40000, .address = { 0x20, 1, 0xd, 0xb8, [15] = 7 } };
	uint8_t request[STUN_MAX], out[STUN_MAX];
	size_t size = stun_request(request, id);
	ssize_t answer = stun_answer(request, size, &v6, NULL, out);

	MUST(answer > 0);
	save("stun", "request", -1, request, size);
	save("stun", "answer", -1, out, (size_t)answer);
	memcpy(request + size, unknown, sizeof(unknown));
	request[3] = (uint8_t)(size + sizeof(unknown) - STUN_HEADER);
	save("stun", "unknown-attributes", -1, request, size + sizeof(unknown));
}

static void files(const struct key *key)
{
	static const char secret[] = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n";
	static const char *const samples[] = { "punch.conf", "rendezvous.conf", "relay.conf" };
	char text[65536], line[256], path[64], why[256];
	unsigned int i;
	ssize_t n;
	int fd;

	for (i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "conf/%s", samples[i]);
		fd = open(path, O_RDONLY);
		n = read(fd, text, sizeof(text));
		MUST(n > 0);
		close(fd);
		save("conf", samples[i], (int)i, text, (size_t)n);
	}
	snprintf(path, sizeof(path), "/tmp/seeds-%d.key", (int)getpid());
	MUST(key_save(key, path, why, sizeof(why)) == 0);
	fd = open(path, O_RDONLY);
	n = read(fd, text, sizeof(text));
	close(fd);
	unlink(path);
	save("files", "key", 0, text, (size_t)n);
	save("files", "relay-secret", 1, secret, sizeof(secret) - 1);
	n = snprintf(line, sizeof(line), "# who may\n%s  alice\n", key_text(key->public, text));
	save("files", "allow", 2, line, (size_t)n);
	n = snprintf(line, sizeof(line), "rdv.example.org 4430 %s\n", text);
	save("files", "known", 3, line, (size_t)n);
}

/* Laid over a request of kind STATUS: PARK of a fresh socket to bob, LISTEN, NAME */
static void requests(void)
{
	static const struct { const char *name; uint8_t pass; enum local_kind kind; } list[] = {
		{ "name", 0, LOCAL_NAME }, { "dial", 0, LOCAL_DIAL }, { "park", 1, LOCAL_PARK },
		{ "claim", 1, LOCAL_CLAIM_PARKED }, { "listen", 3, LOCAL_LISTEN }, { "door", 1, LOCAL_CLAIM_DOORBELL },
		{ "doctor", 0, LOCAL_DOCTOR }, { "ping", 0, LOCAL_PING }, { "drain", 1, LOCAL_DRAIN_END },
	};
	uint8_t packet[4 + sizeof(struct local_request)];
	struct local_request over;
	unsigned int i;

	for (i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
		memset(&over, 0, sizeof(over));
		over.kind = list[i].kind ^ LOCAL_STATUS;
		strcpy(over.peer, "bob");
		over.target.port = 8080;
		packet[0] = list[i].pass;
		packet[1] = 1;
		packet[2] = sizeof(over) >> 8;
		packet[3] = sizeof(over) & 255;
		memcpy(packet + 4, &over, sizeof(over));
		save("local", list[i].name, -1, packet, sizeof(packet));
	}
}

int main(int argc, char **argv)
{
	/* two nodes join, one calls, the other answers, a server is lost */
	static const uint8_t steps[] = { 0, 0, 16, 0, 0, 1, 17, 1, 3, 8, 5, 1, 6, 1, 5, 1, 13, 1, 0, 9, 15, 0, 0, 255 };
	static const uint8_t nothing[57], seed[KEY_SIZE];
	struct key key;

	MUST(argc == 2);
	folder = argv[1];
	MUST(mkdir(folder, 0755) == 0 || errno == EEXIST);
	MUST(key_from_seed(&key, seed) == 0);
	bodies(&key);
	uplink();
	between_servers();
	state();
	tickets();
	stun();
	files(&key);
	requests();
	seeds_chunks();
	save("pcp", "answer", 0, nothing, sizeof(nothing));
	save("broker", "call", -1, steps, sizeof(steps));
	save("preamble", "good", 1, nothing, sizeof(nothing) - 1);
	save("quick", "name", 1, "\7bob", 4);
	save("quick", "sealed", 0, nothing, 28);
	save("quick", "endless", 3, "\7n123456789n123456789n123456789n123456789n123456789n123456789nnnn", 1 + LIMIT_NAME);
	key_wipe(&key);
	return 0;
}
