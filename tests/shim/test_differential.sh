#!/bin/bash
# SPDX-License-Identifier: MIT
# Every hooked call on what is not ours, with arguments good and bad, gives what the kernel gives, or libc; and
# can be cancelled
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
# shellcheck disable=SC2016 # "$@" is the inner shell's
alone() { unshare -rn sh -c 'ip link set lo up; exec "$@"' sh "$@"; } # where there is no name server
if alone true 2>/dev/null; then
	differential 'look-ups' alone env LD_PRELOAD="$LIB/libpunch.so" "$B/tests/shim/differential_names"
else
	echo "SKIP look-ups: no network namespaces here"
fi
under "$B/tests/shim/threads" || status=1
exit $status
