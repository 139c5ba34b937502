#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# timeout: 200
#
# Each failure has its errno, and one line that says what to do; nothing hangs.
. "$(dirname "$0")/lab.sh"
. "$(dirname "$0")/punch.sh"
lab_begin "$@"
punch_net port=preserve delay=5ms -- port=preserve delay=5ms
lab_host mallory inet 203.0.113.66
lab_server rdv2 203.0.113.20
PUNCH_PEERS='alice bob'
punch_servers
punch_conf bob $'[service echo]\nport = 9000\n[service hers]\nport = 9001\nallow = nobody\n[peer nobody]\nkey = AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n[service secret]\nport = 9002\nencrypt = yes'
punch_conf alice $'[peer ghost]\nkey = AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE='
sed -i 's/^\[peer bob\]$/&\nencrypt = no/' "$(punch_dir alice)/punch.conf"
for port in 9000 9001 9002; do
	lab_bg bob "echo$port" punch socat "TCP-LISTEN:$port,fork,reuseaddr" EXEC:cat
	punch_published bob "$port"
done

# fails NAME HOST PEER PORT ERRNO LINE [ENV...]
fails() {
	local name=$1 host=$2 peer=$3 port=$4 errno=$5 line=$6 out start took
	shift 6
	start=${EPOCHREALTIME/./}
	out=$(lab_run "$host" env "$@" timeout 40 punch python3 -c '
import errno, socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])))
    print("connected")
except OSError as e:
    print(errno.errorcode.get(e.errno, e))' "$peer" "$port" 2>"$LAB_DIR/err")
	took=$(((${EPOCHREALTIME/./} - start) / 1000))
	lab_expect_eq "$name: errno" "$out" "$errno"
	lab_expect_match "$name: says what to do" "$(cat "$LAB_DIR/err")" "$line"
	lab_expect_eq "$name: one line" "$(wc -l <"$LAB_DIR/err")" 1
	lab_note "$name: after $took ms"
}
fails 'peer offline' alice ghost 22 EHOSTUNREACH 'ghost.*\[peer ghost\]'
fails 'service not offered' alice bob 9999 ECONNREFUSED 'bob.*port 9999.*\[service\]'
fails 'not allowed' alice bob 9001 ECONNREFUSED 'bob.*9001.*allow'
fails 'encryption demanded there, refused here' alice bob 9002 ECONNREFUSED 'bob.*9002.*encrypt = no here and yes there.*\[peer bob\]'

# --- a stranger learns nothing: the same as an absent peer
PUNCH_PEERS=mallory
punch_conf mallory "$(printf '[peer bob]\nkey = %s' "$(punch_key bob)")"
fails 'a stranger' mallory bob 9000 EHOSTUNREACH 'bob.*not connected'

# --- wrong server key
sed -i 's/^rendezvous-key = .*/rendezvous-key = AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=/' "$(punch_dir mallory)/punch.conf"
lab_run mallory punchctl stop
fails 'wrong server key' mallory bob 9000 EACCES 'rdv.*key'
PUNCH_PEERS='alice bob'

# --- unreachable rendezvous; then no path in time
lab_run alice punchctl stop
lab_stop rendezvous
fails 'rendezvous unreachable' alice bob 9000 ENETUNREACH 'rdv.*\[node\] rendezvous' PUNCH_TIMEOUT=4
punch_servers
punch_published bob 9000
lab_set natA mapping=address-port port=random
lab_set natB mapping=address-port port=random
fails 'no path in time' alice bob 9000 ETIMEDOUT 'bob.*direct.*relay' PUNCH_TIMEOUT=4 PUNCH_ROUTE=direct

# --- a firewall that lets the rendezvous' own port through alone
lab_do lab_run rdv nft 'add table inet f; add chain inet f i { type filter hook input priority 0; }; add rule inet f i tcp dport 4431-4433 drop'
fails 'relay out of reach' alice bob 9000 ETIMEDOUT 'relay 203.0.113.10:4433: no answer|relay: 203.0.113.10:4433: no answer in time .does a firewall' \
	PUNCH_TIMEOUT=4 PUNCH_ROUTE=relay
lab_run alice punchctl stop
said=$(lab_run alice punchctl doctor)
lab_expect_match 'doctor names each port that does not answer' "$said" \
	'probe 203.0.113.10:4431: no answer: does a firewall drop TCP 4431.*4432: no answer.*relay 203.0.113.10:4433: no answer: does a firewall drop TCP 4433'
lab_expect_match 'doctor: what follows' "$(tail -n 1 <<<"$said")" 'probe ports and its relay do not answer.*Open the ports'
lab_expect_eq 'doctor: the same in JSON' "$(lab_run alice punchctl doctor --json |
	jq -r '[.server_ports[] | select(.answers == false) | .what] | join(" ")')" 'probe probe relay'
lab_do lab_run rdv nft flush ruleset
lab_expect_match 'doctor: all answer' "$(lab_run alice punchctl doctor)" 'server ports  probes and relay answer'

# --- a rendezvous whose relays are elsewhere, or nowhere
mkdir -p "$LAB_DIR/rdv2"
openssl rand -base64 32 >"$LAB_DIR/rdv2/relay.secret"
chmod 600 "$LAB_DIR/rdv2/relay.secret"
doctor_of() { # RELAYS: what alice's doctor says of a server that has these
	printf '[rendezvous]\nkey = rdv.key\nrelay = %s\nrelay-secret = relay.secret\n' "$1" >"$LAB_DIR/rdv2/rendezvous.conf"
	lab_bg rdv2 rdv2 punch-rendezvous -c "$LAB_DIR/rdv2/rendezvous.conf"
	lab_wait_port rdv2 4430
	lab_run alice env PUNCH_RENDEZVOUS=203.0.113.20 PUNCH_SECRET='correct horse battery staple and more' punchctl doctor
	lab_run alice env PUNCH_RENDEZVOUS=203.0.113.20 PUNCH_SECRET='correct horse battery staple and more' punchctl stop >/dev/null
	lab_stop rdv2
}
said=$(doctor_of '203.0.113.10:4433 nowhere.invalid:4433 192.168.0.7:4433 203.0.113.10:4999')
lab_expect_match 'doctor tries relays on other hosts' "$said" \
	'relay nowhere.invalid:4433: its name: .*relay 192.168.0.7:4433: a private address.*relay 203.0.113.10:4999: refused: does punch-relay run there'
lab_expect_eq 'doctor: one that answers is enough' "$(grep -c 'relay 203.0.113.10:4433\|relay does not answer' <<<"$said")" 0
said=$(doctor_of 203.0.113.10:4999)
lab_expect_match 'doctor: no relay answers' "$(tail -n 1 <<<"$said")" 'relay does not answer.*cannot be reached'
said=$(doctor_of none)
lab_expect_match 'doctor: a server without relay' "$said" 'server ports  probes answer.*there is no relay'

# --- settings that cannot be meant
lab_expect_match 'PUNCH_TIMEOUT is cut: the library says so' "$(lab_run alice env PUNCH_TIMEOUT=600 punch true 2>&1)" \
	'^punch: warning: PUNCH_TIMEOUT = "600": at most 60 seconds; using 60$'
lab_expect_match 'PUNCH_TIMEOUT is cut: punchctl says so' "$(lab_run alice env PUNCH_TIMEOUT=600 punchctl status 2>&1)" \
	'punchctl: warning: PUNCH_TIMEOUT = "600": at most 60 seconds'
cp "$(punch_dir alice)/punch.conf" "$LAB_DIR/alice.conf"
lab_run alice punchctl stop
sed -i "s|^key = $(punch_key bob)|key = $(punch_key alice)|" "$(punch_dir alice)/punch.conf"
line=$(grep -n '^\[peer bob\]' "$(punch_dir alice)/punch.conf" | cut -d: -f1)
lab_expect_match 'our own key as a peer'"'"'s: file and line' "$(lab_run alice punchctl ping bob 2>&1)" \
	"punch.conf:$line: \\[peer bob\\] key: this is the key of this node itself"
cp "$LAB_DIR/alice.conf" "$(punch_dir alice)/punch.conf"

# --- names that are nearly a peer's
nearly() { # NAME [VARIABLE=VALUE...]: what is said of it by a program that asks twice
	lab_run alice env "${@:2}" punch python3 -c '
import socket, sys
for i in range(2):
    try:
        socket.getaddrinfo(sys.argv[1], 22)
    except OSError:
        pass' "$1" 2>&1
}
quick=(XDG_CONFIG_HOME="$LAB_DIR/none" PUNCH_CONF= PUNCH_SECRET='a long secret that only you two know' PUNCH_RENDEZVOUS=rdv)
lab_expect_match 'a name of quick mode, with a file' "$(nearly bob.punch)" \
	'^punch: warning: bob.punch is a name of quick mode, and PUNCH_SECRET is not set here; by [^ ]*/punch.conf its name is bob$'
lab_expect_match 'one of nobody' "$(nearly bub.punch)" '^punch: warning: bub.punch is a name of quick mode, and PUNCH_SECRET is not set here$'
lab_expect_match 'a bare name, in quick mode' "$(nearly bob "${quick[@]}")" \
	'^punch: warning: bob: no such host; PUNCH_SECRET is set, and in quick mode peers. names end in .punch: is bob.punch meant.$'
lab_expect_match 'a word that hides the file: said' "$(nearly localhost "${quick[@]:2}")" \
	'^punch: PUNCH_SECRET is set, so this is quick mode: [^ ]*/punch.conf is not read .to use it, unset PUNCH_SECRET.$'
lab_expect_match 'so it is by punchctl' "$(lab_run alice env "${quick[@]:2}" punchctl status 2>&1 >/dev/null)" \
	'^punchctl: warning: PUNCH_SECRET is set, so this is quick mode: [^ ]*/punch.conf is not read'
lab_expect_eq 'any other name: nothing' "$(nearly www.example.org; nearly bobb; nearly www.example.org "${quick[@]}"; nearly localhost "${quick[@]}"
	nearly "$(hostname)" "${quick[@]}")" ''

# --- a port of which the file says nothing: told to who serves, not to who calls
lab_bg bob left-out punch python3 -c '
import socket, time
servers = [socket.create_server(("", port)) for port in (8080, 8081)]
print("listening", flush=True)
time.sleep(60)'
lab_wait_log left-out listening
lab_expect_eq 'a port of no [service]: said once' "$(grep -c 'punch: warning: port 808[01] is not published: no \[service\] of .*/punch.conf has it' "$(lab_log left-out)")" 1
lab_stop left-out
sed -i '$a [service any]\nport = 22' "$(punch_dir alice)/punch.conf"
lab_bg alice any punch socat TCP-LISTEN:22,fork,reuseaddr EXEC:cat
punch_published alice 22
lab_expect_eq 'of loopback, a port that the kernel chose, and one who has called: nothing' "$(lab_run bob punch python3 -c '
import socket
servers = [socket.create_server(("127.0.0.1", 8080)), socket.create_server(("", 0))]
try:
    socket.create_connection(("alice", 22), 15)
    print("connected")
except OSError:
    pass
servers.append(socket.create_server(("", 8081)))
print("listening")' 2>"$LAB_DIR/err"; grep 'not published' "$LAB_DIR/err")" $'connected\nlistening'
sed -i '/^\[service any\]/,$d' "$(punch_dir alice)/punch.conf"
lab_stop any
lab_expect_eq 'without any [service]: nothing' "$(lab_run alice punch python3 -c '
import socket
socket.create_server(("", 8080))' 2>&1)" ''

# --- the server's own side: one line, at its start, that says why its peers will not find it
lab_expect_eq 'a server within reach says nothing' "$(cat "$(lab_log echo9000)" "$(lab_log echo9001)" | grep -c punch:)" 0
# mute NAME REASON: with bob's punch.conf as it is now, and no resolver there
mute() {
	lab_run bob punchctl stop
	lab_bg bob "mute-$1" punch python3 -c '
import socket, time
servers = [socket.create_server(("", port)) for port in (9000, 9001)]
print("listening", flush=True)
time.sleep(60)'
	lab_wait_log "mute-$1" listening
	lab_expect_match "$1: the server is told" "$(cat "$(lab_log "mute-$1")")" \
		"punch: port 9000 is not reachable by peers yet: rendezvous rdv: $2"
	lab_expect_eq "$1: once" "$(grep -c reachable "$(lab_log "mute-$1")")" 1
	lab_stop "mute-$1"
}
for port in 9000 9001 9002; do lab_stop "echo$port"; done
lab_run bob punchctl stop
lab_expect_eq 'of two that listen at one time, and start the resolver: nor does either' "$(lab_run bob punch python3 -c '
import socket, threading
servers = [socket.socket() for port in (9000, 9001)]
for server, port in zip(servers, (9000, 9001)):
    server.bind(("", port))
threads = [threading.Thread(target=server.listen) for server in servers]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()' 2>&1)" ''
conf=$(punch_dir bob)/punch.conf
cp "$conf" "$LAB_DIR/right.conf"
sed -i 's/^rendezvous-key = .*/rendezvous-key = AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=/' "$conf"
mute 'wrong rendezvous-key' 'it showed the key .* but .*punch.conf has rendezvous-key'
cp "$LAB_DIR/right.conf" "$conf"
lab_run rdv ip route add blackhole 198.51.100.2
mute 'no answer' 'cannot be reached: 203.0.113.10:4430: no answer yet .*firewall drops TCP 4430'
lab_run rdv ip route del blackhole 198.51.100.2
lab_stop rendezvous
mute 'rendezvous down' 'cannot be reached: 203.0.113.10:4430: Connection refused .*TCP 4430'
mkdir -p "$LAB_DIR/host/rdv/home/allow"
punch_key alice >"$LAB_DIR/host/rdv/home/allow/keys"
printf '[rendezvous]\nallow = keys\nkey = %s\n' "$LAB_DIR/host/rdv/home/.local/state/punch/rendezvous.key" \
	>"$LAB_DIR/host/rdv/home/allow/rendezvous.conf"
punch_servers "$LAB_DIR/host/rdv/home/allow/rendezvous.conf"
mute 'not allowed there' 'does not serve this node: its owner has to allow the key'
lab_expect_match 'quick mode without a name' "$(lab_run bob env PUNCH_SECRET='a long secret that only you two know' \
	PUNCH_RENDEZVOUS=rdv timeout 1 punch socat TCP-LISTEN:9000,reuseaddr EXEC:cat 2>&1)" \
	'punch: port 9000 is not published: quick mode without a name only calls: add --as NAME'

# --- a name that is a peer's never leaks
lab_expect_eq 'without the shim a stand-in address goes nowhere' "$(lab_run alice python3 -c '
import errno, socket
try:
    socket.create_connection(("239.192.0.7", 22), 5)
except OSError as e:
    print(errno.errorcode[e.errno])')" ENETUNREACH
