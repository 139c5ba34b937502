#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# timeout: 120
#
# Quick mode: a word and a server, no files at all.
. "$(dirname "$0")/lab.sh"
. "$(dirname "$0")/punch.sh"
lab_begin "$@"
punch_net port=preserve delay=10ms -- port=preserve delay=10ms
punch_servers
word='correct horse battery staple'
lab_bg bob echo punch --secret "$word" --as bob --rendezvous rdv socat TCP-LISTEN:9000,fork,reuseaddr EXEC:cat
lab_wait_port bob 9000
lab_wait 20 "lab_run bob env PUNCH_SECRET='$word' PUNCH_AS=bob PUNCH_RENDEZVOUS=rdv punchctl status --json | jq -e '.services | length == 1' >/dev/null"

try() { echo hello | lab_run alice timeout 20 punch "$@" nc -N -w 18 bob.punch 9000 2>"$LAB_DIR/err"; }
lab_expect_eq 'with the word: bytes pass' "$(try --secret "$word" --rendezvous rdv)" hello
lab_expect_eq 'with the word: direct' "$(lab_run alice env PUNCH_SECRET="$word" PUNCH_RENDEZVOUS=rdv \
	punchctl status --json | jq -r '.connections[-1].path')" direct
lab_expect_eq 'a port that nobody serves: refused' "$(echo hello | lab_run alice timeout 20 punch --secret "$word" --rendezvous rdv \
	nc -N -w 18 bob.punch 9 2>"$LAB_DIR/err")" ''
lab_expect_match 'a port that nobody serves: no word of files' "$(cat "$LAB_DIR/err")" \
	'^punch: bob.punch: nothing is published on port 9 there; does its program run under punch, with a name \(PUNCH_AS\)[^[]*$'
lab_expect_eq 'with a name of its own: bytes pass' "$(try --secret "$word" --as alice --rendezvous rdv)" hello
lab_expect_eq 'with another word: nothing' "$(try --secret 'some other long word' --rendezvous rdv)" ''
lab_expect_match 'with another word: one line says why, and has no word of files' "$(cat "$LAB_DIR/err")" \
	'^punch: bob\.punch: not connected to rdv with the same word; [^[]* PUNCH_AS=bob and [^[]*$'
lab_expect_match 'another rendezvous: said without files, and without doubled words' "$(try --secret "$word" --rendezvous nowhere.invalid; cat "$LAB_DIR/err")" \
	'^punch: bob\.punch: rendezvous nowhere\.invalid: [^[]*; look at PUNCH_RENDEZVOUS$'
lab_expect_eq 'doubled words' "$(grep -c 'nowhere.invalid.*nowhere.invalid' "$LAB_DIR/err")" 0

# --- what listens on loopback alone was not meant for others
curl() { lab_run alice timeout 20 punch --secret "$word" --rendezvous rdv curl -s -o /dev/null -w '%{http_code}' "$@" 2>"$LAB_DIR/err"; }
web() { # NAME ADDRESS PORT OPTION...
	lab_bg bob "$1" punch --secret "$word" --as bob --rendezvous rdv "${@:4}" python3 -m http.server --bind "$2" "$3"
	lab_wait_port bob "$3"
}
web private 127.0.0.1 8001
web private6 ::1 8002
web meant 127.0.0.1 8003 --loopback
web open 0.0.0.0 8004
lab_wait 20 "lab_run bob env PUNCH_SECRET='$word' PUNCH_AS=bob PUNCH_RENDEZVOUS=rdv punchctl status | grep -q 'service 8004'"
lab_expect_eq 'bound to loopback: not published' "$(curl http://bob.punch:8001/)$(curl http://bob.punch:8002/)" 000000
lab_expect_match 'and its peer hears that' "$(cat "$LAB_DIR/err")" 'nothing is published on port 8002'
lab_expect_eq 'and said' "$(cat "$(lab_log private)" "$(lab_log private6)" | grep -c 'punch: warning: port 800[12] is not published: .* --loopback')" 2
lab_expect_eq 'with --loopback: published' "$(curl http://bob.punch:8003/)" 200
lab_expect_eq 'on all addresses: published' "$(curl http://bob.punch:8004/)" 200
lab_expect_eq 'no line of ours there' "$(cat "$(lab_log meant)" "$(lab_log open)" | grep -c punch:)" 0

lab_expect_eq 'no file was made in either home' \
	"$(find "$LAB_DIR/host/alice/home" "$LAB_DIR/host/bob/home" -type f ! -name 'known_servers' ! -path '*/.local/state/*' | wc -l)" 0
lab_expect_eq 'the word shows in no command line' "$(pgrep -f "$word")" ''
