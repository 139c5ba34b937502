#!/bin/bash
# SPDX-License-Identifier: MIT
# Real client programs reach a peer: each connects in its own way
# parallel: yes
. "$(dirname "$0")/shim.sh"

HTTP=$((28000 + $$ % 4000)) ECHO=$((12000 + $$ % 2000)) REDIS=$((14000 + $$ % 2000)) # below the ephemeral ports
mkdir "$T/www" && echo 'page of bob' >"$T/www/index.html"
start python3 -m http.server --bind 127.0.0.1 --directory "$T/www" $HTTP >/dev/null 2>&1
start python3 tests/shim/echo.py $ECHO 2>/dev/null
wait_for listens $HTTP && wait_for listens $ECHO || fail "the servers run"

# page CMD...: CMD prints bob's page, and nothing on stderr
page() { [ "$("$@" 2>&1)" = 'page of bob' ]; }
# echoes CMD...: what goes in comes out
echoes() { [ "$( (echo hello && sleep 0.3) | "$@" 2>&1)" = hello ]; }
have() { command -v "$1" >/dev/null || { echo "SKIP $1: not installed" && return 1; }; }

check "curl" page under curl -sS http://bob:$HTTP/
check "curl, several at once" bash -c "[ \$(env LD_PRELOAD='$LIB/libpunch.so' curl -sSZ http://bob:$HTTP/[1-8]?x \
	http://bob:$HTTP/ 2>&1 | grep -c 'page of bob') = 1 ]"
check "curl --tcp-fastopen" page under curl -sS --tcp-fastopen http://bob:$HTTP/
have wget && {
	check "wget" page under wget -q -O- http://bob:$HTTP/
	check "wget --connect-timeout (leaves connect() from a signal handler)" page under wget -q --connect-timeout=5 -O- \
		http://bob:$HTTP/
	gives_up() { ! under wget -q -t 1 --connect-timeout=0.3 -O- http://slow:$HTTP/ 2>/dev/null; }
	check "wget gives up in time" gives_up
}
check "python urllib" page under python3 -c "
import urllib.request
print(urllib.request.urlopen('http://bob:$HTTP/').read().decode(), end='')"
check "python urllib with a timeout" page under python3 -c "
import urllib.request
print(urllib.request.urlopen('http://bob:$HTTP/', timeout=5).read().decode(), end='')"
cat >"$T/loop.py" <<PY
import asyncio, time

async def main():
    longest, last, ticking = 0.0, time.monotonic(), True

    async def tick():
        nonlocal longest, last
        while ticking:
            await asyncio.sleep(0.01)
            longest, last = max(longest, time.monotonic() - last), time.monotonic()

    async def talk():
        reader, writer = await asyncio.open_connection("slow", $ECHO)
        assert writer.get_extra_info("peername")[0].startswith("239.192."), writer.get_extra_info("peername")
        writer.write(b"hello")
        assert await reader.readexactly(5) == b"hello"
        writer.close()

    start, ticker = time.monotonic(), asyncio.create_task(tick())
    await asyncio.gather(*(talk() for _ in range(10)))
    took, ticking = time.monotonic() - start, False
    await ticker
    assert took < 3, f"ten at once took {took} s"
    assert longest < 0.5, f"the loop stood still for {longest} s"

asyncio.run(main())
PY
check "python asyncio: ten at once, and the loop goes on" under python3 "$T/loop.py"
have node && check "node" page under node -e "
require('http').get('http://bob:$HTTP/', r => r.on('data', d => process.stdout.write(d)))"
have nc && {
	check "nc" echoes under nc -q 1 bob $ECHO
	check "nc -w" echoes under nc -w 5 -q 1 bob $ECHO
	check "nc -z" under nc -z bob $ECHO
}
have socat && check "socat" echoes under socat -t 1 - TCP:bob:$ECHO
check "bash /dev/tcp" bash -c "[ \"\$(env LD_PRELOAD='$LIB/libpunch.so' bash -c 'exec 3<>/dev/tcp/bob/$ECHO; echo hello >&3; \
	read -r x <&3; echo \$x' 2>&1)\" = hello ]"
have perl && check "perl" bash -c "[ \"\$(env LD_PRELOAD='$LIB/libpunch.so' perl -MIO::Socket::INET -e \
	'\$s = IO::Socket::INET->new(PeerAddr => \"bob\", PeerPort => $ECHO, Timeout => 5) or die \$@; print \$s \"hello\\n\"; \
	print scalar <\$s>' 2>&1)\" = hello ]"
have redis-server && {
	start redis-server --port $REDIS --bind 127.0.0.1 --save '' --dir "$T" >/dev/null
	wait_for listens $REDIS
	check "redis-cli (asks by a second connect())" bash -c "[ \"\$(env LD_PRELOAD='$LIB/libpunch.so' redis-cli -h bob \
		-p $REDIS ping)\" = PONG ]"
}

# As Debian has it: from an empty root, as another user, with epoll
if have haproxy && [ "$(id -u)" = 0 ]; then
	mkdir "$T/empty" && chmod 755 "$T" "$T/conf" && chmod 644 "$T/conf/punch.conf"
	printf '%s\n' global "chroot $T/empty" 'user nobody' 'group nogroup' defaults 'mode http' 'timeout connect 5s' \
		'timeout client 5s' 'timeout server 5s' 'listen front' "bind 127.0.0.1:$((REDIS + 2000))" "server bob bob:$HTTP" \
		>"$T/haproxy.conf"
	start env LD_PRELOAD="$LIB/libpunch.so" haproxy -db -f "$T/haproxy.conf"
	wait_for listens $((REDIS + 2000)) || fail "haproxy runs"
	check "haproxy in an empty root" page curl -sS "http://127.0.0.1:$((REDIS + 2000))/"
fi

refused() { # CMD...: fails with one line of punch's on stderr
	! under "$@" >"$T/out" 2>"$T/err" && [ "$(grep -c '^punch: ' "$T/err")" = 1 ]
}
check "curl refused: one line says why" refused curl -sS http://refuser:$HTTP/
check "python refused" refused python3 -c "import socket; socket.create_connection(('refuser', 1))"
exit $status
