#!/bin/bash
# SPDX-License-Identifier: MIT
# The resolver is started on first need, from any program, unnoticed
# parallel: yes
. "$(dirname "$0")/shim.sh"

START=$B/tests/shim/start
resolvers() { pgrep -f -x 'punch-resolver --background' | wc -l; }

# The double, as a resolver that writes down how it was started
mkdir "$T/lib"
cp "$B/libpunch.so" "$T/lib/"
cat >"$T/lib/punch-resolver" <<CONF
#!/bin/sh
for fd in /proc/\$\$/fd/*; do # before anything is redirected
	fds="\$fds
fd: \${fd##*/} \$(readlink "\$fd")"
done
{
	echo "arguments: \$*"
	env | sort
	echo "\$fds"
	cat /proc/self/status
} >"$T/started"
exec "$DOUBLE" --background
CONF
chmod +x "$T/lib/punch-resolver"
chmod 755 "$T" "$T/conf"

# started WAY: with a resolver that did not run before
started() {
	rm -f "$T/started"
	env LD_PRELOAD="$T/lib/libpunch.so" SURPRISE=1 "$START" "$@" && [ -s "$T/started" ]
}
said() { grep -q "$1" "$T/started"; }

for way in plainly unseen threaded closed blocked elsewhere; do
	check "started $way" started "$way"
	check "started $way: ended again" "$DOUBLE" stop
	[ "$way" != blocked ] || {
		clean() { said '^SigBlk:.0000000000000000' && said '^SigIgn:.0000000000000000'; }
		check "it blocks and ignores no signal" clean
	}
	[ "$way" != closed ] || {
		null() { said 'fd: 0 /dev/null' && said 'fd: 1 /dev/null' && said 'fd: 2 /dev/null'; }
		check "it has descriptors 0 to 2 where the program has none" null
	}
done

started plainly
environment() { said "^PUNCH_CONF=$PUNCH_CONF\$" && said '^PATH=' && ! said SURPRISE && ! said LD_PRELOAD; }
check "it gets the variables that matter, and no others" environment
arguments() { said '^arguments: --background$'; }
check "nothing is told on its command line" arguments
"$DOUBLE" stop

relative() {
	rm -f "$T/started"
	(cd "$T" && env PUNCH_CONF=conf/punch.conf LD_PRELOAD=./lib/libpunch.so "$START" elsewhere) && said "^PUNCH_CONF=$PUNCH_CONF\$"
}
check "relative names of library and file are those of the start" relative
"$DOUBLE" stop

inherits() { # FD NUMBER is a file of the program
	exec 77<"$PUNCH_CONF"
	started plainly && ! said '^fd: 77'
}
check "it inherits no descriptor" inherits
"$DOUBLE" stop

# One need in many processes: one resolver
together() {
	local pids=() i
	rm -f "$T/started"
	for i in 1 2 3 4 5; do
		env LD_PRELOAD="$T/lib/libpunch.so" "$START" plainly &
		pids+=($!)
	done
	for i in "${pids[@]}"; do
		wait "$i" || return 1
	done
}
check "five programs at once all get an answer" together
while "$DOUBLE" stop 2>/dev/null; do :; done # the real one would have been one

installed() { # PREFIX/bin and PREFIX/lib/punch
	mkdir -p "$T/usr/bin" "$T/usr/lib/punch"
	cp "$T/lib/punch-resolver" "$T/usr/bin" && cp "$B/libpunch.so" "$T/usr/lib/punch"
	rm -f "$T/started"
	env LD_PRELOAD="$T/usr/lib/punch/libpunch.so" "$START" plainly && said '^arguments'
}
check "it is found where it was installed" installed
"$DOUBLE" stop

printf '#!/bin/sh\necho "noise" >&2\nexit 1\n' >"$T/lib/punch-resolver"
echo content >"$T/data"
quiet() { env LD_PRELOAD="$T/lib/libpunch.so" "$START" data "$T/data" && [ "$(cat "$T/data")" = content ]; }
check "nothing is written into a data file that became descriptor 2" quiet

if [ "$(id -u)" = 0 ]; then
	printf '#!/bin/sh\ngrep -E "^(Uid|Gid)" /proc/$$/status >"%s/dropped/by"\nexec "%s/lib/double" --background\n' "$T" "$T" \
		>"$T/lib/punch-resolver"
	cp "$DOUBLE" "$START" "$T/lib/"
	mkdir "$T/dropped" && chown 65534 "$T/dropped"
	dropped() {
		env LD_PRELOAD="$T/lib/libpunch.so" "$T/lib/start" dropped &&
			grep -qP '^Uid:\t65534\t65534\t65534\t65534' "$T/dropped/by" &&
			grep -qP '^Gid:\t65534\t65534\t65534\t65534' "$T/dropped/by"
	}
	check "started by a program that dropped its privileges, all of them" dropped
	setpriv --reuid=65534 --clear-groups "$T/lib/double" stop

	# a key that the new user cannot read: whoever asks first is to be root still
	key=$(dirname "$PUNCH_CONF")/alice.key
	install -m 600 /dev/null "$key"
	dropping() { env LD_PRELOAD="$T/lib/libpunch.so" "$T/lib/start" dropping; }
	as() { grep -qP "^Uid:\t$1\t$1\t$1\t$1" "$T/dropped/by"; }
	foreseen() { dropping && as 0; }
	check "started as root by a program that drops its privileges at once" foreseen
	dropping_again() { rm "$T/dropped/by" && dropping && [ ! -e "$T/dropped/by" ]; }
	check "and found by the next one" dropping_again
	"$DOUBLE" stop
	chown 65534 "$key"
	theirs() { dropping && as 65534; }
	check "not started as root for a user who has the key" theirs
	setpriv --reuid=65534 --clear-groups "$T/lib/double" stop
fi
exit $status
