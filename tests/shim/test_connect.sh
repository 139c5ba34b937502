#!/bin/bash
# SPDX-License-Identifier: MIT
# connect() to a peer, waiting for it and not
# parallel: yes
. "$(dirname "$0")/shim.sh"

ulimit -Sn 64
for program in connect_blocking connect_async connect_odd numbers twice; do
	under "$B/tests/shim/$program" || status=1
done
mkdir "$T/empty"
under "$B/tests/shim/twice" _ "$T/empty" | sed 's/^\(\(not \)\?ok - \)/\1in an empty root: /'
[ "${PIPESTATUS[0]}" = 0 ] || status=1
under "$B/tests/shim/twice" _ nobody | sed 's/^\(\(not \)\?ok - \)/\1as another user: /'
[ "${PIPESTATUS[0]}" = 0 ] || status=1
exit $status
