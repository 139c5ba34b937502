#!/bin/bash
# SPDX-License-Identifier: MIT
#
# README.md says what is so: its links lead somewhere, its targets, commands, options, variables and man
# pages exist, and its samples are configurations that the programs take. tests/interop/test_readme.sh
# does what it tells a new user to do.
# parallel: yes
# shellcheck disable=SC2012,SC2016,SC2317 # backquotes are text here, functions are called by each()

shopt -s lastpipe # each() stands at the end of pipes, and sets "failed"
cd "$(dirname "$0")/../.." || exit 1
B=$PWD/${B:-build}
failed=0
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
unset "${!PUNCH_@}"
export HOME=$work XDG_CONFIG_HOME=$work/config XDG_RUNTIME_DIR=$work

# each NAME COMMAND: every line of stdin is an argument for which COMMAND must be true; some there must be
each() {
	local name=$1 command=$2 item bad='' count=0
	while IFS= read -r item; do
		count=$((count + 1))
		"$command" "$item" || bad+="# $item"$'\n'
	done < <(sort -u)
	if [ -z "$bad" ] && [ "$count" -gt 0 ]; then
		echo "ok - $name ($count)"
	else
		printf 'not ok - %s\n%s' "$name" "${bad:-# found none in README.md$'\n'}"
		failed=1
	fi
}

# What stands as code: indented lines, fenced blocks, `quoted` words; comments and prompts cut off
code() {
	sed -nE '/^```/,/^```/p; s/^ {4,}//p' README.md
	grep -oE '`[^`]+`' README.md | tr -d '`'
}
commands() { # PROGRAM: what follows its name in README
	code | sed 's/[[:space:]]#.*//' | grep -oE "(^|[ \$(])$1( .*)?\$" | sed -E "s/^[ \$(]?$1 ?//"
}

is_file() { [ -e "$1" ]; }
is_target() { grep -qE "^$1:" Makefile; }
is_program() { [ -x "$B/$1" ] && "$B/$1" --help >/dev/null && "$B/$1" --version >/dev/null; }
is_verb() { "$B/punchctl" --help | grep -qE "^  $1 "; }
is_punch_option() { "$B/punch" --help | grep -qE -- "[ ,]$1 "; }
is_verb_option() { "$B/punchctl" --help | grep -E "^  ${1%% *} " | grep -qE -- "[[ ]${1#* }[] ]"; }
is_variable() { grep -qE "^\.(It|Ev).* $1\b" man/*.[158]; }
is_man() { [ -e "man/$1" ]; }
is_page() { compgen -G "man/$1.[158]" >/dev/null; }

grep -oE '\]\([^)]+\)' README.md | sed 's/^](//; s/)$//; s/#.*//' | grep -v '://' |
	each 'links lead to files' is_file
grep -oE '`[a-z]+/`' README.md | tr -d '`' | each 'folders exist' is_file
code | grep -oE '\bmake [a-z-]+' | sed 's/^make //' | each 'make has the targets' is_target
code | grep -oE '(^|[ $])punch(ctl|-[a-z]+)?( |$)' | tr -d ' $' | each 'programs exist' is_program
commands punchctl | grep -oE '^[a-z]+' | each 'punchctl has the commands' is_verb
commands punchctl | grep -oE '^[a-z]+ .*--[a-z]+' | sed -E 's/ .*(--[a-z]+)/ \1/' |
	each 'punchctl has the options' is_verb_option
commands punch | grep -oE '^(--?[a-z]+( [^- ]+)? ?)+' | grep -oE -- '--?[a-z]+' | each 'punch has the options' is_punch_option
grep -oE '\bPUNCH_[A-Z_]+\b' README.md | each 'variables are in a man page' is_variable
sed -n 's/.*`man \(.*\) |.*/\1/p' README.md | cut -d'|' -f1 | grep -oE '[a-z]+[a-z.-]*[a-z]' | each 'man pages exist' is_page

# .Xr punch... of man pages
grep -hoE '^\.Xr punch[a-z.-]* [158]' man/* | sed 's/^.Xr //; s/ /./' | each 'man pages refer to man pages' is_man
# sshd executes itself anew, and refuses to without a path
no_bare_sshd() { ! grep -nE 'punch( [^`]*)? sshd -' "$1" >&2; }
"$B/punch" --help >"$work/help"
printf '%s\n' README.md man/* conf/*.conf docs/*.md "$work/help" | each 'sshd has its path' no_bare_sshd

# --- the samples: a block of ```ini each, placeholders in (brackets)
awk -v dir="$work" '/^```ini/ { file = dir "/" ++n ".conf"; next } /^```/ { file = "" } file { print >file }' README.md
key=$("$B/punchctl" keygen "$work/node.key")
takes() { # FILE: does punchctl load it, and find the key it names?
	[ "$(PUNCH_CONF=$1 "$B/punchctl" pubkey)" = "$key" ]
}
sample() { sed "s|([^)]*)|$key|" "$1" >"$1.real" && takes "$1.real"; }
ls "$work"/[0-9].conf 2>/dev/null | each 'samples are valid configurations' sample
refused() { sed "s|([^)]*)|$key|; s|^name |nmae |" "$1" >"$1.bad" && ! takes "$1.bad" 2>/dev/null; }
ls "$work"/[0-9].conf 2>/dev/null | each '... and would be refused with a setting misspelt' refused
exit $failed
