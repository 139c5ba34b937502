#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# timeout: 240
# parallel: yes
#
# A peer that is taken out of punch.conf, or out of a service's allow, loses the connections that it has: bare and encrypted
# ones, with privilege and without, and those whose resolver has gone since. All others go on.
. "$(dirname "$0")/lab.sh"
. "$(dirname "$0")/punch.sh"
lab_begin "$@"
punch_net port=preserve delay=2ms -- port=preserve delay=2ms
punch_servers
services='[service bare]
port = 9000
encrypt = no
[service cover]
port = 9001
[service ssh]
port = 22
allow = alice'
punch_conf alice
punch_conf bob "$services"
cp "$(punch_dir bob)/punch.conf" "$LAB_DIR/bob.conf"
conf=$(punch_dir bob)/punch.conf

serve() { # [COMMAND...]: both echo services on bob, started by COMMAND
	local port
	for port in 9000 9001; do
		lab_bg bob "echo$port" "$@" punch socat "TCP-LISTEN:$port,fork,reuseaddr" EXEC:cat
		lab_wait_port bob $port
		punch_published bob $port
	done
}
declare -A client
open() { # NAME PORT [COMMAND...]: alice has a connection to it that answers
	local name=$1 port=$2
	shift 2
	rm -f "$LAB_DIR/$name".*
	mkfifo "$LAB_DIR/$name.in"
	lab_run alice "$@" punch socat - "TCP4:bob:$port" <"$LAB_DIR/$name.in" >"$LAB_DIR/$name.out" 2>"$LAB_DIR/$name.err" &
	client[$name]=$!
	exec {fd}>"$LAB_DIR/$name.in"
	eval "fd_$name=$fd"
	lives "$name" || lab_die "$name does not answer: $(cat "$LAB_DIR/$name.err")"
}
lives() { # NAME: a line comes back
	local name=$1 word=$RANDOM$RANDOM fd
	eval "fd=\$fd_$name"
	kill -0 "${client[$name]}" 2>/dev/null && echo "$word" >&"$fd" && lab_poll 10 "grep -q $word $LAB_DIR/$name.out"
}
ended() { lab_poll 20 "! kill -0 ${client[$1]} 2>/dev/null"; } # within the time after which the file is looked at
close() {
	local name fd
	for name in "$@"; do
		eval "fd=\$fd_$name"
		exec {fd}>&-
		wait "${client[$name]}" 2>/dev/null
	done
	return 0
}
without_alice() { sed '/^\[peer alice\]/,/^key/d; /^allow/d' "$LAB_DIR/bob.conf"; }
pid() { punch_status bob .pid; }
restarted() { lab_poll 20 "[ \"\$(pid)\" != $1 ] && [ -n \"\$(pid)\" ]"; }

for rights in all none; do
	run=()
	[ $rights = all ] || run=(setpriv --inh-caps=-all --bounding-set=-all)
	lab_run bob punchctl stop >/dev/null 2>&1
	cp "$LAB_DIR/bob.conf" "$conf"
	serve "${run[@]}"
	open one 9000
	open two 9001
	lab_expect_eq "rights $rights: one goes bare, the other by a pump" \
		"$(punch_status bob '[.connections[] | select(.open) | .encrypted] | sort | join(" ")')" 'bare tls-pump'
	was=$(pid)
	echo '# nothing' >>"$conf"
	lab_expect "rights $rights: another change starts the resolver again" restarted "$was"
	lab_expect "rights $rights: a bare connection goes on" lives one
	lab_expect "rights $rights: an encrypted one, too" lives two
	lab_expect_eq "rights $rights: the new resolver knows them" \
		"$(punch_status bob '[.connections[] | select(.open) | .encrypted] | sort | join(" ")')" 'bare tls-pump'
	without_alice >"$conf"
	lab_expect "rights $rights: alice is no peer any more: the bare one ends" ended one
	lab_expect "rights $rights: and the encrypted one" ended two
	lab_expect "rights $rights: on bob, too" lab_poll 10 '[ -z "$(lab_run bob ss -Htn state established dst 198.51.100.1)" ]'
	close one two
	lab_stop echo9000
	lab_stop echo9001
done

# --- allow of one service, others stay; a real sshd, whose session no debugger may touch
lab_run bob punchctl stop >/dev/null 2>&1
cp "$LAB_DIR/bob.conf" "$conf"
punch_sshd bob
punch_published bob 22
serve
open three 9001
mkfifo "$LAB_DIR/ssh.in"
lab_run alice punch ssh "${PUNCH_SSH[@]}" bob 'echo in; cat' <"$LAB_DIR/ssh.in" >"$LAB_DIR/ssh.out" 2>"$LAB_DIR/ssh.err" &
ssh=$!
exec 7>"$LAB_DIR/ssh.in"
lab_wait 20 "grep -q in $LAB_DIR/ssh.out"
sed 's/^allow = alice/allow = nobody/; s/^\[peer alice\]/[peer nobody]\nkey = 11qYAYKxCrfVS\/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n&/' \
	"$LAB_DIR/bob.conf" >"$conf"
lab_expect 'not allowed at sshd any more: its session ends' lab_poll 20 "! kill -0 $ssh 2>/dev/null"
exec 7>&-
lab_expect 'what is still allowed goes on' lives three

# --- a file with an error changes nothing
sed '/^\[peer alice\]/,/^key/d' "$LAB_DIR/bob.conf" >"$conf" # who is still in an allow
lab_expect 'a file with an error: status says so' lab_poll 20 "punch_status bob .configuration_error | grep -q 'punch.conf:.*alice'"
lab_expect 'a file with an error revokes nobody' lives three
close three
cp "$LAB_DIR/bob.conf" "$conf"

# --- the caller's side, when its resolver has left meanwhile
lab_run alice punchctl stop
open four 9000 env PUNCH_IDLE=1
lab_expect "alice's resolver leaves" lab_poll 20 '! lab_run alice punchctl status >/dev/null 2>&1'
lab_expect 'the connection goes on' lives four
sed '/^\[peer bob\]/,/^key/d' "$LAB_DIR/host/alice/home/.config/punch/punch.conf" >"$LAB_DIR/alice.conf"
cp "$LAB_DIR/alice.conf" "$(punch_dir alice)/punch.conf"
lab_run alice punch true
lab_run alice timeout 10 punchctl doctor >/dev/null 2>&1
lab_expect 'the next resolver, which reads that bob is none any more, ends it' ended four
close four
