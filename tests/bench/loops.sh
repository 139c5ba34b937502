#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# loops.sh - are event loops held up while a peer is being reached?
#
#	[ROUNDS=5] tests/bench/loops.sh
#
# In the lab, over NATs with so much delay that a peer takes some 700 ms (a round trip of 176 ms). torsocks and
# proxychains-ng get a SOCKS5 server on the client's own host that answers after 700 ms. In turn, in one run: two
# connects at once in asyncio and in node, and nginx that asks an upstream for 40 clients, 20 at a time.
. "$(dirname "$0")/../lab/lab.sh"
. "$(dirname "$0")/../lab/punch.sh"
lab_begin "$@"
ROUNDS=${ROUNDS:-5}
DELAY=${DELAY:-44ms}
SOCKS_MS=700
LIMIT_S=15	# for one request: some tools never wake nginx
W=$LAB_DIR/loops
mkdir "$W"
punch_net port=preserve filtering=address-port delay="$DELAY" -- port=preserve filtering=address-port delay="$DELAY"
lab_nat natC 198.51.100.3 port=preserve filtering=address-port delay="$DELAY"
lab_host carol natC 192.168.1.2
punch_servers
for host in bob carol; do
	punch_conf $host $'[service echo]\nport = 9000\n[service web]\nport = 80'
done
punch_conf alice
head -c 20000 /dev/zero >"$W/small"

nginx_conf() { # FILE PORT UPSTREAM
	printf '%s\n' 'daemon off;' "pid $W/$1.pid;" 'master_process off;' "error_log $W/$1.log;" \
		'events { worker_connections 512; }' 'http {' 'access_log off;' 'proxy_connect_timeout 30s;' \
		"client_body_temp_path $W/$1.a; proxy_temp_path $W/$1.b; fastcgi_temp_path $W/$1.c;" \
		"uwsgi_temp_path $W/$1.d; scgi_temp_path $W/$1.e;" \
		"server { listen $2; location / { $3; } }" "}" >"$W/nginx-$1.conf"
}
nginx_conf web 0.0.0.0:80 "root $W"
nginx_conf punch 127.0.0.1:8081 'proxy_pass http://bob'
nginx_conf proxychains 127.0.0.1:8082 'proxy_pass http://198.51.100.2'
nginx_conf torsocks 127.0.0.1:8083 'proxy_pass http://198.51.100.2'
nginx_conf local 127.0.0.1:8080 "root $W"
for host in bob carol; do
	lab_bg $host echo-$host punch python3 "$LAB_SRC/tests/lab/echo.py" 9000
	punch_published $host 9000
done
lab_bg bob web punch nginx -c "$W/nginx-web.conf"
punch_published bob 80
lab_bg alice local nginx -c "$W/nginx-local.conf"
lab_wait_port alice 8080
lab_bg alice socks python3 "$LAB_SRC/tests/bench/socks.py" 1080 $SOCKS_MS 8080
lab_wait_port alice 1080
printf '%s\n' strict_chain quiet_mode '[ProxyList]' 'socks5 127.0.0.1 1080' >"$W/proxychains.conf"
printf '%s\n' 'TorAddress 127.0.0.1' 'TorPort 1080' 'AllowOutboundLocalhost 1' 'AllowInbound 1' >"$W/torsocks.conf"
export PROXYCHAINS_CONF_FILE=$W/proxychains.conf PROXYCHAINS_QUIET_MODE=1
export TORSOCKS_CONF_FILE=$W/torsocks.conf TORSOCKS_LOG_LEVEL=1
declare -A RUN=([punch]=punch [proxychains]='proxychains4 -q' [torsocks]=torsocks)
declare -A PAIR=([punch]='bob:9000 carol:9000' [proxychains]='198.51.100.2:9000 198.51.100.3:9000')
PAIR[torsocks]=${PAIR[proxychains]}
declare -A NGINX_PORT=([punch]=8081 [proxychains]=8082 [torsocks]=8083)

loop() { # TOOL COMMAND...: "ONE BOTH GAP", or nothing when it fails
	local tool=$1
	shift
	# shellcheck disable=SC2086
	lab_run alice timeout 60 ${RUN[$tool]} "$@" ${PAIR[$tool]} 2>>"$(lab_log "$tool")"
}

# upstream TOOL: "SERVED OF-ALL-MS ONE-MS"
upstream() {
	local tool=$1 port=${NGINX_PORT[$1]} one all served begun
	# shellcheck disable=SC2086
	lab_bg alice "nginx-$tool" ${RUN[$tool]} nginx -c "$W/nginx-$tool.conf"
	lab_wait_port alice "$port"
	one=$(lab_run alice curl -s -m "$LIMIT_S" -o /dev/null -w '%{time_total}' "http://127.0.0.1:$port/small")
	sleep 1 # a node at rest, as in loops.py
	begun=${EPOCHREALTIME/./}
	served=$(cd "$W" && lab_run alice curl --no-progress-meter -Z --parallel-immediate --parallel-max 20 -m "$LIMIT_S" -o "$W/got.#1" -w '%{http_code}\n' \
		"http://127.0.0.1:$port/small?[1-40]" 2>>"$(lab_log "$tool")" | grep -c 200)
	all=$(((${EPOCHREALTIME/./} - begun) / 1000))
	lab_stop "nginx-$tool"
	echo "$served $all $(awk -v s="$one" 'BEGIN { printf "%.0f", s * 1000 }')"
}

lab_run alice punchctl ping bob >/dev/null # the resolver runs, and knows its NAT
lab_run alice punchctl ping carol >/dev/null
for ((round = 0; round < ROUNDS; round++)); do
	for tool in punch torsocks proxychains; do
		echo "$tool $(loop "$tool" python3 "$LAB_SRC/tests/bench/loops.py")" >>"$W/asyncio"
		echo "$tool $(loop "$tool" node "$LAB_SRC/tests/bench/loops.js")" >>"$W/node"
		echo "$tool $(upstream "$tool")" >>"$W/nginx"
	done
done

python3 "$LAB_SRC/tests/bench/loops_report.py" "$W" "$ROUNDS"
