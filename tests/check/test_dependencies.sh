#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Every package that `make deps` installs is explained, and tests/deps behaves where it can be watched
# without installing anything.
# parallel: yes

cd "$(dirname "$0")/../.." || exit 1
failed=0
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
# another user must be able to run it, wherever the project lies
chmod 755 "$work" && cp tests/deps "$work" || exit 1

ok() { # STATUS NAME [DETAIL]
	if [ "$1" = 0 ]; then echo "ok - $2"; else
		echo "not ok - $2"
		[ -z "${3:-}" ] || sed 's/^/# /' <<<"$3"
		failed=1
	fi
}

packages=$(sed -E ':join; /\\$/ { N; s/\\\n//; b join }' Makefile | sed -nE 's/^DEPS(_DEMO|_TEST|_FOREIGN|_BENCH)?[[:space:]]*=//p' | xargs)
documented=$(sed -nE 's/^\| ([a-z][a-z0-9.+-]+) \|.*/\1/p' docs/dependencies.md | grep -v '^package$')
differ=$(diff <(tr ' ' '\n' <<<"$packages" | sort) <(sort <<<"$documented"))
ok $? "docs/dependencies.md has a line for each package of the Makefile, and no other" "$differ"

# only_these PROGRAM...: a folder to use as PATH
only_these() {
	local program path
	rm -rf "$work/bin"
	mkdir "$work/bin"
	for program; do
		path=$(command -v "$program") && ln -s "$path" "$work/bin/$program"
	done
}

if command -v dpkg-query >/dev/null; then
	said=$(tests/deps bash coreutils 2>&1)
	ok $? "succeeds when all is there" "$said"
	[ -z "$said" ]
	ok $? "says nothing when all is there" "$said"

	only_these bash env id grep dpkg-query uname mktemp tail rm
	run=()
	[ "$(id -u)" != 0 ] || run=(setpriv --reuid 65534 --regid 65534 --clear-groups)
	said=$("${run[@]}" env PATH="$work/bin" bash "$work/deps" bash no-such-package-1 2>&1)
	[ $? = 1 ] && grep -q 'let root run: apt-get install no-such-package-1$' <<<"$said"
	ok $? "tells what root should run where there is neither root nor sudo" "$said"
else
	echo "SKIP tests/deps on Debian: no dpkg-query here"
fi

only_these bash env id grep uname cc gcc
said=$(PATH=$work/bin bash tests/deps bash uname no-such-package-1 2>&1)
[ $? = 0 ] && [ "$said" = 'deps: no dpkg here, and not found: no-such-package-1; going on without' ]
ok $? "goes on without dpkg, and names what it did not find" "$said"
said=$(PATH=$work/bin bash tests/deps bash uname 2>&1)
[ $? = 0 ] && [ -z "$said" ]
ok $? "says nothing without dpkg when all is there" "$said"
exit $failed
