# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# Real programs over a punched path and over the relay, as a table; source it after lab.sh and punch.sh.
#
#	programs_begin "$@"
#	server NAME PACKAGE [HOST:]PORT[,PORT] COMMAND
#	client NAME PACKAGE SERVER COMMAND EXPECTED
#	programs_run
#	logs_show_standin NAME FILE REGEX
#
# server: COMMAND runs under punch on bob (root) or carol (an ordinary user), and is published as
# service NAME, on PORT; a second PORT is one more service, which it may listen on later. client: COMMAND
# runs under punch on alice, once with PUNCH_ROUTE=direct (a busy machine may find the relay first
# otherwise) and once with PUNCH_ROUTE=relay; its output has to be EXPECTED, every connection it made
# must have taken the wanted path, and stderr must stay empty. The round trip between the two is 50 ms.
#
# Each client is two cases, "NAME direct" and "NAME relayed"; each server is two, which fail with any
# of its clients, or when a connection was not claimed at its doorbell. Commands are bash and may use
#	$W	a folder that all hosts see, with data (2 MB), www/, $SUM	checksum of data
#	$OUT	an empty folder of this run	$SSH	options of ssh	sum	checksum of stdin
#
# logs_show_standin: among the lines of a server's log that match REGEX none lacks a stand-in address.
#
# With PUNCH_TABLE=FILE each program's results are added to FILE, one line each, fields separated by tabs:
# name, package, version, role, other side, direct, relayed, how the socket was claimed.

# shellcheck disable=SC2016,SC2034

STANDIN='239\.19[2-5]\.[0-9]+\.[0-9]+'
SERVERS=() CLIENTS=()
declare -A S_PACKAGE S_HOST S_PORT S_SECOND S_COMMAND S_BAD S_USED S_ABSENT S_FROM S_CLAIM
declare -A C_PACKAGE C_SERVER C_COMMAND C_EXPECTED

server() {
	SERVERS+=("$1")
	S_PACKAGE[$1]=$2 S_HOST[$1]=bob S_PORT[$1]=${3#*:} S_COMMAND[$1]=$4
	case $3 in *:*) S_HOST[$1]=${3%:*} ;; esac
	case $3 in *,*) S_SECOND[$1]=${3#*,} S_PORT[$1]=${S_PORT[$1]%,*} ;; esac
}

client() {
	CLIENTS+=("$1")
	C_PACKAGE[$1]=$2 C_SERVER[$1]=$3 C_COMMAND[$1]=$4 C_EXPECTED[$1]=$5
}

programs_begin() {
	lab_begin "$@"
	[ "$(awk '{print $3}' /proc/self/uid_map)" -gt 1 ] || lab_skip 'servers drop privileges: needs real root'
	LAB_MTU=9000
	punch_net port=preserve filtering=address-port stray=drop delay=12500us -- \
		port=preserve filtering=address-port stray=rst delay=12500us
	lab_host carol natB 192.168.1.3
	punch_servers
	export W=$LAB_DIR/work OUT SUM SSH PATH=/usr/sbin:/sbin:$PATH
	mkdir -p "$W/www"
	chmod 755 "$LAB_DIR" "$W" "$W/www"
	head -c 2M /dev/urandom >"$W/data"
	ln "$W/data" "$W/www/data"
	SUM=$(sha256sum <"$W/data" | cut -c 1-64)
	sum() { sha256sum | cut -c 1-64; }
	export -f sum
	# carol's user may be unable to read the folder that we were built in
	mkdir "$LAB_DIR/bin"
	cp "$LAB_BUILD"/{punch,libpunch.so,punch-resolver,punchctl} "$LAB_DIR/bin/"
}

# The version that Debian gives, without its own parts
version_of() {
	dpkg-query -W -f '${Version}' "$1" 2>/dev/null | sed 's/^[0-9]*://; s/[-+~].*//'
}

is_installed() {
	! command -v dpkg-query >/dev/null || [ "$(dpkg-query -W -f '${db:Status-Abbrev}' "$1" 2>/dev/null)" = 'ii ' ]
}

# as_user HOST COMMAND...: in RUN, what starts a command there
as_user() {
	RUN=(env PUNCH_LOG=debug PUNCH_LOG_FILE="$LAB_DIR/log/punch-$1.log")
	[ "$1" != carol ] || RUN+=(PATH="$LAB_DIR/bin:$PATH" setpriv --reuid=65534 --regid=65534 --clear-groups)
}

start_servers() {
	local name host
	for host in bob carol; do
		local services=''
		for name in "${SERVERS[@]}"; do
			[ "${S_HOST[$name]}" != "$host" ] ||
				services+=$'\n'"[service ${name//[^a-z0-9]/-}]"$'\n'"port = ${S_PORT[$name]}"
			[ "${S_HOST[$name]}" != "$host" ] || [ -z "${S_SECOND[$name]:-}" ] ||
				services+=$'\n'"[service ${name//[^a-z0-9]/-}-2]"$'\n'"port = ${S_SECOND[$name]}"
		done
		punch_conf "$host" "$services"
		: >"$LAB_DIR/log/punch-$host.log"
	done
	punch_conf alice
	chown -R 65534:65534 "$LAB_DIR"/host/carol/{home,xdg} "$LAB_DIR/log/punch-carol.log"
	for name in "${SERVERS[@]}"; do
		is_installed "${S_PACKAGE[$name]}" || {
			lab_skip "$name" "package ${S_PACKAGE[$name]} missing"
			S_ABSENT[$name]=1
			continue
		}
		as_user "${S_HOST[$name]}"
		lab_bg "${S_HOST[$name]}" "$name" "${RUN[@]}" punch bash -c "exec ${S_COMMAND[$name]}"
	done
	for name in "${SERVERS[@]}"; do
		[ -n "${S_ABSENT[$name]:-}" ] || wait_published "$name"
	done
}

wait_published() {
	as_user "${S_HOST[$1]}"
	lab_wait 20 "lab_run ${S_HOST[$1]} ${RUN[*]@Q} punchctl status --json 2>/dev/null | jq -e '
		.rendezvous[0].state == \"ready\" and any(.services[]; .port == ${S_PORT[$1]})' >/dev/null"
}

# alice's resolver tells of each connection: "to bob:22: direct path to ..."
start_resolver() {
	PATHS=$LAB_DIR/log/punch-alice.log
	: >"$PATHS"
	lab_run alice env PUNCH_LOG=info PUNCH_LOG_FILE="$PATHS" punchctl ping bob >/dev/null 2>&1
	lab_wait 20 '[ "$(punch_status alice ".rendezvous[0].state" 2>/dev/null)" = ready ]'
}

# run_client NAME direct|relay: in PROBLEM, what went wrong
run_client() {
	local name=$1 route=$2 got seen paths
	local log=$LAB_DIR/claims err=$LAB_DIR/err
	OUT=$(mktemp -d "$W/out.XXXXXX")
	seen=$(wc -l <"$PATHS")
	got=$(cd "$OUT" && lab_run alice env PUNCH_ROUTE="$route" PUNCH_LOG=debug PUNCH_LOG_FILE="$log" \
		timeout 25 punch bash -c "${C_COMMAND[$name]}" 2>"$err" </dev/null)
	paths=$(tail -n "+$((seen + 1))" "$PATHS" | grep -oE ': [a-z]+ path to' | sort -u | tr -d '\n')
	PROBLEM=
	[ "$got" = "${C_EXPECTED[$name]}" ] || PROBLEM+="got \"$got\", wanted \"${C_EXPECTED[$name]}\""$'\n'
	[ "$paths" = ": ${route/%relay/relayed} path to" ] || PROBLEM+="took \"$paths\""$'\n'
	[ ! -s "$err" ] || PROBLEM+="stderr: $(cat "$err")"
	rm -rf "$OUT"
}

report() { # NAME direct|relay
	local shown=${2/relay/relayed}
	if [ -z "$PROBLEM" ]; then
		lab_pass "$1 $shown"
		return 0
	fi
	lab_fail "$1 $shown" "$PROBLEM"
	return 1
}

# What the shim said: by which calls the client's sockets were claimed
client_claims() {
	local log=$LAB_DIR/claims how=()
	grep -q 'claimed by connect() that blocks' "$log" && how+=(blocking)
	grep -q 'claimed by getsockopt(SO_ERROR)' "$log" && how+=(SO_ERROR)
	grep -q 'claimed by getpeername()' "$log" && how+=(getpeername)
	grep -q 'claimed by another connect()' "$log" && how+=('second connect')
	grep -q 'claimed by send()' "$log" && how+=('first send')
	tail -n "+$((SEEN + 1))" "$PATHS" | grep -q ' port .*, copying between' && how+=(splice)
	printf '%s' "${how[*]/%/,}" | sed 's/,$//'
}

server_claims() { # NAME: what the resolver said
	local log service=${1//[^a-z0-9]/-} how=()
	log=$LAB_DIR/log/punch-${S_HOST[$1]}.log
	grep -q "doorbell $service: .* -> answered" "$log" && how+=(doorbell)
	grep -q -- "-> service $service: .*, copying between" "$log" && how+=(splice)
	printf '%s' "${how[*]/%/,}" | sed 's/,$//'
}

record() { # NAME PACKAGE ROLE WITH DIRECT RELAYED HOW
	[ -z "${PUNCH_TABLE:-}" ] ||
		printf '%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n' "$1" "$2" "$(version_of "$2")" "$3" "$4" "$5" "$6" "$7" >>"$PUNCH_TABLE"
}

one_client() {
	local name=$1 on=${C_SERVER[$1]} route how verdict=([0]=yes [1]=yes)
	if ! is_installed "${C_PACKAGE[$name]}" || [ -n "${S_ABSENT[$on]:-}" ]; then
		lab_skip "$name" "package ${C_PACKAGE[$name]} or ${S_PACKAGE[$on]} missing"
		return
	fi
	: >"$LAB_DIR/claims" && chmod 666 "$LAB_DIR/claims" # nginx's workers run as nobody
	SEEN=$(wc -l <"$PATHS")
	S_USED[$on]=1
	S_FROM[$on]+=${S_FROM[$on]:+; }$name
	for route in direct relay; do
		run_client "$name" "$route"
		report "$name" "$route" && continue
		S_BAD[$on,$route]+="$name "
		if [ "$route" = direct ]; then verdict[0]=no; else verdict[1]=no; fi
	done
	how=$(client_claims)
	lab_note "$name: claimed by $how"
	record "$name" "${C_PACKAGE[$name]}" client "$on" "${verdict[@]}" "$how"
}

one_server() {
	local name=$1 route how verdict=()
	[ -n "${S_USED[$name]:-}" ] || return 0
	how=$(server_claims "$name")
	for route in direct relay; do
		PROBLEM=
		[ -z "${S_BAD[$name,$route]:-}" ] || PROBLEM="with ${S_BAD[$name,$route]}"
		[ "$how" = "${S_CLAIM[$name]:-doorbell}" ] || PROBLEM+="claimed by \"$how\""
		if report "$name (server)" "$route"; then verdict+=(yes); else verdict+=(no); fi
	done
	record "$name" "${S_PACKAGE[$name]}" server "${S_FROM[$name]}" "${verdict[@]}" "$how"
}

programs_run() {
	local name table=$LAB_SRC/docs/compatibility.md missing=()
	for name in "${SERVERS[@]}" "${CLIENTS[@]}"; do
		grep -qF "| $name |" "$table" || missing+=("$name")
	done
	[ -n "${PUNCH_TABLE:-}" ] || lab_expect_eq 'docs/compatibility.md (tests/interop/table writes it) has them all' "${missing[*]}" ''
	start_servers
	start_resolver
	for name in "${CLIENTS[@]}"; do one_client "$name"; done
	for name in "${SERVERS[@]}"; do one_server "$name"; done
}

logs_show_standin() { # NAME FILE REGEX
	local lines
	[ -z "${S_ABSENT[$1]:-}" ] || return 0
	lines=$(grep -E -e "$3" "$2")
	lab_expect "$1's log shows the peer's stand-in address, direct and relayed" \
		[ -n "$lines" -a -z "$(grep -vE "$STANDIN" <<<"$lines")" ]
}
