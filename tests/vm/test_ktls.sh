#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# timeout: 420
# It computes each instruction of the machine inside: alone, lest its clocks run out
#
# TLS in the kernel: Debian's own kernel in qemu (the one that runs here may have no CONFIG_TLS), two network
# namespaces inside, real programs at both ends. What happens inside is in `init`.
cd "$(dirname "$0")/../.." || exit 1
B=${LAB_BUILD:-build}
VM=$B/vm
PACKAGE=linux-image-cloud-amd64
MODULES='crypto/gf128mul crypto/ghash-generic crypto/ctr crypto/gcm lib/crypto/libchacha crypto/chacha_generic
	lib/crypto/libpoly1305 crypto/poly1305_generic crypto/chacha20poly1305 net/tls/tls drivers/net/veth
	net/ipv4/inet_diag net/ipv4/tcp_diag'
PROGRAMS='bash busybox ip curl'

skip() {
	echo "SKIP ktls: $1"
	exit 77
}
[ "$(uname -m)" = x86_64 ] || skip "the virtual machine is x86_64, this is $(uname -m)"
command -v qemu-system-x86_64 >/dev/null || skip 'no qemu (package qemu-system-x86)'
command -v apt-get >/dev/null || skip "no apt-get for Debian's kernel"

# The kernel, unpacked and not installed; kept, and the one that was there will do when no archive can be reached
mkdir -p "$VM"
name=$(apt-cache depends "$PACKAGE" 2>/dev/null | sed -n 's/^ *Depends: \(linux-image-[^ ]*\)$/\1/p' | head -n 1)
if [ -n "$name" ] && [ ! -e "$VM/$name/done" ]; then
	rm -rf "${VM:?}/$name" && mkdir -p "$VM/$name/deb"
	(cd "$VM/$name/deb" && timeout 120 apt-get -q download "$name" >../log 2>&1) &&
		dpkg-deb -x "$VM/$name"/deb/*.deb "$VM/$name" && rm -r "$VM/$name/deb" && touch "$VM/$name/done" ||
		sed 's/^/# /' "$VM/$name/log"
fi
kernel=$(ls -t "$VM"/*/done 2>/dev/null | head -n 1)
[ -n "$kernel" ] || skip "Debian's kernel cannot be had: apt-get download ${name:-$PACKAGE} fails"
kernel=${kernel%/done}

contents=(/sys /proc /dev /tmp init=tests/vm/init "bin/ktls=$B/tests/vm/ktls")
for program in $PROGRAMS; do
	path=$(PATH=/usr/bin:/bin:/usr/sbin:/sbin command -v "$program") || skip "no program $program"
	contents+=("bin/$program=$(readlink -f "$path")")
done
for program in punch punch-resolver punchctl punch-rendezvous punch-relay libpunch.so; do
	contents+=("bin/$program=$B/$program")
done
n=10
for module in $MODULES; do
	contents+=("modules/$n-${module##*/}.ko=$(echo "$kernel"/lib/modules/*/kernel/"$module".ko)")
	n=$((n + 1))
done
archive=$VM/initramfs.$$
trap 'rm -f "$archive"' EXIT
/usr/bin/python3 tests/vm/initramfs.py "$archive" "${contents[@]}" || exit 1

timeout -k 5 360 qemu-system-x86_64 -accel tcg -cpu max -m 400 -nographic -nodefaults -no-reboot \
	-serial stdio -kernel "$kernel"/boot/vmlinuz-* -initrd "$archive" \
	-append 'console=ttyS0 quiet panic=-1 mitigations=off' </dev/null | tr -d '\r' >"$VM/console"
grep -E '^(ok|not ok|#|SKIP)' "$VM/console"
grep -q '^# end at ' "$VM/console" || {
	echo 'not ok - the virtual machine came to its end'
	tail -n 30 "$VM/console" | sed 's/^/# /'
}
! grep -q '^not ok' "$VM/console" && grep -q '^# end at ' "$VM/console"
