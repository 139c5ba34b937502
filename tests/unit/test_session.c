/* SPDX-License-Identifier: MIT */
/*
 * test_session.c - a session that somebody wants to confuse: strangers, repeated nominations, a program that goes away
 *
 * The sessions are begun where both sides know the secret; their paths are real sockets, their pumps processes of
 * their own: this program, executed again.
 */
#include "resolver/session_inlet.c"

#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#include "common/preamble.h"
#include "resolver/names.h"
#include "resolver/pair.h"
#include "resolver/process.h"
#include "resolver/pump.h"
#include "resolver/services_internal.h"
#include "resolver/talk.h"
#include "tests/unit/scratch.h"
#include "tests/unit/world.h"

#define PATIENCE (10 * SECOND)	/* us: far more than a handshake takes */

static struct node node;
static struct secret secret;
static const uint8_t id[SESSION_SIZE] = "session of test";

static int begin(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	setenv("PUNCH_KTLS", "no", 1);
	secret_random(&secret, sizeof(secret));
	node.base = event_base_new();
	node.sessions = sessions_new(&node);
	node.crypts = crypts_new(&node);
	node.names = names_new();
	node.services = services_new(&node);
	return node.base && node.sessions && node.crypts && node.names && node.services ? world_isolate() : -1;
}

static int end(void **state)
{
	(void)state;
	sessions_free(node.sessions);
	crypts_free(node.crypts);
	services_free(node.services);
	names_free(node.names);
	event_base_free(node.base);
	return 0;
}

static struct session *session_of_test(bool caller, enum session_state state)
{
	struct session *s = session_new(&node, caller);

	assert_non_null(s);
	memcpy(s->id, id, sizeof(id));
	s->secret = secret;
	s->encrypted = true;
	s->family = AF_INET;
	strcpy(s->peer.name, "peer");
	s->deadline = clock_now() + 60 * SECOND;
	s->state = state;
	session_arm(s, s->deadline);
	return s;
}

/* Ours is @ends[0] */
static void connected(int ends[2])
{
	assert_int_equal(pair_make(AF_INET, ends), 0);
	assert_int_equal(evutil_make_socket_nonblocking(ends[0]), 0);
}

static void say(int fd, enum preamble_kind kind)
{
	uint8_t preamble[PREAMBLE_SIZE];

	assert_int_equal(preamble_make(preamble, kind, id, &secret), 0);
	assert_int_equal(send(fd, preamble, sizeof(preamble), 0), (ssize_t)sizeof(preamble));
}

static void hear(int fd, enum preamble_kind kind)
{
	uint8_t preamble[PREAMBLE_SIZE];

	assert_int_equal(recv(fd, preamble, sizeof(preamble), MSG_WAITALL), (ssize_t)sizeof(preamble));
	assert_true(preamble_check(preamble, kind, id, &secret));
}

static bool is_covering(void *arg)
{
	return ((struct session *)arg)->state == SESSION_COVERING;
}

/* What we sent has been read, or the far end has closed: all but FIN */
static bool is_closed(void *arg)
{
	char bytes[PREAMBLE_SIZE];
	ssize_t n;

	while ((n = recv(*(int *)arg, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0)
		;
	return n == 0 || errno == ECONNRESET;
}

static bool has_spoken(void *arg)
{
	const struct inlets *inlets = arg;
	const struct visitor *visitor = TAILQ_FIRST(&inlets->visitors);

	return !visitor || visitor->spoke;
}

static bool is_gone(void *arg)
{
	(void)arg;
	return sessions_count(node.sessions) == 0;
}

static unsigned int paths(const struct session *s)
{
	unsigned int i, count = 0;

	for (i = 0; i < SESSION_PATHS; i++)
		count += s->paths[i] != NULL;
	return count;
}

/* ------------------------------------------------------------ states */

static void an_edge_that_is_none_is_a_defect(void **state)
{
	struct session *s = session_of_test(true, SESSION_UPLINK);
	int status;
	pid_t pid;

	(void)state;
	pid = fork();
	if (!pid) {
		signal(SIGABRT, SIG_DFL);
		close(STDERR_FILENO);
		session_set_state(s, SESSION_PUNCHING);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	session_cancel(s);
	assert_true(world_until(node.base, is_gone, NULL));
}

/* ------------------------------------------------------------ a nomination that comes twice */

static struct session *covering(int ends[2])
{
	struct session *s = session_of_test(false, SESSION_PUNCHING);

	connected(ends);
	assert_non_null(session_add_path(s, ends[0], LOCAL_PATH_DIRECT, false));
	say(ends[1], PREAMBLE_CALLER);
	say(ends[1], PREAMBLE_NOMINATE);
	assert_true(world_until(node.base, is_covering, s));
	return s;
}

static void a_second_nomination_at_the_mapped_port_changes_nothing(void **state)
{
	struct inlets inlets = { .node = &node };
	int first[2], second[2];
	struct session *s;

	(void)state;
	TAILQ_INIT(&inlets.visitors);
	s = covering(first);
	connected(second);
	visitor_new(&inlets, second[0]);
	say(second[1], PREAMBLE_CALLER);
	say(second[1], PREAMBLE_NOMINATE);
	assert_true(world_until(node.base, has_spoken, &inlets));
	world_turn(node.base, 100);
	assert_int_equal(s->state, SESSION_COVERING);
	assert_int_equal(paths(s), 0);
	assert_int_equal(inlets.visitor_count, 1);	/* it waits for another session of this name, until its patience is over */
	visitor_free(TAILQ_FIRST(&inlets.visitors));
	session_cancel(s);
	assert_true(world_until(node.base, is_gone, NULL));
	close(first[1]);
	close(second[1]);
}

static void a_path_that_comes_after_the_choice_is_closed(void **state)
{
	int first[2], second[2];
	struct session *s;

	(void)state;
	s = covering(first);
	connected(second);
	assert_null(session_add_path(s, second[0], LOCAL_PATH_DIRECT, true));
	assert_true(world_until(node.base, is_closed, &second[1]));
	session_cancel(s);
	assert_true(world_until(node.base, is_gone, NULL));
	close(first[1]);
	close(second[1]);
}

static void a_nomination_may_come_before_go(void **state)
{
	struct session *s = session_of_test(false, SESSION_ANSWERED);
	int ends[2];

	(void)state;
	connected(ends);
	assert_non_null(session_add_path(s, ends[0], LOCAL_PATH_DIRECT, false));
	say(ends[1], PREAMBLE_CALLER);
	say(ends[1], PREAMBLE_NOMINATE);
	assert_true(world_until(node.base, is_covering, s));
	session_cancel(s);
	assert_true(world_until(node.base, is_gone, NULL));
	close(ends[1]);
}

/* ------------------------------------------------------------ a program that goes away */

struct far {
	struct node node;
	bool done;
	int fd;
};

static void on_far(void *arg, const struct crypt_result *result)
{
	struct far *far = arg;

	far->done = true;
	far->fd = result->fd;
}

static bool is_far_done(void *arg)
{
	return ((struct far *)arg)->done;
}

/* Does a pump's note wait for us? */
static bool is_noted(void *arg)
{
	int fd, type;
	socklen_t size = sizeof(type);

	(void)arg;
	for (fd = 3; fd < 256; fd++) {
		struct pollfd pollfd = { .fd = fd, .events = POLLIN };

		if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_SEQPACKET &&
		    poll(&pollfd, 1, 0) == 1)
			return true;
	}
	return false;
}

/* The note and the hang-up are seen in one turn of the loop, the hang-up first */
static void who_hangs_up_as_the_pump_is_done_is_told_nothing(void **state)
{
	struct far far = { .fd = -1 };
	struct crypts *side;
	struct session *s = session_of_test(true, SESSION_PUNCHING);
	int ends[2];

	(void)state;
	s->go = clock_now();
	connected(ends);
	assert_non_null(session_add_path(s, ends[0], LOCAL_PATH_DIRECT, true));
	say(ends[1], PREAMBLE_CALLEE);
	assert_true(world_until(node.base, is_covering, s));
	hear(ends[1], PREAMBLE_CALLER);
	hear(ends[1], PREAMBLE_NOMINATE);
	/* The far end's has a loop of its own: ours stands still meanwhile */
	far.node.base = event_base_new();
	side = crypts_new(&far.node);
	assert_non_null(crypt_start(side, false, id, secret.traffic, ends[1], PATIENCE, on_far, &far));
	assert_true(world_until(far.node.base, is_far_done, &far));
	assert_true(world_until(NULL, is_noted, NULL));
	session_cancel(s);
	assert_true(world_until(node.base, is_gone, NULL));
	close(far.fd);
	crypts_free(side);
	event_base_free(far.node.base);
}

/* ------------------------------------------------------------ strangers */

static bool is_silent(void *arg)
{
	const struct session *s = arg;

	return clock_now() - path_since(s->paths[0]) >= SESSION_SILENT;
}

static void silent_strangers_keep_nobody_out(void **state)
{
	struct session *s = session_of_test(false, SESSION_PUNCHING);
	int strangers[SESSION_PATHS_CAME + 1][2], ours[2];
	struct path *path;
	unsigned int i;

	(void)state;
	s->go = clock_now();
	for (i = 0; i < SESSION_PATHS_CAME; i++) {
		connected(strangers[i]);
		assert_non_null(session_add_path(s, strangers[i][0], LOCAL_PATH_DIRECT, false));
	}
	/* a young one may be the peer's, who is about to choose it */
	connected(strangers[i]);
	assert_null(session_add_path(s, strangers[i][0], LOCAL_PATH_DIRECT, false));
	assert_int_equal(paths(s), SESSION_PATHS_CAME);
	connected(ours);
	path = session_add_path(s, ours[0], LOCAL_PATH_RELAY, true);
	assert_non_null(path);
	close(strangers[i][1]);
	assert_true(world_until(node.base, is_silent, s));
	connected(strangers[i]);
	assert_non_null(session_add_path(s, strangers[i][0], LOCAL_PATH_DIRECT, false));
	assert_true(world_until(node.base, is_closed, &strangers[0][1]));	/* the oldest made room */
	say(ours[1], PREAMBLE_CALLER_RELAYED);
	say(ours[1], PREAMBLE_NOMINATE);
	assert_true(world_until(node.base, is_covering, s));
	session_cancel(s);
	assert_true(world_until(node.base, is_gone, NULL));
	for (i = 0; i < SESSION_PATHS_CAME + 1; i++)
		close(strangers[i][1]);
	close(ours[1]);
}

static void what_we_dialled_makes_room_for_nobody(void **state)
{
	struct session *s = session_of_test(false, SESSION_PUNCHING);
	int ours[SESSION_PATHS][2], stranger[2];
	unsigned int i;

	(void)state;
	s->go = clock_now();
	for (i = 0; i < SESSION_PATHS; i++) {
		connected(ours[i]);
		assert_non_null(session_add_path(s, ours[i][0], LOCAL_PATH_DIRECT, true));
	}
	connected(stranger);
	assert_null(session_add_path(s, stranger[0], LOCAL_PATH_DIRECT, false));
	assert_int_equal(paths(s), SESSION_PATHS);
	session_cancel(s);
	assert_true(world_until(node.base, is_gone, NULL));
	for (i = 0; i < SESSION_PATHS; i++)
		close(ours[i][1]);
	close(stranger[1]);
}

/* ------------------------------------------------------------ the budget of SYNs */

static bool is_any_trusted(void *arg)
{
	const struct budget *budget = &node.sessions->budget;
	unsigned int i;

	(void)arg;
	for (i = 0; i < BUDGET_TARGETS; i++)
		if (budget->targets[i].trusted)
			return true;
	return false;
}

static bool is_pathless(void *arg)
{
	return !session_any_path(arg);
}

/* A connection alone proves nothing: whoever is sent there may be an accomplice, or a victim that listens */
static void an_address_is_free_of_the_budget_once_it_has_proven_itself(void **state)
{
	struct session *s = session_of_test(false, SESSION_PUNCHING);
	uint8_t rubbish[PREAMBLE_SIZE] = "rubbish";
	int ends[2][2];

	(void)state;
	s->go = clock_now();
	assert_int_equal(node.sessions->budget.open, 0);
	memset(&node.sessions->budget, 0, sizeof(node.sessions->budget));	/* other tests' paths were proven */
	connected(ends[0]);
	assert_non_null(session_add_path(s, ends[0][0], LOCAL_PATH_DIRECT, true));
	world_turn(node.base, 50);
	hear(ends[0][1], PREAMBLE_CALLEE);
	assert_int_equal(paths(s), 1);
	assert_false(is_any_trusted(NULL));
	assert_int_equal(send(ends[0][1], rubbish, sizeof(rubbish), 0), (ssize_t)sizeof(rubbish));
	assert_true(world_until(node.base, is_pathless, s));
	assert_false(is_any_trusted(NULL));
	connected(ends[1]);
	assert_non_null(session_add_path(s, ends[1][0], LOCAL_PATH_DIRECT, true));
	say(ends[1][1], PREAMBLE_CALLER);
	assert_true(world_until(node.base, is_any_trusted, NULL));
	session_cancel(s);
	assert_true(world_until(node.base, is_gone, NULL));
	close(ends[0][1]);
	close(ends[1][1]);
}

/* ------------------------------------------------------------ answers */

static struct key callee, mallory;

static void on_done(void *arg, const struct session_result *result)
{
	*(struct session_result *)arg = *result;
}

/* Who has asked callee, and is about to hear */
static struct session *asking(struct session_result *result)
{
	struct session *s = session_of_test(true, SESSION_INVITED);
	struct invitation in = { .port = 9, .encrypt = (uint32_t)s->encrypt };

	*result = (struct session_result){ .error = -1 };
	s->done = on_done;
	s->arg = result;
	s->port = in.port;
	memcpy(s->peer.key, callee.public, KEY_SIZE);
	memcpy(in.session, s->id, SESSION_SIZE);
	memcpy(in.caller_key, node.key.public, KEY_SIZE);
	memcpy(in.callee_key, callee.public, KEY_SIZE);
	memcpy(in.ephemeral, s->ephemeral.public, KEY_SIZE);
	assert_int_equal(invitation_sign(&in, &node.key, &s->invitation), 0);
	return s;
}

/* "Yes" to what @s has asked */
static struct answer yes_to(const struct session *s)
{
	struct answer answer = { .status = PUNCH__ANSWER_STATUS__ANSWER_ACCEPTED, .encrypt = PUNCH__ENCRYPT__ENCRYPT_YES };
	struct ephemeral ephemeral;

	assert_int_equal(ephemeral_make(&ephemeral), 0);
	memcpy(answer.ephemeral, ephemeral.public, KEY_SIZE);
	memcpy(answer.session, s->id, SESSION_SIZE);
	memcpy(answer.caller_key, node.key.public, KEY_SIZE);
	memcpy(answer.callee_key, callee.public, KEY_SIZE);
	assert_int_equal(secret_hash(s->invitation.data, s->invitation.size, answer.invitation_hash), 0);
	ephemeral_wipe(&ephemeral);
	return answer;
}

static void answered(struct session *s, const struct answer *answer, const struct key *key)
{
	Punch__Answered message = PUNCH__ANSWERED__INIT;
	Punch__Signed payload = PUNCH__SIGNED__INIT;
	uint8_t signature[SIGNATURE_SIZE];
	struct body body = { 0 };

	assert_int_equal(answer_sign(answer, key, &body), 0);
	memcpy(signature, body.signature, sizeof(signature));
	payload.body = (ProtobufCBinaryData){ .len = body.size, .data = body.data };
	payload.signature = (ProtobufCBinaryData){ .len = sizeof(signature), .data = signature };
	message.payload = &payload;
	caller_answered(s, &message);
	body_free(&body);
}

/* Each is signed by whom it names, so only the caller can see that it is no answer to what it asked */
static void an_answer_to_something_else_is_refused(void **state)
{
	struct session_result result;
	unsigned int wrong;

	(void)state;
	assert_int_equal(key_generate(&node.key), 0);
	assert_int_equal(key_generate(&callee), 0);
	assert_int_equal(key_generate(&mallory), 0);
	for (wrong = 0; wrong < 5; wrong++) {
		struct session *s = asking(&result);
		struct answer answer = yes_to(s);

		switch (wrong) {
		case 0:
			answer.invitation_hash[HASH_SIZE - 1] ^= 1;
			break;
		case 1:
			answer.session[0] ^= 1;
			break;
		case 2:
			memcpy(answer.caller_key, mallory.public, KEY_SIZE);
			break;
		case 3:
			memcpy(answer.callee_key, mallory.public, KEY_SIZE);
			break;
		default:	/* nothing: this one is good */
			break;
		}
		answered(s, &answer, wrong == 3 ? &mallory : &callee);
		assert_int_equal(s->state, wrong < 4 ? SESSION_OVER : SESSION_ANSWERED);
		assert_int_equal(result.error, wrong < 4 ? EACCES : -1);
		session_cancel(s);
		assert_true(world_until(node.base, is_gone, NULL));
	}
	key_wipe(&mallory);
	key_wipe(&callee);
	key_wipe(&node.key);
}

/* ------------------------------------------------------------ invitations */

static void on_nothing(void *arg, struct talk *talk, const Punch__Message *message)
{
	(void)arg;
	(void)talk;
	(void)message;
}

/* For a port where nothing is. Return: how many sessions came of it */
static unsigned int invited(const struct invitation *in, const struct body *body)
{
	Punch__Invited message = PUNCH__INVITED__INIT;
	Punch__Signed payload = PUNCH__SIGNED__INIT;
	static const uint8_t sealing[32];
	uint8_t signature[SIGNATURE_SIZE];
	unsigned int count;
	int ends[2];

	memcpy(signature, body->signature, sizeof(signature));
	payload.body = (ProtobufCBinaryData){ .len = body->size, .data = body->data };
	payload.signature = (ProtobufCBinaryData){ .len = sizeof(signature), .data = signature };
	message.session = convert_bytes(in->session, SESSION_SIZE);
	message.from = convert_bytes(in->caller_key, KEY_SIZE);
	message.payload = &payload;
	connected(ends);
	callee_invited(&node, NULL, talk_new(node.base, ends[0], sealing, sealing, on_nothing, NULL), &message);
	count = sessions_count(node.sessions);
	assert_true(world_until(node.base, is_gone, NULL));
	close(ends[1]);
	return count;
}

static void sign(struct invitation *in, const struct key *key, struct body *body)
{
	struct ephemeral ephemeral;

	*in = (struct invitation){ .port = 9 };
	assert_int_equal(ephemeral_make(&ephemeral), 0);
	memcpy(in->ephemeral, ephemeral.public, KEY_SIZE);
	secret_random(in->session, SESSION_SIZE);
	memcpy(in->caller_key, key->public, KEY_SIZE);
	memcpy(in->callee_key, node.key.public, KEY_SIZE);
	assert_int_equal(invitation_sign(in, key, body), 0);
	ephemeral_wipe(&ephemeral);
}

static void strangers_make_no_old_invitation_new(void **state)
{
	struct invitation old, other;
	struct body old_body = { 0 }, body = { 0 };
	struct key alice, stranger;
	unsigned int i;

	(void)state;
	assert_int_equal(key_generate(&node.key), 0);
	assert_int_equal(key_generate(&alice), 0);
	assert_int_equal(key_generate(&stranger), 0);
	node.conf.peer_count = 1;
	node.conf.peers = calloc(1, sizeof(*node.conf.peers));
	assert_non_null(node.conf.peers);
	strcpy(node.conf.peers[0].name, "alice");
	key_text(alice.public, node.conf.peers[0].key);
	sign(&old, &alice, &old_body);
	assert_int_equal(invited(&old, &old_body), 1);	/* which says that nothing is there */
	assert_int_equal(invited(&old, &old_body), 0);
	for (i = 0; i < SESSION_REPLAYS; i++) {
		sign(&other, &stranger, &body);
		assert_int_equal(invited(&other, &body), 0);
		body_free(&body);
	}
	assert_int_equal(invited(&old, &old_body), 0);
	body_free(&old_body);
	free(node.conf.peers);
	node.conf.peer_count = 0;
	key_wipe(&stranger);
	key_wipe(&alice);
	key_wipe(&node.key);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_edge_that_is_none_is_a_defect),
		cmocka_unit_test(a_second_nomination_at_the_mapped_port_changes_nothing),
		cmocka_unit_test(a_path_that_comes_after_the_choice_is_closed),
		cmocka_unit_test(a_nomination_may_come_before_go),
		cmocka_unit_test(who_hangs_up_as_the_pump_is_done_is_told_nothing),
		cmocka_unit_test(silent_strangers_keep_nobody_out),
		cmocka_unit_test(what_we_dialled_makes_room_for_nobody),
		cmocka_unit_test(an_address_is_free_of_the_budget_once_it_has_proven_itself),
		cmocka_unit_test(an_answer_to_something_else_is_refused),
		cmocka_unit_test(strangers_make_no_old_invitation_new),
	};

	if (argc == 2 && strcmp(argv[1], "--pump") == 0) {
		process_title_init(argc, argv);
		process_clean(PUMP_LINK_FD + 1);
		log_init("pump", getenv("PUNCH_LOG"), NULL);
		return pump_run(PUMP_LINK_FD);
	}
	return cmocka_run_group_tests_name("session", tests, begin, end);
}
