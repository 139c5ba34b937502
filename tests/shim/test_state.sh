#!/bin/bash
# SPDX-License-Identifier: MIT
# A service's folder for state reaches the resolver that the library starts; without any folder it says what is lost
# parallel: yes
. "$(dirname "$0")/shim.sh"

"$B/punchctl" keygen "$T/conf/alice.key" >/dev/null
sed -i 's/^rendezvous = .*/rendezvous = 127.0.0.1:9/' "$T/conf/punch.conf"
python=$(command -v python3)
resolves() { # NAME=VALUE...: as a service without a user of its own has it
	env -i PUNCH_CONF="$PUNCH_CONF" PUNCH_LOG_FILE="$T/log" "$@" LD_PRELOAD="$B/libpunch.so" \
		"$python" -c 'import socket; print(socket.gethostbyname("bob"))' >/dev/null
}
its_variable() { tr '\0' '\n' <"/proc/$("$B/punchctl" status --json | jq .pid)/environ" | grep -qxF "$1"; }

check "a look-up with a folder for state" resolves STATE_DIRECTORY="$T/state"
check "its resolver knows the folder" its_variable "STATE_DIRECTORY=$T/state"
check "punchctl stop" "$B/punchctl" stop
check "nothing is said of it" eval "! grep -q 'saved state' \"$T/log\""
check "a look-up without one" resolves
check "what is lost is said" wait_for grep -q 'no folder for saved state.* outlive a revocation' "$T/log"
check "punchctl stop" "$B/punchctl" stop
exit $status
