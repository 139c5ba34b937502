# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# What the tests of the shim have in common; source it.
#
# T		a folder of this test's own, with conf/punch.conf; removed in the end, and the double stopped
# under CMD...	run CMD under the shim whose resolver is the test double
# ok NAME / fail NAME [WHY] / check NAME CMD...	report a case
# wait_for CMD...	until CMD succeeds, at most 10 s

cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
B=${LAB_BUILD:-$PWD/build}
LIB=$B/tests/shim/lib
export DOUBLE=$B/tests/shim/double
T=$(mktemp -d)
export WEB=$((18000 + $$ % 5000)) SSH_PORT=$((23000 + $$ % 5000)) # ports of [service web] and [service ssh]
STARTED=()
status=0

mkdir "$T/conf"
cat >"$T/conf/punch.conf" <<CONF
[node]
name = alice
key = alice.key
rendezvous = rdv.example.org
[peer bob]
key = 11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=
alias = bob.example.org 10.9.0.2
[peer slow]
key = PUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw=
[peer lazy]
key = RKjYLM8uxJaMwM1V8Sr0ZgwPUAXw+hDiVqStwqnTRts=
[peer refuser]
key = /FHNjmIYoaONpH7QAjDwWAgW7RO6MwOsXeuRFUiQgCU=
[peer never]
key = 7TyWQHOg7hcvPapiMlrwIaaPcHURo11qYAYKxCrfVSc=
[peer denied]
key = hcvPapiMlrwIaaPcHURo11qYAYKxCrfVS7TyWQHOg7g=
[service web]
port = $WEB
[service ssh]
port = $SSH_PORT
CONF

export PUNCH_CONF=$T/conf/punch.conf PUNCH_TIMEOUT=2 CMOCKA_MESSAGE_OUTPUT=${CMOCKA_MESSAGE_OUTPUT:-tap}
unset PUNCH_SECRET PUNCH_LOG PUNCH_LOG_FILE PUNCH_ROUTE

under() { env LD_PRELOAD="$LIB/libpunch.so" "$@"; }

cleanup() {
	local pid
	"$B/tests/shim/double" stop 2>/dev/null
	for pid in "${STARTED[@]}"; do
		kill "$pid" 2>/dev/null
	done
	rm -rf "$T"
}
trap cleanup EXIT

ok() { echo "ok - $1"; }
fail() {
	status=1
	echo "not ok - $1"
	[ -z "${2:-}" ] || printf '%s\n' "$2" | sed 's/^/# /'
}

check() {
	local name=$1 said
	shift
	if said=$("$@" 2>&1); then ok "$name"; else fail "$name" "$said"; fi
}

wait_for() {
	local i
	for ((i = 0; i < 500; i++)); do
		"$@" >/dev/null 2>&1 && return 0
		sleep 0.02
	done
	return 1
}

listens() { ss -Hltn "sport = :$1" | grep -q .; }

# start CMD...: in the background, ended with the test
start() {
	"$@" &
	STARTED+=($!)
}
