#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# parallel: yes
#
# `make install` puts everything where it belongs, and what it installed works from there: programs and
# library find each other, wherever the whole was moved to. Man pages are well-formed. `make clean`
# leaves nothing behind.

. "$(dirname "$0")/../lab/lab.sh"
lab_begin "$@"
unset MAKEFLAGS MFLAGS MAKELEVEL "${!PUNCH_@}"
stage=$LAB_DIR/stage
build=${LAB_BUILD#"$LAB_SRC"/}
umask 077 # a careful administrator's must not lock others out

install() { make -s -C "$LAB_SRC" -o all B="$build" install "$@"; } # what is there is tested, not built again
lab_expect 'make install DESTDIR= PREFIX=' install DESTDIR="$stage" PREFIX=/opt/punch
here=$stage/opt/punch
wanted=$(printf '755 ./bin/%s\n' punch punch-relay punch-rendezvous punch-resolver punchctl
	echo '755 ./lib/punch/libpunch.so'
	cd "$LAB_SRC" && for f in README.md docs/*.md docs/*.svg conf/*.conf; do echo "644 ./share/doc/punch/$f"; done
	for f in conf/systemd/*.service; do echo "644 ./lib/systemd/system/${f##*/}"; done
	for f in man/*.[158]; do echo "644 ./share/man/man${f##*.}/${f##*/}"; done)
lab_expect_eq 'these files, with these modes' "$(cd "$here" && find . -type f -printf '%m %p\n' | sort)" \
	"$(sort <<<"$wanted")"
dead=''
for link in $(cd "$here/share/doc/punch" && grep -oE '\]\([^)#]+' README.md docs/*.md | grep -v '://' | sed 's/:\](/ /' | tr ' ' '|'); do
	[ -e "$here/share/doc/punch/$(dirname "${link%|*}")/${link#*|}" ] || dead+="$link "
done
lab_expect_eq 'links of the installed documents lead somewhere' "$dead" ''
lab_expect_eq 'everybody may enter the folders' "$(cd "$here" && find . -mindepth 1 -type d ! -perm 755)" ''
lab_expect_eq 'nothing outside of PREFIX' "$(cd "$stage" && find . -type f ! -path './opt/punch/*')" ''
lab_expect_eq 'systemd searches no folder of ours: units name the whole path of what they start' \
	"$(sed -n 's/^ExecStart=\([^ ]*\).*/\1/p' "$here"/lib/systemd/system/*.service | sort | xargs)" \
	"$(printf '/opt/punch/bin/%s\n' punch-relay punch-rendezvous punch-resolver | xargs)"
lab_expect_eq 'no program looks for its libraries in the build folder' \
	"$(readelf -d "$here"/bin/* "$here/lib/punch/libpunch.so" | grep -iE 'rpath|runpath')" ''

lab_expect 'make install, and uninstall' eval \
	'install DESTDIR="$LAB_DIR/second" PREFIX=/usr && make -s -C "$LAB_SRC" B="$build" uninstall DESTDIR="$LAB_DIR/second" PREFIX=/usr'
lab_expect_eq 'nothing is left' "$(find "$LAB_DIR/second" -type f)" ''

# --- they find each other
lab_internet
lab_server rdv 203.0.113.10
lab_host alice inet 203.0.113.20
lab_host bob inet 203.0.113.30
exports=(PATH="$here/bin:/usr/sbin:/usr/bin:/sbin:/bin" PUNCH_RENDEZVOUS=rdv PUNCH_SECRET='only for this test')
programs() { # NAME: where the processes of that name run from
	local exe
	for exe in /proc/[0-9]*/exe; do
		exe=$(readlink "$exe") && [ "${exe##*/}" = "$1" ] && echo "$exe"
	done | sort -u
}
for program in punch punchctl punch-resolver punch-rendezvous punch-relay; do
	lab_expect_match "$program runs" "$("$here/bin/$program" --version)" "^$program [0-9]"
done
lab_bg rdv rendezvous env "${exports[@]}" punch-rendezvous
lab_wait_port rdv 4433
lab_expect_eq 'punch-rendezvous starts the relay beside it' "$(programs punch-relay)" "$here/bin/punch-relay"
lab_expect_eq 'punch preloads the installed library' \
	"$(lab_run alice env "${exports[@]}" punch bash -c 'echo $LD_PRELOAD' | xargs realpath)" "$here/lib/punch/libpunch.so"
lab_bg bob echo env "${exports[@]}" PUNCH_AS=bob punch socat TCP-LISTEN:9000,fork,reuseaddr EXEC:cat
lab_wait_port bob 9000
lab_expect "the library starts the resolver of ../../bin" lab_poll 20 '[ "$(programs punch-resolver)" = "$here/bin/punch-resolver" ]'
hello() { echo hello | lab_run alice env "${exports[@]}" "$@"; }
published() { lab_run bob env "${exports[@]}" PUNCH_AS=bob punchctl status --json; }
lab_wait 20 'published | jq -e ".rendezvous[0].state == \"ready\"" >/dev/null'
lab_expect_eq 'bytes pass' "$(hello punch nc -N -w 10 bob.punch 9000)" hello
lab_run alice env "${exports[@]}" punchctl stop
lab_expect_eq 'punchctl starts the resolver beside it' "$(hello timeout 20 punchctl dial bob.punch 9000)" hello
mkdir "$LAB_DIR/elsewhere" && mv "$here" "$LAB_DIR/elsewhere/moved"
lab_run alice env "${exports[@]}" PATH="$LAB_DIR/elsewhere/moved/bin:$PATH" punchctl stop
lab_expect_eq 'all of it can be moved' \
	"$(echo hello | lab_run alice env "${exports[@]}" PATH="$LAB_DIR/elsewhere/moved/bin:$PATH" punch nc -N -w 10 bob.punch 9000)" hello

# --- man pages
for page in "$LAB_SRC"/man/*.[158]; do
	lab_expect_eq "${page##*/} has no errors" "$(mandoc -T lint -W warning "$page" 2>&1)" ''
done
for program in "$LAB_DIR"/elsewhere/moved/bin/*; do
	lab_expect "${program##*/} has a man page" compgen -G "$LAB_SRC/man/${program##*/}.[18]"
done

# --- make clean
mkdir "$LAB_DIR/tree"
cp -r "$LAB_SRC"/{Makefile,common,tests} "$LAB_DIR/tree"
before=$(cd "$LAB_DIR/tree" && find . | sort)
lab_do make -s -C "$LAB_DIR/tree" B=build build/obj/common/log.o
lab_expect 'make clean' make -s -C "$LAB_DIR/tree" B=build clean
lab_expect_eq '... leaves nothing' "$(cd "$LAB_DIR/tree" && find . | sort)" "$before"
