#!/bin/bash
# SPDX-License-Identifier: MIT
# Another user has taken the resolver's name first: he hears nothing, and programs find the resolver all the same
# parallel: yes
. "$(dirname "$0")/shim.sh"
[ "$(id -u)" = 0 ] || { echo "SKIP squat: another user is needed, and so root"; exit 77; }

export XDG_STATE_HOME=$T HOME=$T
"$B/punchctl" keygen "$T/conf/alice.key" >/dev/null
sed -i 's/^rendezvous = .*/rendezvous = 127.0.0.1:9/' "$T/conf/punch.conf"
name=$(python3 -c 'import os, sys
s = os.stat(sys.argv[1])
print("punch/0/f-%x-%x-punch.conf/0" % (s.st_dev, s.st_ino))' "$T/conf")
chmod 755 "$T" && mkfifo "$T/heard" && chmod 666 "$T/heard" && exec {heard}<>"$T/heard"
cat >"$T/squatter.py" <<'SQUATTER'
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.bind("\0" + sys.argv[1])
s.listen(8)
out = open(sys.argv[2], "w")
print("there", file=out, flush=True)
while True:
    c, _ = s.accept()
    c.settimeout(5)
    try:
        said = c.recv(65536)
    except OSError:
        said = b"(silence)"
    print("visited, heard", len(said), file=out, flush=True)
    c.close()
SQUATTER
start setpriv --reuid=65534 --regid=65534 --clear-groups env PATH=/usr/bin:/bin python3 "$T/squatter.py" "$name" "$T/heard"
read -r -t 10 line <&"$heard" && [ "$line" = there ] || fail "the squatter is there" "$line"

found() {
	[[ $(env LD_PRELOAD="$B/libpunch.so" python3 -c 'import socket; print(socket.gethostbyname("bob"))' 2>&1) =~ ^239\.19[2-5]\. ]]
}
check "a program finds its resolver behind him" found
check "punchctl finds it, too" "$B/punchctl" status
check "the resolver is at the next name" grep -q "@${name%0}1" <(ss -xl)
all_silent() {
	local visits=0 line
	while read -r -t 1 line <&"$heard"; do
		[ "$line" = "visited, heard 0" ] || { echo "$line"; return 1; }
		visits=$((visits + 1))
	done
	[ "$visits" -ge 2 ] || { echo "only $visits visits"; return 1; }
}
check "he was visited and heard nothing" all_silent
"$B/punchctl" stop

# Another one, at the next name, who accepts nobody and has filled his own queue: connect() would wait for him
cat >"$T/rude.py" <<'RUDE'
import signal, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.bind("\0" + sys.argv[1])
s.listen(0)
queued = []
while True:
    c = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    c.setblocking(False)
    try:
        c.connect("\0" + sys.argv[1])
    except BlockingIOError:
        break
    queued.append(c)
print("full", file=open(sys.argv[2], "w"), flush=True)
signal.pause()
RUDE
while read -r -t 0.1 line <&"$heard"; do :; done
start setpriv --reuid=65534 --regid=65534 --clear-groups env PATH=/usr/bin:/bin python3 "$T/rude.py" "${name%0}1" "$T/heard"
read -r -t 10 line <&"$heard" && [ "$line" = full ] || fail "the rude one is there" "$line"
check "a name whose queue another user has filled is passed over" found
check "by punchctl, too" timeout 5 "$B/punchctl" status
check "the resolver is at the name after it" grep -q "@${name%0}2" <(ss -xl)
"$B/punchctl" stop
exit "$status"
