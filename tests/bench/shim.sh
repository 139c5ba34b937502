#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# shim.sh - what the preloaded library costs programs that have to do with no peer
#
#	[ROUNDS=20] [STARTS=1500] tests/bench/shim.sh
#
# Beside proxychains-ng and torsocks, in one run, in turn, on one processor: starting /bin/true, the
# three wrappers, and the calls that all of them hook. shim_report.py makes the tables.
cd "$(dirname "$0")/../.." || exit 1
B=${LAB_BUILD:-$PWD/${B:-build}}
T=$(mktemp -d)
trap 'rm -rf "$T"' EXIT
unset "${!PUNCH_@}" LD_PRELOAD
chmod 755 "$T"

cat >"$T/punch.conf" <<CONF
[node]
name = alice
key = alice.key
rendezvous = rdv.example.org
[peer bob]
key = 11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=
alias = bob.example.org 10.9.0.2
[peer carol]
key = PUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw=
[service web]
port = 8080
CONF
# Loopback is none of theirs either; no proxy is ever asked
printf '%s\n' strict_chain quiet_mode proxy_dns 'localnet 127.0.0.0/255.0.0.0' '[ProxyList]' 'socks5 127.0.0.1 9' \
	>"$T/proxychains.conf"
printf '%s\n' 'TorAddress 127.0.0.1' 'TorPort 9' 'AllowOutboundLocalhost 1' 'AllowInbound 1' >"$T/torsocks.conf"
find_library() { find /usr/lib /usr/local/lib -name "$1" 2>/dev/null | head -n 1; }
TORSOCKS=$(find_library libtorsocks.so) PROXYCHAINS=$(find_library libproxychains.so.4)
[ -n "$TORSOCKS" ] && [ -n "$PROXYCHAINS" ] || { echo "bench: proxychains4 and torsocks are missing" >&2; exit 1; }

cat >"$T/cases" <<CASES
nothing|
an empty library|LD_PRELOAD=$B/bench/empty.so
libpunch.so|LD_PRELOAD=$B/libpunch.so PUNCH_CONF=$T/punch.conf
libpunch.so, no punch.conf|LD_PRELOAD=$B/libpunch.so HOME=$T XDG_CONFIG_HOME=$T
torsocks|LD_PRELOAD=$TORSOCKS TORSOCKS_CONF_FILE=$T/torsocks.conf TORSOCKS_LOG_LEVEL=1
proxychains-ng|LD_PRELOAD=$PROXYCHAINS PROXYCHAINS_CONF_FILE=$T/proxychains.conf PROXYCHAINS_QUIET_MODE=1
CASES
# --any starts a resolver, which wants a key
mkdir "$T/any" && sed 's/^key = alice.key/key = any.key/' "$T/punch.conf" >"$T/any/punch.conf"
"$B/punchctl" keygen "$T/any/any.key" >/dev/null 2>&1
cat >"$T/wrappers" <<WRAPPERS
true||true
punch true|PUNCH_CONF=$T/punch.conf|$B/punch true
punch --any true|PUNCH_CONF=$T/any/punch.conf|$B/punch --any true
proxychains4 -q true|PROXYCHAINS_CONF_FILE=$T/proxychains.conf|proxychains4 -q true
torsocks true|TORSOCKS_CONF_FILE=$T/torsocks.conf TORSOCKS_LOG_LEVEL=1|torsocks true
WRAPPERS
# Room for others' preloads in front of ours would spoil the comparison: PATH without surprises, loopback of our own
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
run=(python3 tests/bench/shim_report.py "$B" "$T")
if [ "$(id -u)" = 0 ]; then
	unshare -n sh -c 'ip link set lo up; exec "$@"' sh "${run[@]}"
else
	"${run[@]}"
fi
