#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# timeout: 400
# parallel: yes
#
# Rendezvous and relay are not trusted: whatever they say, no program gets a socket that was not proven to be its peer's,
# nothing in the node's own networks is spoken to, and no third party is flooded.
. "$(dirname "$0")/lab.sh"
. "$(dirname "$0")/punch.sh"
lab_begin "$@"
punch_net port=preserve stray=drop delay=5ms -- port=preserve stray=drop delay=5ms
lab_server relay 203.0.113.20
lab_server victim 203.0.113.77
mkdir -p "$LAB_DIR/conf"
openssl rand -base64 32 >"$LAB_DIR/conf/relay.secret"
chmod 600 "$LAB_DIR/conf/relay.secret"
printf '[rendezvous]\nkey = rdv.key\nrelay = 203.0.113.20:4433\nrelay-secret = relay.secret\n' >"$LAB_DIR/conf/rendezvous.conf"
printf '[relay]\nsecret = relay.secret\n' >"$LAB_DIR/conf/relay.conf"
# Whoever connects to the victim, or to this port of alice's own host, is greeted and counted
greeter='
import socket, sys
s = socket.create_server((sys.argv[1], 9000), backlog=4096)
while True:
    c, a = s.accept()
    c.settimeout(0.3)
    try:
        c.sendall(b"victim\n")
        said = c.recv(600)
    except OSError:
        said = b""
    print("greeted", a, said, flush=True)
    c.close()'
lab_bg victim victim python3 -c "$greeter" 203.0.113.77
lab_bg alice home python3 -c "$greeter" 127.0.0.1

honest_relay() { lab_bg relay relay punch-relay -v -c "$LAB_DIR/conf/relay.conf" && lab_wait_port relay 4433; }
servers() { # LIE
	lab_bg rdv rendezvous env LIE="$1" LIE_TO=198.51.100.2 LIE_AT="${2:-203.0.113.77:9000}" PUNCH_LOG=info liar -c "$LAB_DIR/conf/rendezvous.conf"
	lab_wait_port rdv 4430
	lab_wait_log rendezvous 'rendezvous-key'
	PUNCH_SERVER_KEY=$(sed -n 's/.*rendezvous-key *= *\([A-Za-z0-9+/=]*\).*/\1/p' "$(lab_log rendezvous)" | head -n 1)
}
honest_relay
servers none
punch_conf bob $'[service echo]\nport = 9000'
punch_conf alice
lab_bg bob echo punch socat TCP-LISTEN:9000,fork,reuseaddr EXEC:cat
punch_published bob 9000

# says [ENV...]: what the peer on the other end says to "hello": "hello", "victim", "nothing"; or the errno
says() {
	lab_run alice env "$@" timeout 60 punch python3 -c '
import errno, os, socket
try:
    s = socket.create_connection(("bob", 9000))
    s.settimeout(5)
    s.sendall(os.environ.get("SAY", "hello").encode() + b"\n")
    print((s.recv(100) or b"nothing").decode().strip())
except TimeoutError as e:
    print(errno.errorcode.get(e.errno, "silent"))
except OSError as e:
    print(errno.errorcode.get(e.errno, e))' 2>"$LAB_DIR/err"
}
again() { # LIE [AT]: servers with that lie, and nodes that know nothing of earlier
	lab_run alice punchctl stop >/dev/null 2>&1
	lab_stop rendezvous
	: >"$(lab_log rendezvous)"
	servers "$@"
	punch_published bob 9000
}
was_told() { lab_expect "$1: the lie was told" grep -q "told a lie: $1\$" "$(lab_log rendezvous)"; }
greeted() { grep -c greeted "$(lab_log "$1")"; }

lab_expect_eq 'an honest server: direct' "$(says PUNCH_TIMEOUT=10)" hello

for lie in payload from; do
	again "$lie"
	lab_expect_match "$lie: refused" "$(says PUNCH_TIMEOUT=4)" '^(EHOSTUNREACH|EACCES|ETIMEDOUT)$'
	lab_expect_match "$lie: one line says why" "$(cat "$LAB_DIR/err")" '^punch: .*bob.*'
	was_told "$lie"
done

again replay
for i in 1 2 3; do
	lab_expect_eq "replay: connection $i is the only one" "$(says PUNCH_TIMEOUT=10)" hello
done
lab_expect_eq 'replay: bob was reached three times in all' \
	"$(punch_status bob '[.connections[] | select(.direction == "in")] | length')" 4
was_told replay

again answer
lab_expect_match "answer: none at all is refused" "$(says PUNCH_TIMEOUT=4)" '^(EPROTO|ETIMEDOUT)$'
lab_expect_eq 'answer: an old one is refused' "$(says PUNCH_TIMEOUT=4)" EACCES
was_told answer

again go
lab_expect_match 'go: an end in time' "$(says PUNCH_TIMEOUT=6)" '^(hello|ETIMEDOUT)$'
was_told go
again flood
lab_expect_eq 'flood: one start, however often GO comes' "$(says PUNCH_TIMEOUT=10)" hello
was_told flood

again relays 127.0.0.1:9000
lab_expect_eq "relays: alice's own host is not spoken to" "$(says PUNCH_ROUTE=relay PUNCH_TIMEOUT=5 && greeted home)" $'ETIMEDOUT\n0'
was_told relays
again relays
lab_expect_eq 'relays: a third party is no peer' "$(says PUNCH_ROUTE=relay PUNCH_TIMEOUT=5)" ETIMEDOUT
was_told relays
lab_expect 'relays: a third party got a few connections' eval '[ "$(greeted victim)" -ge 1 ] && [ "$(greeted victim)" -le 12 ]'

again probes 127.0.0.1:9000
lab_expect_match "probes: alice's own host is not spoken to" "$(says PUNCH_TIMEOUT=8 && greeted home)" $'^(hello|ETIMEDOUT)\n0$'
was_told probes
before=$(greeted victim)
again probes
lab_expect_match 'probes: a third party is no peer' "$(says PUNCH_TIMEOUT=8)" '^(hello|ETIMEDOUT)$'
lab_note "probes: $(($(greeted victim) - before)) connections to the third party"
was_told probes
lab_expect 'probes: a third party got a few connections' eval 'n=$(($(greeted victim) - before)); [ $n -ge 1 ] && [ $n -le 40 ]'

before=$(greeted victim)
again mapped
for i in 1 2 3; do
	lab_expect_match "mapped: a third party is no peer ($i)" "$(says PUNCH_TIMEOUT=8)" '^(hello|ETIMEDOUT)$'
done
lab_note "mapped: $(($(greeted victim) - before)) connections to the third party"
was_told mapped
lab_expect 'mapped: a third party got a few connections' eval 'n=$(($(greeted victim) - before)); [ $n -ge 1 ] && [ $n -le 60 ]'

# --- what is settled on encryption
lab_bg alice sniff python3 "$LAB_SRC/tests/lab/sniff.py" "$LAB_DIR/wire"
lab_wait_log sniff sniffing
wish() { # yes|no: alice's, for bob
	sed -i "/^encrypt =/d; s/^\[peer bob\]\$/&\nencrypt = $1/" "$(punch_dir alice)/punch.conf"
}
words=the-quick-brown-fox-jumps
lies=(encrypt-{invited,answered}-{no,none,old,resign} encrypt-{invited,answered}-yes)
wish yes
again "none ${lies[*]}"
for lie in "${lies[@]}"; do
	case $lie in *-yes) wish no ;; esac
	lab_kill rendezvous USR1
	# To whom nobody answers there is nobody; an answer by somebody else is told
	case $lie in
	encrypt-invited-*) errno='EHOSTUNREACH|ETIMEDOUT' patience=2 ;;
	encrypt-answered-old) errno=EPROTO patience=10 ;;
	*) errno=EACCES patience=10 ;;
	esac
	lab_expect_match "$lie: refused" "$(says SAY=$words PUNCH_TIMEOUT=$patience)" "^($errno)\$"
	lab_expect_match "$lie: one line says why" "$(cat "$LAB_DIR/err")" '^punch: .*bob.*'
	was_told "$lie"
done
wish yes
again none
lab_expect_eq 'encrypt, an honest server: works' "$(says SAY=$words PUNCH_TIMEOUT=10)" "$words"
lab_expect 'encrypt: nothing is in the clear, whatever was tried' eval '! grep -aqF "$words" "$LAB_DIR/wire"'
wish no
lab_expect_eq 'encrypt = no, an honest server: works' "$(says SAY=$words PUNCH_TIMEOUT=10)" "$words"
lab_expect 'encrypt = no: in the clear, and it would have been seen' lab_poll 5 'grep -aqF "$words" "$LAB_DIR/wire"'
wish auto

# --- relays: bare, where the proofs alone keep us from a wrong socket, and where TLS would refuse it, too
again none
lab_stop relay
came() { punch_status bob '[.connections[] | select(.direction == "in")] | length'; }
before=$(came)
for lie in silent inject flip reflect replay; do
	lab_bg relay liar python3 "$LAB_SRC/tests/lab/liar_relay.py" "$lie" 203.0.113.20 4433
	lab_wait_port relay 4433
	errno=EACCES
	[ "$lie" != silent ] || errno=ETIMEDOUT
	# What it says is recorded, and nothing is there yet to replay
	[ "$lie" != replay ] || lab_expect_eq 'relay, replay: recorded' "$(says PUNCH_ROUTE=relay PUNCH_TIMEOUT=2)" ETIMEDOUT
	wish no
	lab_expect_eq "relay, $lie: no socket" "$(says PUNCH_ROUTE=relay PUNCH_TIMEOUT=5)" "$errno"
	wish auto
	lab_expect_eq "relay, $lie: no socket where TLS would follow" "$(says PUNCH_ROUTE=relay PUNCH_TIMEOUT=5)" "$errno"
	lab_expect "relay, $lie: it was asked" grep -q visited "$(lab_log liar)"
	[ "$lie" != replay ] || lab_expect_eq 'relay, replay: both sides heard old hellos' \
		"$(sed -n 's/^replayed to kind //p' "$(lab_log liar)" | sort -u | xargs)" '4 5'
	: >"$(lab_log liar)"
	lab_stop liar
done
lab_expect_eq 'relays that lie: no socket for bob either' "$(came)" "$before"
# It counts as no path after 4 s: there is time for another try, which would not be after the 10 s of a path's own patience
lab_bg relay liar python3 "$LAB_SRC/tests/lab/liar_relay.py" once 203.0.113.20 4433
lab_wait_port relay 4433
lab_expect_eq 'relay, once: a silent path is given up for another' "$(says PUNCH_ROUTE=relay PUNCH_TIMEOUT=12)" hello
lab_stop liar
lab_bg relay liar python3 "$LAB_SRC/tests/lab/liar_relay.py" cross 203.0.113.20 4433
lab_wait_port relay 4433
wish no
says PUNCH_ROUTE=relay PUNCH_TIMEOUT=8 >"$LAB_DIR/first" &
lab_expect_match 'relay, cross: no socket' "$(says PUNCH_ROUTE=relay PUNCH_TIMEOUT=8)" '^(ETIMEDOUT|EACCES)$'
wait "$!"
lab_expect_match 'relay, cross: no socket for the other' "$(cat "$LAB_DIR/first")" '^(ETIMEDOUT|EACCES)$'
lab_expect 'relay, cross: sides of two sessions were joined' grep -q joined "$(lab_log liar)"
wish auto
lab_stop liar
lab_expect_eq 'and a direct path is none of its business' "$(says PUNCH_TIMEOUT=10)" hello
