#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# timeout: 170
# parallel: yes
#
# Secrets are in no log, however much is logged; in no answer of punchctl, no command line, no file but their own, and not
# in processes that do not need them. The programs are the real ones, which tell the test what they have (tell.c):
# private keys, what follows from the word, what the two ends of a session share, keys of tickets, secrets of TLS.
. "$(dirname "$0")/lab.sh"
. "$(dirname "$0")/punch.sh"
lab_begin "$@"
LAB_FIRST=$LAB_DIR/bin
mkdir "$LAB_FIRST" "$LAB_DIR/answers"
cp "$LAB_BUILD"/lab/tell/* "$LAB_BUILD"/{punch,punchctl,libpunch.so} "$LAB_FIRST"
truncate -s 4M "$LAB_FIRST/told"
punchctl() { "$LAB_BUILD/punchctl" "$@"; }
word=$(punchctl secret)
echo "$word" >"$LAB_FIRST/word"
secrets() { python3 "$LAB_SRC/tests/lab/secrets.py" "$LAB_FIRST" "$@" 2>&1 | sort | uniq -c; }

# --- everything at once, and everything logged
punch_debug
punch_net gateway port=preserve delay=5ms pmp=on -- gateway port=preserve delay=5ms pmp=on
lab_bg rdv rendezvous punch-rendezvous
lab_wait_port rdv 4430
lab_wait_port rdv 4433
PUNCH_SERVER_KEY=$(sed -n 's/.*rendezvous-key *= *\([A-Za-z0-9+/=]*\).*/\1/p' "$(lab_log rendezvous)" | head -n 1)
[ -n "$PUNCH_SERVER_KEY" ] || PUNCH_SERVER_KEY=$(sed -n 's/.*rendezvous-key *= *\([A-Za-z0-9+/=]*\).*/\1/p' "$PUNCH_LOG_FILE" | head -n 1)
PUNCH_PEERS='alice bob'
punch_conf bob $'[service echo]\nport = 9000\n[service ssh]\nport = 22'
punch_conf alice
find "$LAB_DIR/host" -name '*.key' -o -name '*.secret' >"$LAB_FIRST/keys"
lab_expect_eq 'files with secrets' "$(sed 's:.*/::' "$LAB_FIRST/keys" | sort | tr '\n' ' ')" 'node.key node.key relay.secret rendezvous.key '
punch_sshd bob
lab_bg bob echo punch socat TCP-LISTEN:9000,fork,reuseaddr EXEC:cat
punch_published bob 9000
punch_published bob 22
# Held all the time: its pumps stay
lab_bg alice held punch python3 "$LAB_SRC/tests/lab/held.py" bob 9000 "$LAB_DIR/go"
lab_wait_log held held
for route in direct relay; do
	lab_expect_eq "$route: ssh" "$(PUNCH_ROUTE=$route lab_run alice timeout 20 punch ssh "${PUNCH_SSH[@]}" bob echo hello 2>&1)" hello
	lab_expect_eq "$route: encrypted" "$(echo hello | PUNCH_ROUTE=$route lab_run alice timeout 20 punch nc -N -w 10 bob 9000 2>&1)" hello
	lab_expect_eq "$route: it was that way" "$(punch_last_path alice)" "$route"
done
quick=(--secret "$word" --rendezvous rdv)
lab_bg bob quick punch "${quick[@]}" --as bob socat TCP-LISTEN:9100,fork,reuseaddr EXEC:cat
lab_wait 20 "lab_run bob env PUNCH_SECRET=$word PUNCH_AS=bob PUNCH_RENDEZVOUS=rdv punchctl status | grep -q 'service 9100'"
lab_bg alice quickly punch "${quick[@]}" python3 "$LAB_SRC/tests/lab/held.py" bob.punch 9100 "$LAB_DIR/go2"
lab_wait_log quickly held
for route in direct relay; do
	lab_expect_eq "$route: quick" "$(echo hello | PUNCH_ROUTE=$route lab_run alice timeout 20 punch "${quick[@]}" nc -N -w 10 bob.punch 9100 2>&1)" hello
done
# Another user asks both resolvers of bob, and again whenever he is hung up on: his porters stay
lab_bg bob other python3 -c '
import os, re, socket
os.setgid(65534); os.setuid(65534)
while True:
    with open("/proc/net/unix") as f:
        held = [socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(2)]
        for s, name in zip(held, sorted(set(re.findall(r"@(punch/\S+)", f.read()))), strict=True):
            s.connect("\0" + name)
    print("asked", flush=True)
    for s in held:
        s.recv(1)'
lab_wait_log other asked
for host in alice bob; do
	for how in status 'status --json' 'ping bob' doctor pubkey; do
		[ "$host $how" != 'bob ping bob' ] || continue
		# shellcheck disable=SC2086 # words
		lab_run "$host" timeout 30 punchctl $how >"$LAB_DIR/answers/$host $how" 2>&1
		[ "$how" = pubkey ] || PUNCH_SECRET=$word PUNCH_AS=$([ $host = alice ] || echo bob) PUNCH_RENDEZVOUS=rdv lab_run "$host" timeout 30 \
			punchctl ${how/%bob/bob.punch} >"$LAB_DIR/answers/$host quick $how" 2>&1
	done
done

# --- was there anything to find?
for name in punch punch-rendezvous punch-relay punch-resolver; do
	lab_expect "debug lines: $name" grep -q "^$name: debug: " "$PUNCH_LOG_FILE"
done
for line in 'pump: connection' 'mapper: ' 'porter of user 65534'; do
	lab_expect "debug lines: $line" grep -q "^punch-resolver: debug: .* $line" "$PUNCH_LOG_FILE"
done
for label in private scrypt derived mac-key tls token; do
	lab_expect "told: $label" [ "$(secrets count $label | awk '{ print $2 }')" -gt 0 ]
done

lab_expect_eq 'each form of each is found' "$(secrets forms)" ''

# --- and is there any?
lab_expect_eq 'nothing in logs' "$(secrets "$LAB_DIR/log")" ''
lab_expect_eq 'nothing in what punchctl says' "$(secrets "$LAB_DIR/answers")" ''
lab_expect_eq 'nothing in command lines' "$(secrets cmdline)" ''
for name in punch-pump punch-mapper punch-porter punch-rendezvou punch-relay; do
	lab_expect_eq "nothing in the environment of $name" "$(secrets environ $name)" ''
done
lab_expect_eq 'no key of the node, and no word, in the memory of punch-pump' "$(secrets memory punch-pump private scrypt token)" ''
lab_expect_eq 'nothing in the memory of punch-mapper' "$(secrets memory punch-mapper private scrypt derived mac-key tls token)" ''
lab_expect_eq 'nothing but the token in the memory of punch-porter' "$(secrets memory punch-porter private scrypt derived mac-key tls)" ''
lab_expect 'punch-porter is confined' punch_confined bob punch-porter
mkdir "$LAB_DIR/state"
find "$LAB_DIR/host" -type f -path '*/.local/state/*' ! -name '*.key' ! -name '*.secret' -exec cp -t "$LAB_DIR/state" {} +
lab_expect_eq 'nothing in what is saved' "$(secrets "$LAB_DIR/state")" ''
