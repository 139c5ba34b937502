#!/bin/bash
# SPDX-License-Identifier: MIT
# listen() and accept() for peers
# parallel: yes
. "$(dirname "$0")/shim.sh"

ulimit -Sn 64
under "$B/tests/shim/serve" || status=1
under "$B/tests/shim/names" || status=1
quick() { env -u PUNCH_CONF PUNCH_SECRET="a word of $$" PUNCH_RENDEZVOUS=rdv.example.org "$@"; }
quick env LD_PRELOAD="$LIB/libpunch.so" "$B/tests/shim/names" crowd || status=1
quick "$DOUBLE" stop

ring() { timeout 10 "$DOUBLE" ring bob "$WEB" </dev/null; }
passed() { [ "$(ring)" = 239.192.0.101 ]; }
start python3 tests/shim/passed.py "$WEB" "$LIB/libpunch.so"
check "a socket that systemd passed is published" wait_for passed
exit $status
