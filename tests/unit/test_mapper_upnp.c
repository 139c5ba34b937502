/* SPDX-License-Identifier: MIT */
/*
 * test_mapper_upnp.c - which external ports a gateway is asked for by UPnP, when it refuses some
 *
 * The gateway stands here, in the place of libminiupnpc's functions.
 */
#include "resolver/mapper_upnp.c"

#include "tests/unit/scratch.h"

#define OWN	4711

/* A gateway that maps a port to the same port alone; the external port @taken is somebody else's */
static unsigned int asked, taken;
static bool same_only;

int UPNP_GetExternalIPAddress(const char *control, const char *service, char *address)
{
	(void)control;
	(void)service;
	strcpy(address, "198.51.100.7");
	return 0;
}

int UPNP_AddPortMapping(const char *control, const char *service, const char *outer, const char *inner,
			const char *host, const char *description, const char *protocol, const char *remote,
			const char *lease)
{
	(void)control;
	(void)service;
	(void)host;
	(void)description;
	(void)protocol;
	(void)remote;
	(void)lease;
	asked++;
	if (same_only && strcmp(outer, inner))
		return SAME_PORTS;
	return (unsigned int)atoi(outer) == taken ? CONFLICT : 0;
}

static int ask(struct lease *lease)
{
	const struct endpoint gateway = { .family = AF_INET, .address = { 192, 168, 1, 1 } };

	asked = 0;
	igd.known = true;
	return mapper_upnp(&gateway, lease, 7200);
}

static void a_port_that_is_taken_is_not_asked_for_again(void **state)
{
	struct lease lease = { .internal = OWN };

	(void)state;
	same_only = false;
	taken = OWN;
	assert_int_equal(ask(&lease), 0);
	assert_int_not_equal(lease.external.port, OWN);
	assert_int_equal(asked, 2);
}

/* Nor is a random one where it cannot be: it would be tried to the end, and the own one never */
static void a_gateway_that_wants_the_same_port_is_asked_for_it(void **state)
{
	struct lease lease = { .internal = OWN };

	(void)state;
	same_only = true;
	taken = 0;
	lease.external.port = OWN + 1;	/* of the time before it was so */
	assert_int_equal(ask(&lease), 0);
	assert_int_equal(lease.external.port, OWN);
	assert_int_equal(asked, 2);
}

static void where_the_same_port_is_taken_there_is_none(void **state)
{
	struct lease lease = { .internal = OWN };

	(void)state;
	same_only = true;
	taken = OWN;
	assert_int_equal(ask(&lease), -EREMOTEIO);
	assert_int_equal(asked, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_port_that_is_taken_is_not_asked_for_again),
		cmocka_unit_test(a_gateway_that_wants_the_same_port_is_asked_for_it),
		cmocka_unit_test(where_the_same_port_is_taken_there_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
