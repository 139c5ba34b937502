/* SPDX-License-Identifier: MIT */
/*
 * study_verdict.c - core: what the outcomes of a study mean
 */
#include "common/clock.h"
#include "common/punch.pb-c.h"
#include "resolver/study.h"

/* A firewall's rules are changed without our network going down; a pair that gives up direct
 * paths must not do so for days */
#define STUDY_FRESH	(3600 * SECOND)

static bool is_kept_out(int outcome)
{
	return outcome == STUN_OUTCOME_REFUSED || outcome == STUN_OUTCOME_UNREACHABLE || outcome == STUN_OUTCOME_SILENT;
}

uint32_t study_filtering(const struct study_result *result)
{
	if (result->address == STUN_OUTCOME_ESTABLISHED)
		return PUNCH__FILTERING__FILTERING_ENDPOINT_INDEPENDENT;
	/* With a server of one address more cannot be known; this promises less */
	if (result->port == STUN_OUTCOME_ESTABLISHED)
		return PUNCH__FILTERING__FILTERING_ADDRESS_DEPENDENT;
	if (!is_kept_out(result->port))
		return PUNCH__FILTERING__FILTERING_UNKNOWN;
	if (is_kept_out(result->held))
		return PUNCH__FILTERING__FILTERING_SYN_ACK_ONLY;
	return PUNCH__FILTERING__FILTERING_ADDRESS_PORT_DEPENDENT;
}

bool study_fresh(uint64_t at, uint64_t now)
{
	return at && now - at < STUDY_FRESH;
}

bool study_by_address(const struct study_result *result)
{
	return result->mapped.family && result->elsewhere.family &&
	       !endpoint_equal(&result->mapped, &result->elsewhere);
}

uint32_t study_stray(const struct study_result *result)
{
	const int outcome = is_kept_out(result->port) ? result->port : result->address;

	switch (outcome) {
	case STUN_OUTCOME_REFUSED:
		return PUNCH__STRAY_SYN__STRAY_SYN_RST;
	case STUN_OUTCOME_UNREACHABLE:
		return PUNCH__STRAY_SYN__STRAY_SYN_ICMP;
	case STUN_OUTCOME_SILENT:
		return PUNCH__STRAY_SYN__STRAY_SYN_DROP;
	default:
		return PUNCH__STRAY_SYN__STRAY_SYN_UNKNOWN;
	}
}
