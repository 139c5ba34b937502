#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# timeout: 150
#
# punchctl between two hosts behind NATs: keys, dial, serve, ping, status, doctor, stop; OpenSSH without a preload.
. "$(dirname "$0")/lab.sh"
. "$(dirname "$0")/punch.sh"
lab_begin "$@"
punch_net port=preserve stray=drop delay=5ms -- port=preserve stray=drop delay=5ms

# exits NAME STATUS COMMAND...: its exit status, and one line on stderr (or none when it is 0)
exits() {
	local name=$1 want=$2 status=0
	shift 2
	"$@" >"$LAB_DIR/out" 2>"$LAB_DIR/err" </dev/null || status=$?
	lab_expect_eq "$name: exit status" "$status" "$want"
}

# --- before there is a configuration
exits 'no configuration' 78 lab_run alice punchctl status
lab_expect_match 'no configuration: says what to do' "$(cat "$LAB_DIR/err")" 'punch.conf'
exits 'unknown command' 64 lab_run alice punchctl frobnicate
exits 'bad port' 64 lab_run alice punchctl dial bob 70000
exits 'keygen without a file' 0 lab_run alice punchctl keygen
lab_expect_match 'keygen: the public key alone on stdout' "$(cat "$LAB_DIR/out")" '^[A-Za-z0-9+/]{43}=$'
lab_expect_eq 'keygen: one line' "$(wc -l <"$LAB_DIR/out")" 1
lab_expect_eq 'keygen: mode' "$(stat -c %a "$(punch_dir alice)/node.key" "$(punch_dir alice)" | xargs)" '600 700'
key=$(cat "$LAB_DIR/out")
exits 'secret' 0 lab_run alice punchctl secret
word=$(cat "$LAB_DIR/out")
lab_expect_match 'secret: five groups of four' "$word" '^[a-kmnp-z2-9]{4}(-[a-kmnp-z2-9]{4}){4}$'
lab_expect_eq 'secret: another each time' "$(for i in 1 2 3 4 5 6 7 8; do lab_run alice punchctl secret; done | sort -u | wc -l)" 8
lab_expect_eq 'secret: good enough' "$(lab_run alice punch --secret "$word" -r rdv echo taken)" taken
exits 'secret with too much' 64 lab_run alice punchctl secret more
exits 'keygen never overwrites' 1 lab_run alice punchctl keygen
lab_expect_eq 'pubkey without a configuration' "$(lab_run alice punchctl pubkey)" "$key"
rm -f "$(punch_dir alice)/node.key"

punch_servers
punch_conf bob $'[service ssh]\nport = 22\n[service cat]\nport = 9000\n[service upper]\nport = 9001'
punch_conf alice
lab_expect_eq 'pubkey of the configuration' "$(lab_run alice punchctl pubkey)" "$(punch_key alice)"

# --- status and stop start nothing
exits 'status without a resolver' 1 lab_run alice punchctl status
lab_expect_match 'status says that none runs' "$(cat "$LAB_DIR/err")" 'no punch-resolver runs'
exits 'stop without a resolver' 1 lab_run alice punchctl stop

# --- doctor starts one, and sees the NAT
exits 'doctor' 0 lab_run alice punchctl doctor --json
doctor() { jq -r "$1" "$LAB_DIR/out"; }
lab_expect_eq 'doctor: rendezvous' "$(doctor '.rendezvous[0].state')" ready
lab_expect_eq 'doctor: mapping' "$(doctor .nat.mapping)" endpoint-independent
lab_expect_eq 'doctor: ports' "$(doctor .nat.port_rule)" preserved
lab_expect_eq 'doctor: address' "$(doctor .nat.address)" 198.51.100.1
lab_expect_eq 'doctor: IPv6' "$(doctor .ipv6.route)" false
lab_expect_match 'doctor: verdict' "$(doctor .verdict)" 'should work with most peers'
exits 'doctor for people' 0 lab_run alice punchctl doctor
lab_expect_match 'doctor for people: verdict' "$(tail -n 1 "$LAB_DIR/out")" 'should work with most peers'

# --- serve and dial: half-close as nc has it; a real server on the same port is not disturbed
lab_bg bob local9001 socat TCP-LISTEN:9001,fork,reuseaddr,bind=0.0.0.0 EXEC:'echo local'
lab_wait_port bob 9001
lab_bg bob upper punchctl serve --inetd 9001 -- sh -c 'tr a-z A-Z; echo "for $PUNCH_PEER"'
punch_published bob 9001
lab_expect_eq 'dial: both ways, then the end' "$(printf 'some words\n' | lab_run alice punchctl dial bob 9001 | xargs)" 'SOME WORDS for alice'
lab_expect_eq 'the local server has its port' "$(lab_run bob socat -T2 - TCP:127.0.0.1:9001 </dev/null)" local
# with a child that is no command of its own, as a shell leaves one behind: it counts as none when it ends
lab_bg bob cat sh -c 'sleep 0.2 & exec punchctl serve --inetd 9000 -- cat'
punch_published bob 9000
head -c 20000000 /dev/urandom >"$LAB_DIR/bulk"
lab_expect_eq 'dial: 20 MB there and back' \
	"$(lab_run alice punchctl dial bob 9000 <"$LAB_DIR/bulk" | sha256sum)" "$(sha256sum <"$LAB_DIR/bulk")"
lab_expect_eq 'dial: path' "$(punch_last_path alice)" direct
lab_expect_eq 'dial: far end' "$(punch_remote alice | cut -d: -f1)" 198.51.100.2
exits 'dial: no such service' 1 lab_run alice punchctl dial bob 9999
lab_expect_match 'dial: why' "$(cat "$LAB_DIR/err")" 'bob.*9999'
exits 'dial: no such peer' 1 lab_run alice punchctl dial nobody 22
lab_expect_match 'dial: what to do' "$(cat "$LAB_DIR/err")" 'nobody.*punch.conf'
exits 'fdpass to a file' 1 lab_run alice punchctl dial --fdpass bob 9000
lab_expect_match 'fdpass: what to do' "$(cat "$LAB_DIR/err")" 'ProxyUseFdpass'
exits 'serve without a service' 78 lab_run bob punchctl serve --inetd 7777 -- cat
lab_expect_match 'serve: what to do' "$(cat "$LAB_DIR/err")" '\[service\].*7777'

# --- ping
exits 'ping' 0 lab_run alice punchctl ping bob
lab_expect_match 'ping: the path' "$(tail -n 1 "$LAB_DIR/out")" 'bob: direct path to 198\.51\.100\.2'
exits 'ping --json' 0 lab_run alice punchctl ping --json bob:9000
lab_expect_eq 'ping --json: each line is an object' "$(jq -r 'select(.done != null) | .path' "$LAB_DIR/out")" direct
exits 'ping to a port that is not served' 1 lab_run alice punchctl ping bob:9999
lab_expect_match 'ping: the peer is named once' "$(tail -n 1 "$LAB_DIR/out")" '^bob: no path: nothing is published on port 9999'
exits 'ping by relay' 0 lab_run alice env PUNCH_ROUTE=relay punchctl ping bob
lab_expect_match 'ping by relay: the path' "$(tail -n 1 "$LAB_DIR/out")" 'bob: relay path'

# --- OpenSSH without a preload: ProxyUseFdpass here, sshd -i there
punch_sshd bob plain
lab_bg bob sshd-i punchctl serve --inetd 22 -- /usr/sbin/sshd -i -e -f "$LAB_DIR/host/bob/sshd/sshd_config"
punch_published bob 22
ssh_bare() {
	lab_run alice ssh "${PUNCH_SSH[@]}" -o "ProxyCommand=punchctl dial --fdpass %h %p" -o ProxyUseFdpass=yes "$@"
}
lab_expect_eq 'ssh by fdpass' "$(ssh_bare root@bob 'echo $SSH_CONNECTION' | cut -d' ' -f1)" 198.51.100.1
lab_expect_eq 'ssh by ProxyCommand alone' \
	"$(lab_run alice ssh "${PUNCH_SSH[@]}" -o 'ProxyCommand=punchctl dial %h %p' root@bob hostname; echo $?)" "$(hostname)"$'\n0'
lab_expect_eq 'ssh: 20 MB' "$(ssh_bare root@bob cat <"$LAB_DIR/bulk" | sha256sum)" "$(sha256sum <"$LAB_DIR/bulk")"

# --- the resolver of the serving side is killed: published again, nobody did anything
pid=$(punch_status bob .pid)
kill -9 "$pid"
punch_published bob 9001
lab_expect_eq 'served again after a kill' "$(printf 'again\n' | lab_run alice punchctl dial bob 9001 | head -n 1)" AGAIN

# --- stop: whose ports go, and that what it advises brings them back
exits 'stop of a server' 0 lab_run bob punchctl stop
lab_expect_match 'stop: says what goes' "$(cat "$LAB_DIR/out")" \
	"port 9001 \\(PID ${LAB_BGPID[upper]} punchctl\\) is not reachable by peers until punch runs again here: \"punchctl doctor\""
lab_expect_eq 'stop: each port once' "$(cut -d' ' -f1,2 "$LAB_DIR/out" | sort | uniq -c | xargs)" \
	'1 port 22 1 port 9000 1 port 9001'
exits 'as it advises' 0 lab_run bob punchctl doctor
punch_published bob 9001
lab_expect_eq 'served again after it' "$(printf 'again\n' | lab_run alice punchctl dial bob 9001 | head -n 1)" AGAIN

# --- many words under one name, here none: more than there are places
words() { # FROM TO COMMAND...: with each of these words
	local i
	for i in $(seq "$1" "$2"); do
		lab_run bob env PUNCH_RENDEZVOUS=rdv PUNCH_SECRET="a long secret that only you two know $i" "${@:3}" || return 1
	done
}
lab_expect 'twelve words one after another: the idle ones make room' words 1 12 punchctl doctor
exits 'a rendezvous that is none' 78 lab_run bob env PUNCH_RENDEZVOUS=rdv: PUNCH_SECRET="$word" punchctl doctor
lab_expect_match 'a rendezvous that is none: what is wrong' "$(cat "$LAB_DIR/err")" 'PUNCH_RENDEZVOUS=rdv:: expected HOST'
for i in 21 22 23 24 25 26 27 28; do
	lab_bg bob "busy$i" env PUNCH_RENDEZVOUS=rdv PUNCH_SECRET="a long secret that only you two know $i" \
		punch --as busy socat "TCP-LISTEN:91$i,fork,reuseaddr" EXEC:cat
	lab_wait 20 "words $i $i env PUNCH_AS=busy punchctl status 2>/dev/null | grep -q 'service 91$i'"
done
exits 'one more where all have something to do' 1 words 29 29 env PUNCH_AS=busy punchctl doctor
lab_expect_match 'one more: why' "$(cat "$LAB_DIR/err")" '8 resolvers for PUNCH_AS=busy .*punchctl stop --all'
exits 'stop --all' 0 lab_run bob punchctl stop --all
lab_expect_eq 'stop --all: says what goes' "$(grep -c '^port 912[1-8] (PID [0-9]* socat) is not reachable' "$LAB_DIR/out")" 8
lab_expect_eq 'stop --all: nobody is left' "$(lab_run bob grep -c '@punch/' /proc/net/unix)" 0

# --- what is cut off is no success.  The rendezvous says nothing: the doctor takes its time
lab_kill rendezvous STOP
silent=(env PUNCH_RENDEZVOUS=rdv PUNCH_SECRET='a long secret that only you two know')
cut_off() { # NAME COMMAND...: what the doctor says when that happens while it is at work
	local name=$1 status=0
	shift
	: >"$LAB_DIR/log/silent"
	lab_bg bob "$name" env PUNCH_LOG=debug PUNCH_LOG_FILE="$LAB_DIR/log/silent" "${silent[@]}" punchctl doctor
	lab_wait 20 "grep -q 'reading -> waiting' '$LAB_DIR/log/silent'"
	"$@"
	wait "${LAB_BGPID[$name]}" || status=$?
	lab_expect_eq "$name: exit status" "$status" 1
	lab_expect_match "$name: says so" "$(cat "$LAB_DIR/log/silent")" 'went away in mid-sentence'
	lab_run bob "${silent[@]}" punchctl stop || true
}
silent_killed() { kill -9 "$(lab_run bob "${silent[@]}" punchctl status --json | jq .pid)"; }
cut_off 'doctor whose resolver is killed' silent_killed
cut_off 'doctor whose resolver is stopped' lab_run bob "${silent[@]}" punchctl stop
lab_kill rendezvous CONT

# --- stop
exits 'stop' 0 lab_run alice punchctl stop
exits 'status after stop' 1 lab_run alice punchctl status
