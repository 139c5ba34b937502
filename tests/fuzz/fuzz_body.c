/* SPDX-License-Identifier: MIT */
/*
 * fuzz_body.c - invitations and answers: what a peer signed, or a server made up
 *
 * The first byte: bit 0 an answer, else an invitation; bit 1 the rest is a Punch__Signed as it came, else a body
 * that the fuzzer's own key signs, so that all behind the signature is reached by
 * bodies that name this key.  The key is no secret: its seed is all zero.
 */
#include <errno.h>
#include <string.h>

#include "common/convert.h"
#include "tests/fuzz/fuzz.h"

static struct key own;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static const uint8_t seed[KEY_SIZE];

	(void)argc;
	(void)argv;
	MUST(key_from_seed(&own, seed) == 0);
	return 0;
}

static void check_description(const struct description *d)
{
	unsigned int i;

	MUST(d->count <= LIMIT_CANDIDATES && d->hops <= 64);
	for (i = 0; i < d->count; i++) {
		MUST(d->candidates[i].endpoint.port != 0);
		MUST(endpoint_is_unicast(&d->candidates[i].endpoint));
	}
}

static void open_invitation(const Punch__Signed *signed_)
{
	struct invitation in, again;
	struct body body, copy;
	int rc = invitation_open(signed_, &in, &body);

	if (rc < 0) {
		MUST(!body.data && (rc == -EBADMSG || rc == -EKEYREJECTED || rc == -EPROTONOSUPPORT));
		return;
	}
	check_description(&in.description);
	MUST(in.sealed_size <= sizeof(in.sealed_name));
	if (memcmp(in.caller_key, own.public, KEY_SIZE) == 0) {
		Punch__Signed second = PUNCH__SIGNED__INIT;

		MUST(invitation_sign(&in, &own, &copy) == 0);
		second.body = convert_bytes(copy.data, copy.size);
		second.signature = convert_bytes(copy.signature, SIGNATURE_SIZE);
		body_free(&body);
		MUST(invitation_open(&second, &again, &body) == 0 && memcmp(&in, &again, sizeof(in)) == 0);
		body_free(&copy);
	}
	body_free(&body);
}

static void open_answer(const Punch__Signed *signed_)
{
	struct body body;
	struct answer in;
	int rc = answer_open(signed_, &in, &body);

	if (rc < 0) {
		MUST(!body.data && (rc == -EBADMSG || rc == -EKEYREJECTED || rc == -EPROTONOSUPPORT));
		return;
	}
	check_description(&in.description);
	MUST(in.status != PUNCH__ANSWER_STATUS__ANSWER_UNSPECIFIED);
	body_free(&body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Punch__Signed made = PUNCH__SIGNED__INIT, *came = NULL;
	uint8_t signature[SIGNATURE_SIZE];
	bool answer;

	if (size < 2)
		return 0;
	answer = *data & 1;
	if (*data & 2) {
		came = punch__signed__unpack(NULL, size - 1, data + 1);
		if (!came)
			return 0;
	} else {
		MUST(key_sign(&own, answer ? KEY_CONTEXT_ANSWER : KEY_CONTEXT_INVITATION, data + 1, size - 1,
			      signature) == 0);
		made.body = convert_bytes(data + 1, size - 1);
		made.signature = convert_bytes(signature, sizeof(signature));
	}
	if (answer)
		open_answer(came ? came : &made);
	else
		open_invitation(came ? came : &made);
	if (came)
		punch__signed__free_unpacked(came, NULL);
	return 0;
}
