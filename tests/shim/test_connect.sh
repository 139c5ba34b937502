#!/bin/bash
# SPDX-License-Identifier: MIT
# connect() to a peer, waiting for it and not
# parallel: yes
. "$(dirname "$0")/shim.sh"

ulimit -Sn 64
for program in connect_blocking connect_async connect_odd numbers twice; do
	under "$B/tests/shim/$program" || status=1
done
twice() { # NAME SURROUNDINGS: every case of it there
	under "$B/tests/shim/twice" _ "$2" | sed "s/^\(\(not \)\?ok - \)/\1$1: /"
	[ "${PIPESTATUS[0]}" = 0 ] || status=1
}
mkdir "$T/empty"
twice 'IPv6' six
twice 'in an empty root' "$T/empty"
twice 'as another user' nobody
exit $status
