#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The borders between the folders hold; and includes.py, which says so, finds what breaks each rule.
# parallel: yes

cd "$(dirname "$0")/../.." || exit 1
failed=0

breaches=$(python3 tests/check/includes.py . 2>&1)
if [ -z "$breaches" ]; then
	echo "ok - no folder includes what is not its own, and the shim reaches libc alone"
else
	echo "not ok - a folder includes what is not its own"
	sed 's/^/# /' <<<"$breaches"
	failed=1
fi

tree=$(mktemp -d) || exit 1
trap 'rm -rf "$tree"' EXIT

# finds FILE LINE BREACH: with LINE in FILE, is BREACH all that is reported?
finds() {
	local said

	rm -rf "${tree:?}"/*
	mkdir -p "$tree"/{shim,resolver,rendezvous,relay,conf,common}
	cp Makefile "$tree"
	cp common/*.[ch] "$tree/common"
	printf '%s\n' "$2" >"$tree/$1"
	said=$(python3 tests/check/includes.py "$tree" 2>&1)
	if [ -n "$said" ] && ! grep -vF "$3" <<<"$said" >/dev/null; then
		echo "ok - finds $2 in $1"
	else
		echo "not ok - finds $2 in $1"
		printf '# said: %s\n' "$said"
		failed=1
	fi
}

finds shim/a.c '#include "common/key.h"' 'shim/a.c'
finds shim/a.c '#include <openssl/evp.h>' 'shim/a.c'
finds shim/a.c '# include "resolver/x.h"' 'shim/a.c includes resolver/x.h'
finds resolver/a.c '#include "shim/x.h"' 'resolver/a.c includes shim/x.h'
finds shim/a.c '#include "common/strength.h"' 'shim/a.c includes common/strength.h'
finds common/a.c '#include <zxcvbn.h>' 'which belongs to common/strength.c'
finds resolver/a.c '#include <ares.h>' 'which belongs to resolver/dns.c'
finds resolver/a.c '#include <hiredis/hiredis.h>' 'which resolver/ may not'
finds rendezvous/a.c '#include "relay/x.h"' 'rendezvous/a.c includes relay/x.h'
finds rendezvous/a.c '#include <hiredis/hiredis.h>' 'which belongs to rendezvous/store_redis.c'
finds relay/a.c '#include "rendezvous/x.h"' 'relay/a.c includes rendezvous/x.h'
finds conf/a.c '#include <ini.h>' 'which belongs to conf/conf.c'
finds conf/a.c '#include "common/secret.h"' 'conf/a.c includes common/secret.h'
finds common/a.c '#include "conf/conf.h"' 'common/a.c includes conf/conf.h'
finds common/a.c '#include <event2/event.h>' 'common/a.c includes event2/event.h'
finds common/endpoint.h '#include "common/key.h"' 'pure code reaches openssl/evp.h'
finds resolver/a.c 'x = dlsym(RTLD_NEXT, "connect");' 'which belongs to shim/libc.c'
exit $failed
