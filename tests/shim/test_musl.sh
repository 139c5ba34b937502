#!/bin/bash
# SPDX-License-Identifier: MIT
# The library is built against glibc and works in programs of musl, too
# parallel: yes
. "$(dirname "$0")/shim.sh"

MUSL=$B/tests/shim/musl
[ -x "$MUSL" ] || {
	echo "SKIP a program of musl: no musl-gcc here"
	exit 77
}
ECHO=$((28000 + $$ % 4000))
start python3 tests/shim/echo.py $ECHO
wait_for listens $ECHO || fail "the echo server runs"
check "a program of musl reaches a peer" under "$MUSL" $ECHO
exit $status
