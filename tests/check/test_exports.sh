#!/bin/bash
# SPDX-License-Identifier: MIT
#
# libpunch.so exports exactly what shim/libpunch.map says, and loads where glibc is not: it asks for no
# symbol that musl lacks (musl ignores versions, so GLIBC_2.34 on dlsym does no harm).
# parallel: yes

cd "$(dirname "$0")/../.." || exit 1
lib=${B:-build}/libpunch.so
musl=/lib/ld-musl-$(uname -m).so.1
failed=0

# Of the names that begin with "__", these are musl's too (for programs built against glibc)
common_internals=' __errno_location __h_errno_location __ctype_b_loc __ctype_tolower_loc __ctype_toupper_loc
__stack_chk_fail __cxa_finalize __gmon_start__ __tls_get_addr __sigsetjmp __environ __xpg_strerror_r '
# Names without "__" that glibc alone has
glibc_only=' gnu_get_libc_version strerrordesc_np strerrorname_np getaddrinfo_a gai_error gai_strerror_l
argp_parse obstack_printf error error_at_line mallinfo mallinfo2 canonicalize_file_name rawmemchr
getcontext backtrace backtrace_symbols pthread_cond_clockwait strfromd parse_printf_format qsort_r
close_range closefrom arc4random arc4random_buf pidfd_open '

exports() { nm -D --defined-only "$1" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' | sort; }
wanted() { sed -n '/global:/,/local:/s/^[[:space:]]*\([a-z0-9_]*\);.*/\1/p' "$1" | sort; }

# foreign LIBRARY: undefined symbols that musl lacks
foreign() {
	local name

	nm -D --undefined-only "$1" | awk '{ sub(/@.*/, "", $NF); print $NF }' | while read -r name; do
		case $name in
		*_chk) echo "$name" ;;
		__*) case " ${common_internals//$'\n'/ } " in *" $name "*) ;; *) echo "$name" ;; esac ;;
		*) case " ${glibc_only//$'\n'/ } " in *" $name "*) echo "$name" ;; esac ;;
		esac
	done
}

report() { # NAME LINES
	if [ -z "$2" ]; then
		echo "ok - $1"
	else
		echo "not ok - $1"
		sed 's/^/# /' <<<"$2"
		failed=1
	fi
}

[ -e "$lib" ] || {
	echo "not ok - $lib is built"
	exit 1
}
if objdump -p "$lib" | grep -q 'NEEDED.*lib[a-z]*san'; then
	echo "SKIP exports: $lib is built with sanitizers"
	exit 77
fi
report "exports are those of shim/libpunch.map" "$(diff <(wanted shim/libpunch.map) <(exports "$lib"))"
report "no symbol that musl lacks is needed" "$(foreign "$lib")"
report "no library but libc is needed" \
	"$(objdump -p "$lib" | awk '$1 == "NEEDED" { print $2 }' | grep -vE '^(libc|libdl|ld-linux.*)\.so\.[0-9]+$')"
if [ -x "$musl" ]; then
	report "musl's loader finds every symbol" "$("$musl" --list "$lib" 2>&1 | grep -v '=>\|ld-musl')"
else
	echo "SKIP musl's loader finds every symbol: $musl is missing, package musl"
fi

# The checks find what they look for
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
cat >"$work/bad.c" <<'END'
int __printf_chk(int, const char *, ...);
void __res_nclose(void *);
char *gnu_get_libc_version(void);
int surplus(void);
int surplus(void) { __res_nclose(gnu_get_libc_version()); return __printf_chk(1, "x"); }
END
${CC:-gcc} -shared -fPIC -fno-builtin -o "$work/bad.so" "$work/bad.c" || exit 1
[ "$(foreign "$work/bad.so" | sort | tr '\n' ' ')" = '__printf_chk __res_nclose gnu_get_libc_version ' ]
report "finds symbols that musl lacks" "${?#0}"
[ "$(exports "$work/bad.so")" = surplus ]
report "finds an export too many" "${?#0}"
[ ! -x "$musl" ] || {
	"$musl" --list "$work/bad.so" 2>&1 | grep -q '__printf_chk: symbol not found'
	report "musl's loader tells what it misses" "${?#0}"
}
exit $failed
