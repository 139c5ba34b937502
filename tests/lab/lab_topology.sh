# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# The lab's hosts and wires; part of lab.sh, which has the overview.
#
# lab_internet
#	The router in the middle, `inet`. Packets to private addresses vanish there.
# lab_server NAME ADDRESS [WIRE-OPTION...]
#	A public host that every host knows by name.
# lab_nat NAME ADDRESS [via=NAT] [inside=ADDRESS] [OPTION...]
#	A box of our own NAT; options as in nat_conf.c. With the word `gateway` its hosts know its inside address, which
#	they need to ask it for ports (pmp=on).
# lab_nat NAME ADDRESS kernel [stray=drop|rst] [random|fully-random] [via=NAT] [inside=ADDRESS] [WIRE-OPTION...]
#	The same with the kernel's masquerading.
# lab_host NAME inet|NAT ADDRESS [v6=ADDRESS] [WIRE-OPTION...]
#	A host, behind a NAT or on the open side. Hosts behind one NAT cannot see each other ...
# lab_lan NAME HOST HOST...
#	... unless a LAN joins them.
# lab_set NAME OPTION...
#	Change a box's, or a wire's, options while connections live.
# lab_nat_flush NAME
#	The box was switched off and on: it forgets every mapping.
# lab_nat_syns NAME
#	How many SYNs have left through a box of our own so far, the kernel's repetitions included.
#
# WIRE-OPTION: delay= jitter= loss= loss-in= loss-out= seed=, on the way between that host (or NAT)
# and `inet`, one way, each way. On a NAT of our own they are options like the others.

# The arrays are declared in lab.sh, with text for keys.
# shellcheck disable=SC2004,SC2034,SC2094,SC2153,SC2154

LAB_CORE=203.0.113.254
LAB_MTU=${LAB_MTU:-1500}

# lab_ip HOST ARGUMENT...: ip, in that host's network.
lab_ip() {
	local pid=${LAB_PID[$1]}
	shift
	lab_do nsenter -t "$pid" --net ip "$@"
}

# lab_netns NAME: where its network namespace is.
lab_netns() { printf '/proc/%s/ns/net' "${LAB_PID[$1]}"; }

# What a new namespace does to itself before it falls asleep. $1 name, $2 folder, $3 its own folder
# shellcheck disable=SC2016
LAB_SETTLE='
	set -e
	ip link set lo up
	cd /proc/sys/net
	echo 0 | tee ipv4/conf/all/rp_filter ipv4/conf/default/rp_filter ipv4/icmp_ratelimit >/dev/null
	echo 0 >ipv6/conf/default/accept_dad
	echo 0 >ipv6/conf/default/accept_ra
	echo 0 >ipv6/conf/default/router_solicitations
	echo 1 >ipv6/conf/default/disable_ipv6 # see lab_ipv6
	echo "0 0" >ipv4/ping_group_range
	mount --bind "$3/run" /run
	for f in hosts resolv.conf; do
		[ ! -f "/etc/$f" ] || mount --bind "$2/$f" "/etc/$f"
	done
	case $4 in "$5"/*) ;; *) [ ! -d "$5" ] || mount --bind "$3/home" "$5" ;; esac
	echo ready >"$3/ready"
	exec sleep infinity
'

# lab_ns NAME: a namespace of its own, with HOME, /run and /etc/hosts.
lab_ns() {
	local dir=$LAB_DIR/host/$1 home word=''
	[ -z "${LAB_PID[$1]:-}" ] || lab_die "two hosts named \"$1\""
	mkdir -p "$dir"/{home,run/sshd,xdg}
	chmod 700 "$dir/home" "$dir/xdg"
	chmod 755 "$dir/run/sshd"
	home=$(getent passwd 0 | cut -d: -f6)
	mkfifo "$dir/ready"
	unshare --net --mount bash -c "$LAB_SETTLE" lab-host "$1" "$LAB_DIR" "$dir" "$LAB_SRC" "${home:-/root}" \
		</dev/null >>"$LAB_DIR/log/lab-$1.log" 2>&1 &
	LAB_PID[$1]=$!
	read -r -t 20 word <>"$dir/ready"
	[ "$word" = ready ] || lab_die "host \"$1\" does not come up"
	disown "${LAB_PID[$1]}"
}

lab_router() { # NAME: let it forward
	lab_do nsenter -t "${LAB_PID[$1]}" --net sh -c \
		'echo 1 >/proc/sys/net/ipv4/ip_forward && echo 1 >/proc/sys/net/ipv6/conf/all/forwarding'
}

lab_internet() {
	local net
	lab_ns inet
	LAB_KIND[inet]=inet
	LAB_GW[inet]=$LAB_CORE
	lab_router inet
	lab_ip inet addr add "$LAB_CORE/32" dev lo
	for net in 10.0.0.0/8 100.64.0.0/10 172.16.0.0/12 192.168.0.0/16; do
		lab_ip inet route add blackhole "$net"
	done
}

# lab_box NAME NETNS-OF-HOST IFNAME OPTION...: start a box; its outside device is IFNAME there.
lab_box() {
	local name=$1 outer=$2 dev=$3
	shift 3
	LAB_CTL[$name]=$LAB_DIR/ctl/$name
	"$LAB_BUILD/lab/nat" --ctl "${LAB_CTL[$name]}" --log "$LAB_DIR/log/nat-$name.log" \
		--outside "$(lab_netns "$outer")" "$dev" "$@" </dev/null >>"$LAB_DIR/log/nat-$name.log" 2>&1 &
	LAB_BGPID[nat-$name]=$!
	lab_wait 10 "[ -S ${LAB_CTL[$name]} ] || ! lab_running nat-$name"
	lab_running "nat-$name" || lab_die "nat $name does not start: $(tail -n 1 "$LAB_DIR/log/nat-$name.log")"
	disown "${LAB_BGPID[nat-$name]}"
}

lab_ctl() { # NAME COMMAND: tell a box something
	[ -n "${LAB_CTL[$1]:-}" ] || lab_die "\"$1\" is no box of our own NAT, nor has it a wire with options"
	lab_do "$LAB_BUILD/lab/nat" --ctl "${LAB_CTL[$1]}" --do "$2"
}

lab_set() {
	local name=$1
	shift
	lab_ctl "$name" "set $*"
}

lab_nat_flush() { lab_ctl "$1" flush; }

lab_nat_syns() { "$LAB_BUILD/lab/nat" --ctl "${LAB_CTL[$1]}" --do syns | sed -n 's/^ok //p'; }

# lab_ipv6 NAME IFNAME: IPv6 on one device. It is off by default: the kernel sends multicast of its
# own on every device that has it, at times that no seed repeats.
lab_ipv6() {
	lab_do nsenter -t "${LAB_PID[$1]}" --net sh -c "echo 0 >/proc/sys/net/ipv6/conf/$2/disable_ipv6"
}

# lab_up NAME IFNAME ADDRESS GATEWAY|'' [V6]: a host's end of its only wire.
lab_up() {
	lab_ip "$1" link set "$2" mtu "$LAB_MTU" up
	lab_ip "$1" addr add "$3/24" dev "$2" noprefixroute
	if [ -n "$4" ]; then
		lab_ip "$1" route add default via "$4" dev "$2" onlink
	else
		lab_ip "$1" route add default dev "$2"
	fi
	if [ -n "${5:-}" ]; then
		lab_ipv6 "$1" "$2"
		lab_ip "$1" addr add "$5/128" dev "$2" nodad
		lab_ip "$1" -6 route add default dev "$2"
	fi
}

# lab_core_link IFNAME ADDRESS [V6]: the end of a wire in inet.
lab_core_link() {
	lab_ip inet link set "$1" mtu "$LAB_MTU" up
	lab_ip inet addr add "$LAB_CORE/32" dev "$1"
	lab_ip inet route add "$2/32" dev "$1"
	[ -z "${3:-}" ] || lab_core_route6 "$1" "$3"
}

lab_core_route6() { # IFNAME V6
	lab_ipv6 inet "$1"
	lab_ip inet -6 route add "$2/128" dev "$1"
}

# lab_attach NAME IFNAME PARENT ADDRESS V6 [WIRE-OPTION...]: wire a namespace to inet or to a NAT.
lab_attach() {
	local name=$1 dev=$2 parent=$3 addr=$4 v6=$5 pids="${LAB_PID[$1]}" gateway=''
	shift 5
	case ${LAB_KIND[$parent]:-} in
	inet)
		# Even a wire without delay is a TUN pair if it carries IPv6: no neighbour discovery needed.
		if [ $# -gt 0 ] || [ -n "$v6" ]; then
			lab_box "$name" inet "$name" mapping=none "$@"
			lab_ctl "$name" "inside $(lab_netns "$name") $dev $addr"
			lab_up "$name" "$dev" "$addr" '' "$v6"
		else
			lab_do ip link add "$name" netns "${LAB_PID[inet]}" type veth peer name "$dev" netns "$pids"
			lab_up "$name" "$dev" "$addr" "$LAB_CORE"
		fi
		lab_core_link "$name" "$addr" "$v6"
		;;
	own)
		[ $# = 0 ] || lab_die "$name: wire options (\"$*\") belong to $parent"
		lab_ctl "$parent" "inside $(lab_netns "$name") $dev $addr $v6"
		[[ ${LAB_GATEWAYS:-} != *" $parent "* ]] || gateway=${LAB_GW[$parent]}
		lab_up "$name" "$dev" "$addr" "$gateway" "$v6"
		[ -z "$v6" ] || lab_core_route6 "$parent" "$v6"
		;;
	kernel)
		[ $# = 0 ] || lab_die "$name: wire options (\"$*\") belong to $parent"
		[ -z "$v6" ] || lab_die "$name: no IPv6 through a kernel NAT"
		lab_do ip link add "$name" netns "${LAB_PID[$parent]}" type veth peer name "$dev" netns "$pids"
		lab_ip "$parent" link set "$name" master lan up
		lab_ip "$parent" link set "$name" type bridge_slave isolated on
		lab_up "$name" "$dev" "$addr" "${LAB_GW[$parent]}"
		;;
	*) lab_die "\"$parent\" is neither inet nor a NAT" ;;
	esac
}

lab_host() {
	local name=$1 parent=$2 addr=$3 v6='' wire=() o
	shift 3
	for o in "$@"; do
		case $o in v6=*) v6=${o#v6=} ;; *) wire+=("$o") ;; esac
	done
	lab_ns "$name"
	LAB_KIND[$name]=host
	LAB_ADDR[$name]=$addr
	lab_attach "$name" eth0 "$parent" "$addr" "$v6" "${wire[@]}"
}

lab_server() {
	local name=$1 addr=$2
	shift 2
	lab_host "$name" inet "$addr" "$@"
	printf '%s %s\n' "$addr" "$name" >>"$LAB_DIR/hosts"
}

lab_nat() {
	local name=$1 addr=$2 parent=inet kind=own inside=192.168.1.1 options=() o
	shift 2
	for o in "$@"; do
		case $o in
		via=*) parent=${o#via=} ;;
		inside=*) inside=${o#inside=} ;;
		kernel) kind=kernel ;;
		gateway) LAB_GATEWAYS+=" $name " ;;
		*) options+=("$o") ;;
		esac
	done
	LAB_ADDR[$name]=$addr
	LAB_GW[$name]=$inside
	"lab_nat_$kind" "$name" "$addr" "$parent" "$inside" "${options[@]}"
	LAB_KIND[$name]=$kind
}

lab_nat_own() {
	local name=$1 addr=$2 parent=$3 inside=$4
	shift 4
	if [ "$parent" = inet ]; then
		lab_box "$name" inet "$name" inside="$inside" outside="$addr" "$@"
		lab_core_link "$name" "$addr"
		return
	fi
	# Behind another NAT: a namespace joins the two, and is hidden so that it counts as no hop.
	lab_ns "$name-up"
	lab_router "$name-up"
	lab_attach "$name-up" wan "$parent" "$addr" ''
	lab_do nsenter -t "${LAB_PID[$name-up]}" --net sh -c 'echo 1 >/proc/sys/net/ipv4/conf/wan/proxy_arp'
	# The address is the box's, not this namespace's; without any, the kernel would drop the routes.
	lab_ip "$name-up" addr add 169.254.77.2/32 dev wan
	lab_ip "$name-up" addr del "$addr/24" dev wan
	lab_box "$name" "$name-up" tun inside="$inside" outside="$addr" neighbours=on "$@"
	lab_ip "$name-up" link set tun mtu "$LAB_MTU" up
	lab_ip "$name-up" addr add 169.254.77.1/32 dev tun
	lab_ip "$name-up" route add "$addr/32" dev tun
}

# The rules of a kernel NAT: STRAY is "drop" or "reject with tcp reset", MODE "" or random or ...
lab_nft_rules() {
	printf '%s\n' 'table ip lab {' \
		'chain post { type nat hook postrouting priority srcnat;' \
		"oifname wan masquerade $2" '}' \
		'chain in { type filter hook input priority filter;' \
		'ct state established,related accept' \
		"iifname wan meta l4proto tcp $1" 'iifname wan drop' '}' \
		'chain forward { type filter hook forward priority filter;' \
		'ct state established,related accept' \
		"iifname wan meta l4proto tcp $1" 'iifname wan drop' \
		'iifname lan oifname lan drop' '}' '}'
}

lab_nat_kernel() {
	local name=$1 addr=$2 parent=$3 inside=$4 stray=drop mode='' wire=() o
	shift 4
	for o in "$@"; do
		case $o in
		stray=drop) ;;
		stray=rst) stray='reject with tcp reset' ;;
		random | fully-random) mode=$o ;;
		delay=* | jitter=* | loss=* | loss-in=* | loss-out=* | seed=*) wire+=("$o") ;;
		*) lab_die "nat $name: a kernel NAT has no option \"$o\"" ;;
		esac
	done
	lab_ns "$name"
	lab_router "$name"
	lab_attach "$name" wan "$parent" "$addr" '' "${wire[@]}"
	lab_ip "$name" link add lan type bridge
	lab_ip "$name" addr add "$inside/24" dev lan
	lab_ip "$name" link set lan mtu "$LAB_MTU" up
	lab_do nsenter -t "${LAB_PID[$name]}" --net nft -f - <<<"$(lab_nft_rules "$stray" "$mode")"
}

lab_lan() {
	local lan=$1 host other
	shift
	lab_ns "$lan"
	lab_ip "$lan" link add lan type bridge
	lab_ip "$lan" link set lan up
	for host in "$@"; do
		lab_do ip link add "$host" netns "${LAB_PID[$lan]}" type veth peer name "$lan" netns "${LAB_PID[$host]}"
		lab_ip "$lan" link set "$host" master lan mtu "$LAB_MTU" up
		lab_ip "$host" link set "$lan" mtu "$LAB_MTU" up
		for other in "$@"; do
			[ "$other" = "$host" ] ||
				lab_ip "$host" route add "${LAB_ADDR[$other]}/32" dev "$lan" src "${LAB_ADDR[$host]}"
		done
	done
}
