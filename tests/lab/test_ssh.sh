#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# timeout: 240
#
# The main job: ssh, rsync, curl and nc through two NATs, over a bare socket.
. "$(dirname "$0")/lab.sh"
. "$(dirname "$0")/punch.sh"
lab_begin "$@"
[ "$(id -u)" = 0 ] && [ ! -f /proc/self/uid_map ] || [ "$(awk '{print $3}' /proc/self/uid_map)" -gt 1 ] ||
	lab_skip 'sshd wants real root'
LAB_MTU=9000
punch_net port=preserve filtering=address-port stray=drop delay=10ms -- \
	port=preserve filtering=address-port stray=rst delay=10ms
punch_servers
punch_conf bob $'[service ssh]\nport = 22\n[service web]\nport = 8000\n[service any]\nport = 9000'
punch_conf alice
punch_sshd bob
mkdir -p "$LAB_DIR/www" && echo 'hello from bob' >"$LAB_DIR/www/index.html"
lab_bg bob web punch python3 -m http.server 8000 --directory "$LAB_DIR/www"
lab_bg bob echo punch socat TCP-LISTEN:9000,fork,reuseaddr EXEC:cat
punch_published bob 22
punch_published bob 8000
punch_published bob 9000

# --- ssh
out=$(lab_run alice punch ssh "${PUNCH_SSH[@]}" bob 'echo in; hostname >/dev/null' 2>"$LAB_DIR/err")
lab_expect_eq 'ssh logs in' "$out" in
lab_expect_eq 'nothing of punch on stderr' "$(cat "$LAB_DIR/err")" ''
lab_expect_eq 'the path is direct' "$(punch_last_path alice)" direct
lab_expect_match 'to the public address of NAT B' "$(punch_remote alice)" '^198\.51\.100\.2:'
out=$(lab_run alice env LD_PRELOAD="$LAB_BUILD/libpunch.so" ssh "${PUNCH_SSH[@]}" bob echo preloaded)
lab_expect_eq 'LD_PRELOAD alone does it' "$out" preloaded

# --- a bare socket, and no process of ours at work
head -c 200M /dev/urandom >"$LAB_DIR/big"
sum=$(sha256sum <"$LAB_DIR/big")
ticks() { # of all resolvers, relays and rendezvous
	local pid sum=0 t
	for pid in $(pgrep -f 'punch-(resolver|relay|rendezvous|keeper)'); do
		t=$(awk '{print $14 + $15}' "/proc/$pid/stat" 2>/dev/null) && sum=$((sum + t))
	done
	echo "$sum"
}
lab_bg alice copy punch rsync -a -e "ssh ${PUNCH_SSH[*]} -c aes128-gcm@openssh.com" "$LAB_DIR/big" "bob:$LAB_DIR/copied"
lab_wait 60 "lab_run bob ss -Htnp state established dst 198.51.100.1 | grep -q sshd"
lab_expect_match "bob's kernel shows alice's public address, in sshd's hands" \
	"$(lab_run bob ss -Htnp state established dst 198.51.100.1 | grep sshd)" '198\.51\.100\.1:[0-9]+ .*sshd'
before=$(ticks)
wait "${LAB_BGPID[copy]}"
after=$(ticks)
lab_expect_eq 'rsync copies 200 MB' "$(sha256sum <"$LAB_DIR/copied")" "$sum"
lab_expect "no process of punch used CPU meanwhile ($((after - before)) ticks)" [ $((after - before)) -le 5 ]

# --- others
lab_expect_eq 'curl' "$(lab_run alice punch curl -s http://bob:8000/)" 'hello from bob'
lab_expect_match 'the server sees a stand-in address' "$(cat "$(lab_log web)")" '239\.19[2-5]\.[0-9]+\.[0-9]+ - - .*GET'
lab_expect_eq 'nc' "$(echo ping | lab_run alice punch nc -N -w 10 bob 9000)" ping
lab_expect_eq 'a non-blocking connect (python asyncio)' "$(lab_run alice punch python3 -c '
import asyncio
async def main():
    r, w = await asyncio.open_connection("bob", 9000)
    w.write(b"async\n"); w.write_eof()
    print((await r.read()).decode(), end="")
    w.close()
asyncio.run(main())')" async
lab_expect_eq 'an IPv6 socket of the program' "$(lab_run alice punch python3 -c '
import socket
s = socket.socket(socket.AF_INET6); s.settimeout(10)
s.connect(socket.getaddrinfo("bob", 9000, socket.AF_INET6, socket.SOCK_STREAM)[0][4])
s.sendall(b"six\n"); s.shutdown(1)
print(s.recv(100).decode(), end="")')" six
lab_expect_eq 'scp' "$(echo scp >"$LAB_DIR/f" && lab_run alice punch scp -q "${PUNCH_SSH[@]}" "$LAB_DIR/f" "bob:$LAB_DIR/g" && cat "$LAB_DIR/g")" scp

# --- LAN clients of the published services are served as before
lab_expect_eq 'a local client of bob is untouched' "$(lab_run bob curl -s http://127.0.0.1:8000/)" 'hello from bob'
