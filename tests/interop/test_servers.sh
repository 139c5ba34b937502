#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# timeout: 180
#
# Ways to be a server: where it listens, who accepts, sockets that were passed on, restarts.
. "$(dirname "$0")/../lab/lab.sh"
. "$(dirname "$0")/../lab/punch.sh"
lab_begin "$@"
LAB_MTU=9000
W=$LAB_DIR/work
STANDIN='239\.19[2-5]\.[0-9]+\.[0-9]+'
export W PATH=/usr/sbin:/sbin:$PATH
mkdir -p "$W/nginx"
punch_net port=preserve filtering=address-port stray=drop delay=12500us -- \
	port=preserve filtering=address-port stray=rst delay=12500us
punch_servers
punch_conf alice
punch_conf bob "$(for port in 7001 7002 7003 7004 7005 7006 7010 7011 7012 7020 7021 7022 7030 8005 8080; do
	printf '\n[service s%s]\nport = %s\n' $port $port
done; printf '\n[service bare]\nport = 7013\nencrypt = no\n')"
published() { # PORT: as punch_published, but a port may have several listeners
	lab_wait 20 "[ \"\$(punch_status bob '.rendezvous[0].state == \"ready\" and any(.services[]; .port == $1 and .alive)' 2>/dev/null)\" = true ]"
}
ask() { # PORT [TEXT]: what bob's server says
	lab_run alice timeout 20 punch python3 "$W/ask.py" bob "$1" "${2:-}"
}
cat >"$W/ask.py" <<'PY'
import socket, sys
s = socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=15)
s.sendall(sys.argv[3].encode())
s.shutdown(socket.SHUT_WR)
while part := s.recv(65536):
    print(part.decode(), end="")
PY

# --- six listeners in one process, each of another kind
cat >"$W/forms.py" <<'PY'
import asyncio, socket
def listener(family, address, port, only):
    s = socket.socket(family, socket.SOCK_STREAM)
    if family == socket.AF_INET6:
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, only)
    s.bind((address, port))
    s.listen(16)
    return s
async def tell(reader, writer):
    writer.write(f"{writer.get_extra_info('peername')[0]} at {writer.get_extra_info('socket').family.name}\n".encode())
    writer.close()
async def main():
    for form in ((socket.AF_INET, "0.0.0.0", 7001, 0), (socket.AF_INET, "127.0.0.1", 7002, 0),
                 (socket.AF_INET, "192.168.1.2", 7003, 0), (socket.AF_INET6, "::", 7004, 0),
                 (socket.AF_INET6, "::", 7005, 1), (socket.AF_INET6, "::1", 7006, 1)):
        await asyncio.start_server(tell, sock=listener(*form))
    print("ready", flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
PY
lab_bg bob forms punch python3 "$W/forms.py"
lab_wait_log forms ready
published 7006
lab_expect_match 'a listener on 0.0.0.0' "$(ask 7001)" "^$STANDIN at AF_INET$"
lab_expect_match 'on 127.0.0.1, which nobody else reaches' "$(ask 7002)" "^$STANDIN at AF_INET$"
lab_expect_match 'on one address of the network' "$(ask 7003)" "^$STANDIN at AF_INET$"
lab_expect_match 'on [::] for both families' "$(ask 7004)" "^::ffff:$STANDIN at AF_INET6$"
lab_expect_match 'on [::] for IPv6 only' "$(ask 7005)" '^ff18:7075:6e63:6800::[0-9a-f]+ at AF_INET6$'
lab_expect_match 'on [::1]' "$(ask 7006)" '^ff18:7075:6e63:6800::[0-9a-f]+ at AF_INET6$'

# --- who accepts: forked processes, threads; 20 connections at once
cat >"$W/many.py" <<'PY'
import os, socket, sys, threading
def work(s):
    while True:
        c, peer = s.accept()
        while part := c.recv(4096):
            c.sendall(part)
        c.close()
s = socket.create_server(("0.0.0.0", int(sys.argv[2])))
if sys.argv[1] == "fork":
    for n in range(4):
        if os.fork() == 0:
            work(s)
    os.wait()
for n in range(4):
    threading.Thread(target=work, args=(s,)).start()
PY
lab_bg bob fork punch python3 "$W/many.py" fork 7020
lab_bg bob threads punch python3 "$W/many.py" threads 7021
published 7020
published 7021
for port in 7020 7021; do
	case $port in 7020) name='four processes that were forked after listen()' ;; *) name='four threads' ;; esac
	lab_expect_match "$name serve 20 at once" \
		"$(lab_run alice timeout 60 punch python3 "$LAB_SRC/tests/lab/many.py" bob "$port" 20 20)" '^20 served;'
done

# --- the process that listened is gone when the first peer comes, and so is its parent
cat >"$W/daemon.py" <<'PY'
import os, socket
s = socket.create_server(("0.0.0.0", 7022))
if os.fork():
    os._exit(0)
os.setsid()
if os.fork():
    os._exit(0)
while True:
    c, peer = s.accept()
    c.sendall(peer[0].encode())
    c.close()
PY
lab_run bob punch python3 "$W/daemon.py" </dev/null >"$(lab_log daemon)" 2>&1
published 7022
lab_expect_match 'a daemon that left its terminal after listen()' "$(ask 7022)" "^$STANDIN$"
lab_expect_match 'and still, for the next peer' "$(ask 7022)" "^$STANDIN$"

# --- nginx: two workers, a listener each, and deferred accepts
if ! command -v nginx >/dev/null; then
	lab_skip 'nginx: reuseport, deferred, reload' 'package nginx-light missing'
elif [ "$(awk '{print $3}' /proc/self/uid_map)" = 1 ]; then
	lab_skip 'nginx: reuseport, deferred, reload' 'its workers change their user: needs real root'
else
	cat >"$W/nginx.conf" <<NGINX
user nobody nogroup;
worker_processes 2;
daemon off;
pid $W/nginx/pid;
error_log stderr;
events { multi_accept on; }
http {
	access_log $W/nginx/access;
	client_body_temp_path $W/nginx/a; proxy_temp_path $W/nginx/b; fastcgi_temp_path $W/nginx/c;
	uwsgi_temp_path $W/nginx/d; scgi_temp_path $W/nginx/e;
	server { listen 8080 reuseport deferred; return 200 "\$remote_addr \$pid\n"; }
}
NGINX
	lab_bg bob nginx punch nginx -c "$W/nginx.conf"
	published 8080
	lab_run alice timeout 60 punch curl --no-progress-meter -Z --parallel-immediate --parallel-max 40 \
		-H 'Connection: close' 'http://bob:8080/[1-40]' >"$W/answers" 2>&1
	lab_expect_eq 'nginx, reuseport and deferred: 40 requests at once' \
		"$(grep -cE "^$STANDIN [0-9]+\$" "$W/answers")" 40
	lab_expect_eq 'both of its workers had some' "$(awk '{ print $2 }' "$W/answers" | sort -u | wc -l)" 2
	old=$(pgrep -d , -P "$(cat "$W/nginx/pid")")
	kill -HUP "$(cat "$W/nginx/pid")"
	lab_wait 20 "! pgrep -P \$(cat '$W/nginx/pid') | grep -qwE '${old//,/|}'"
	lab_expect_match 'nginx after a reload' "$(lab_run alice timeout 20 punch curl -sS http://bob:8080/)" "^$STANDIN"
fi

# --- gunicorn executes itself anew and hands its listener on
if command -v gunicorn >/dev/null; then
	cat >"$W/app.py" <<'PY'
import os
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{environ['REMOTE_ADDR']} {os.getppid()}".encode()]
PY
	lab_bg bob gunicorn punch gunicorn --workers 2 --bind 0.0.0.0:8005 --pid "$W/gunicorn.pid" --chdir "$W" app:app
	published 8005
	old=$(cat "$W/gunicorn.pid")
	kill -USR2 "$old"
	lab_wait 20 "[ -s '$W/gunicorn.pid.2' ] && pgrep -P \$(cat '$W/gunicorn.pid.2') >/dev/null"
	new=$(cat "$W/gunicorn.pid.2")
	kill -TERM "$old"
	lab_wait 20 "! kill -0 $old 2>/dev/null || [ \"\$(ps -o stat= -p $old)\" = Z ]"
	lab_expect_match 'gunicorn after executing itself anew: the new one answers' \
		"$(lab_run alice timeout 20 punch curl -sS http://bob:8005/)" "^$STANDIN $new\$"
	kill -TERM "$new"
else
	lab_skip 'gunicorn across exec' 'package gunicorn missing'
fi

# --- sockets that somebody else opened
if command -v systemd-socket-activate >/dev/null; then
	cat >"$W/passed.py" <<'PY'
import os, socket
s = socket.socket(fileno=3)
while True:
    c, peer = s.accept()
    c.sendall(f"{os.environ['LISTEN_FDS']} {peer[0]}\n".encode())
    c.close()
PY
	lab_bg bob passed punch systemd-socket-activate -l 0.0.0.0:7010 -E W -E HOME -E XDG_RUNTIME_DIR -E LD_PRELOAD python3 "$W/passed.py"
	lab_bg bob inetd punch systemd-socket-activate --inetd -a -l 0.0.0.0:7011 -E HOME -E XDG_RUNTIME_DIR -E LD_PRELOAD \
		python3 -c 'import socket; s = socket.socket(fileno=0); s.sendall(s.getpeername()[0].encode() + b" " + s.recv(99))'
	for port in 7012 7013; do
		lab_bg bob without$port punch systemd-socket-activate --inetd -a -l 0.0.0.0:$port python3 -c \
			'import socket; s = socket.socket(fileno=0); s.sendall(s.getpeername()[0].encode() + b" " + s.recv(99))'
	done
	published 7010
	published 7011
	published 7012
	published 7013
	lab_expect_match 'a socket passed as systemd does: the first client starts the server' "$(ask 7010)" "^1 $STANDIN$"
	lab_expect_match 'and the next one' "$(ask 7010)" "^1 $STANDIN$"
	lab_expect_match 'a process for each connection, as inetd does: it knows the peer' "$(ask 7011 hello)" "^$STANDIN hello\$"
	lab_expect_eq 'a program without the shim sees the address of the NAT' "$(ask 7013 hello)" '198.51.100.1 hello'
	lab_expect_eq 'or, where punch encrypts, that of the pump' "$(ask 7012 hello)" '127.114.0.1 hello'
	export PUNCH_ROUTE=relay
	lab_expect_match 'the same over the relay' "$(ask 7011 hello)" "^$STANDIN hello\$"
	lab_expect_eq "and the relay's" "$(ask 7013 hello)" '203.0.113.10 hello'
	unset PUNCH_ROUTE
else
	lab_skip 'systemd-style passed sockets' 'systemd-socket-activate is not here'
fi

# --- a server that ends and comes back on its port, without SO_REUSEADDR: nothing of ours keeps it busy
cat >"$W/once.py" <<'PY'
import socket, sys
s = socket.socket()
s.bind(("0.0.0.0", 7030))
s.listen()
c, peer = s.accept()
c.sendall(b"served\n")
c.close()
PY
for turn in 1 2 3; do
	lab_bg bob once punch python3 "$W/once.py"
	published 7030
	lab_expect_eq "the port is free again at once, turn $turn" "$(ask 7030)" served
	lab_wait 10 '! lab_running once'
	lab_expect "and its server ended well, turn $turn" wait "${LAB_BGPID[once]}"
done
