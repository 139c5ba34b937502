/* SPDX-License-Identifier: MIT */
/*
 * test_mapper.c - what the mapper holds, and how long
 *
 * The gateway is a function of the test.
 */
#include "resolver/mapper.c"

#include "tests/unit/clock_ahead.h"
#include "tests/unit/scratch.h"

#define HOUR	(3600 * SECOND)

static bool grants;

int mapper_pcp(const struct endpoint *gateway, struct lease *lease, uint32_t lifetime)
{
	(void)gateway;
	if (!grants)
		return -ETIMEDOUT;
	lease->granted = lifetime;
	return endpoint_parse(&lease->external, "198.51.100.7", 4711);
}

int mapper_natpmp(const struct endpoint *gateway, struct lease *lease, uint32_t lifetime)
{
	return mapper_pcp(gateway, lease, lifetime);
}

int mapper_upnp(const struct endpoint *gateway, struct lease *lease, uint32_t lifetime)
{
	return mapper_pcp(gateway, lease, lifetime);
}

int mapper_upnp_pinhole(const struct endpoint *gateway, struct lease *lease, uint32_t lifetime)
{
	return mapper_pcp(gateway, lease, lifetime);
}

int mapper_router(struct endpoint *router, struct endpoint *own)
{
	(void)router;
	(void)own;
	return -ENETUNREACH;
}

int mapper_gateway(struct endpoint *gateway)
{
	(void)gateway;
	return -ENETUNREACH;
}

int mapper_listen(int family)
{
	(void)family;
	return -EAFNOSUPPORT;
}

int mapper_heard(int fd, struct endpoint *from, uint32_t *epoch)
{
	(void)fd;
	(void)from;
	(void)epoch;
	return -EAGAIN;
}

static void a_lease_ends_while_the_host_sleeps(void **state)
{
	struct mapper mapper = { .ear = -1, .count = 1 };
	struct held *held = &mapper.held[0];

	(void)state;
	grants = true;
	assert_int_equal(renew(&mapper, MAPPER_PCP, held), 0);
	assert_true(held->have);
	/* Not answered once: the gateway has it still */
	grants = false;
	ahead = HOUR;
	assert_int_equal(renew(&mapper, MAPPER_PCP, held), -ETIMEDOUT);
	assert_true(held->have);
	ahead = 3 * HOUR;
	slept = 2 * HOUR;
	assert_int_equal(renew(&mapper, MAPPER_PCP, held), -ETIMEDOUT);
	assert_false(held->have);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_lease_ends_while_the_host_sleeps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
