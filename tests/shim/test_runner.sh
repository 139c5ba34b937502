#!/bin/bash
# SPDX-License-Identifier: MIT
# punch, the runner
# parallel: yes
. "$(dirname "$0")/shim.sh"

P=$B/punch
WORD=k7qd-9m2x-vp4h-t3ra # not one to be guessed

# says STATUS PATTERN CMD...: exit status, and a pattern of what it writes
says() {
	local want=$1 pattern=$2 said rc
	shift 2
	said=$("$@" 2>&1)
	rc=$?
	[ $rc = "$want" ] && grep -q -- "$pattern" <<<"$said" && return
	echo "exit status $rc, and: $said"
	return 1
}

check "--help" says 0 '^Usage: punch' "$P" --help
check "--version" says 0 '^punch [0-9]' "$P" --version
check "no command" says 64 'no command' "$P"
check "unknown option" says 64 'usage' "$P" --nonsense true
check "exit status of the command" says 7 '^$' "$P" sh -c 'echo; exit 7'
check "options of the command are its own" says 0 '^--conf x$' "$P" echo --conf x
check "command not found" says 127 'nosuchcommand: command not found' "$P" nosuchcommand
check "command cannot be run" says 126 'Permission denied' "$P" "$T/conf/punch.conf"
check "no such file" says 78 'missing.conf: cannot read' "$P" --conf "$T/missing.conf" true
sed 's/^port = .*/port = 99999/' "$T/conf/punch.conf" >"$T/wrong.conf"
check "a wrong file: file, line, text" says 78 'wrong.conf:[0-9]*: .*99999' "$P" -c "$T/wrong.conf" true
check "no configuration at all" says 78 'no configuration' env -u PUNCH_CONF HOME="$T/none" XDG_CONFIG_HOME= "$P" true
check "quick mode needs a rendezvous" says 78 'needs --rendezvous' "$P" --secret w true
check "quick mode reads no file" says 64 'exclude' "$P" --secret w --rendezvous r --conf x true
check "--as alone" says 64 'quick mode' "$P" --as bob true

environment() {
	(cd "$T" && says 0 "^$T/conf/punch.conf $B/libpunch.so:/other.so\$" env LD_PRELOAD=/other.so "$P" -c conf/punch.conf \
		sh -c 'echo $PUNCH_CONF $LD_PRELOAD' 2>&1)
}
check "paths are absolute, other preloads stay" environment
quick() { says 0 "^$WORD bob rdv:4430\$" "$P" --secret "$WORD" --as bob -r rdv:4430 sh -c 'echo $PUNCH_SECRET $PUNCH_AS $PUNCH_RENDEZVOUS'; }
check "quick mode is handed on" quick
weak() { # refused, with the number of guesses and without the word
	says 78 'the secret word is weak: about 2^24 guesses.*2^40.*punchctl secret.*--weak-secret' "$P" --secret 'blue horse' -r r true &&
		! "$P" --secret 'blue horse' -r r true 2>&1 | grep -q 'blue horse'
}
check "a word that could be guessed is refused" weak
check "quick mode: a name that is none" says 78 'PUNCH_AS=bob smith: ' "$P" --weak-secret --secret w -r r --as 'bob smith' true
check "quick mode: a server that is none" says 78 'PUNCH_RENDEZVOUS=rdv:99999: ' "$P" --weak-secret --secret w -r rdv:99999 true
check "quick mode: neither server nor address" says 78 'none@ADDRESS' "$P" --weak-secret --secret w -r none true
check "quick mode: too many servers" says 78 'e: at most 4 servers' "$P" --weak-secret --secret w -r 'a b c d e' true
check "one from the environment, too" says 78 'the secret word is weak' env PUNCH_SECRET=hunter2 PUNCH_RENDEZVOUS=r "$P" true
check "who insists may have it" says 0 '^hunter2 yes$' "$P" --weak-secret --secret hunter2 -r r \
	sh -c 'echo $PUNCH_SECRET $PUNCH_WEAK_SECRET'
check "so by the variable" says 0 '^ran$' env PUNCH_WEAK_SECRET=yes "$P" --secret hunter2 -r r echo ran
check "--weak-secret alone" says 64 'quick mode' "$P" --weak-secret true

# The runner becomes the program; a program that waits lets us look at what is left in between: nothing
hidden() {
	local pid i
	mkfifo "$T/fifo"
	# a script's interpreter is looked for by opening it: that blocks on a FIFO
	"$P" --secret "$WORD" -r rdv "$T/fifo" &
	pid=$!
	for ((i = 0; i < 200; i++)); do
		tr '\0' ' ' <"/proc/$pid/cmdline" | grep -q 'secret \*\*\*' && break
		sleep 0.01
	done
	! tr '\0' ' ' <"/proc/$pid/cmdline" | grep -q "$WORD"
	local rc=$?
	kill $pid
	wait $pid 2>/dev/null
	return $rc
}
chmod +x "$T" 2>/dev/null
check "the secret is wiped from the command line" hidden

printf 'int main(void) { return 0; }\n' >"$T/x.c"
if gcc -static -o "$T/static" "$T/x.c" 2>/dev/null; then
	check "a static program is named" says 0 'static is statically linked' "$P" "$T/static"
	check "and what serves it" says 0 'use "punch --any"' "$P" "$T/static"
	printf '#!%s\n' "$T/static" >"$T/script" && chmod +x "$T/script"
	check "also behind a script" says 0 'static is statically linked' "$P" "$T/script"
	printf '#!/usr/bin/env -S %s\n' "$T/static" >"$T/script"
	check "also behind env" says 0 'static is statically linked' "$P" "$T/script"
	: >"$T/empty"
	objcopy --add-section .note.go.buildid="$T/empty" "$T/static" "$T/go" &&
		check "a Go program is named" says 0 'go is a Go program' "$P" "$T/go"
	dd if="$T/static" of="$T/other" bs=1 count=18 2>/dev/null && printf '\x28\x00' >>"$T/other" &&
		dd if="$T/static" of="$T/other" bs=1 skip=20 seek=20 2>/dev/null && chmod +x "$T/other"
	check "a program of another machine is named" says 126 'another kind of machine' "$P" "$T/other"
fi
printf 'echo script of $0\n' >"$T/bare" && chmod +x "$T/bare"
check "a script without #! is run by sh" says 0 'script of .*/bare' "$P" "$T/bare"
check "a dynamic program is not" says 0 '^$' "$P" sh -c echo
if [ "$(id -u)" = 0 ]; then
	mkdir "$T/lib" && chmod 755 "$T" "$T/lib" && gcc -o "$T/lib/suid" "$T/x.c" && chmod u+s "$T/lib/suid"
	cp "$P" "$B/libpunch.so" "$T/lib/"
	suid() { says 0 'suid is set-uid' setpriv --reuid=1000 --clear-groups "$T/lib/punch" --secret "$WORD" -r r "$T/lib/suid"; }
	check "a set-uid program is named" suid
fi

installed() {
	mkdir -p "$T/usr/bin" "$T/usr/lib/punch" && cp "$P" "$T/usr/bin" && cp "$B/libpunch.so" "$T/usr/lib/punch"
	says 0 "/usr/lib/punch/libpunch.so\$" "$T/usr/bin/punch" sh -c 'realpath $LD_PRELOAD'
}
check "it finds the library where it was installed" installed
rm "$T/usr/lib/punch/libpunch.so"
check "it says where it looked" says 69 'libpunch.so is neither in' "$T/usr/bin/punch" true
exit $status
