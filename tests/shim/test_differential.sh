#!/bin/bash
# SPDX-License-Identifier: MIT
# Every hooked call on what is not ours, with arguments good and bad, gives what the kernel gives; and can be
# cancelled
# parallel: yes
. "$(dirname "$0")/shim.sh"

differential() { # NAME COMMAND...
	local name=$1
	shift
	"$@" | sed "s/^\(\(not \)\?ok - \)/\1$name: /"
	[ "${PIPESTATUS[0]}" = 0 ] || status=1
}
differential 'peers and services' under "$B/tests/shim/differential"
differential 'two sockets to peers at hand' under "$B/tests/shim/differential" busy
under "$B/tests/shim/threads" || status=1
exit $status
