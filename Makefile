# punch - see README.md; `make help` lists the targets
PREFIX	?= /usr/local
# The programs and the library find each other by these two, so they are no choice (shim/punch.c, shim/env.c)
BINDIR	:= $(PREFIX)/bin
LIBDIR	:= $(PREFIX)/lib/punch
MANDIR	?= $(PREFIX)/share/man
UNITDIR	?= $(PREFIX)/lib/systemd/system
DOCDIR	?= $(PREFIX)/share/doc/punch
DESTDIR	?=
CC	?= gcc
B	?= build
V	?= 0
ifeq ($(V),0)
Q	:= @
endif
# For targets that build much before they run something; who says -j himself is obeyed
FAST	= $(if $(findstring -j,$(MAKEFLAGS)),,-j$(shell nproc))
say	= $(if $(Q),@printf '  %-7s %s\n' $(1) $(2))

WARN	= -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	  -Wwrite-strings -Wcast-qual -Wpointer-arith -Wformat=2 -Wvla
# A warning of a compiler that we have not seen ends no user's build
WERROR	?= $(if $(CI),-Werror)
HARDEN	= -fstack-protector-strong -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
OPT	?= -O2 -g
SAN	?=
# CPPFLAGS, CFLAGS and LDFLAGS are the user's: what a distribution builds with
BASE	= -std=c11 -D_GNU_SOURCE -I. -I$(B) -MMD -MP $(OPT) $(WARN) $(WERROR) $(SAN) $(CPPFLAGS) $(CFLAGS)
CFLAGS_PROGRAM	= $(BASE) $(HARDEN) -fPIE
# The shim must load into musl programs too: no *_chk functions, no stack protector
CFLAGS_SHIM	= $(BASE) -fPIC -fvisibility=hidden -U_FORTIFY_SOURCE -fno-stack-protector
LDFLAGS_PROGRAM	= -pie -Wl,-z,relro,-z,now $(SAN) $(LDFLAGS)
# noseparate-code: two segments fewer to map at each program's start
LDFLAGS_SHIM	= -shared -Wl,-z,relro,-z,now,-z,nodelete,-z,defs,-z,noseparate-code -Wl,--exclude-libs,ALL $(SAN) $(LDFLAGS)

LIB_CRYPTO	= -lprotobuf-c -lssl -lcrypto
LIB_EVENT	= -levent -levent_openssl
LIB_RESOLVER = $(LIB_EVENT) $(LIB_CRYPTO) -lzxcvbn -lsodium -lcares -ljson-c -lnatpmp -lminiupnpc -lseccomp -l:libinih.a

DEPS	= gcc libc6-dev make libevent-dev libc-ares-dev libinih-dev libcmocka-dev libprotobuf-c-dev \
	  protobuf-c-compiler libhiredis-dev libssl-dev libjson-c-dev libseccomp-dev \
	  libsodium-dev libnatpmp-dev libminiupnpc-dev libzxcvbn-dev
DEPS_DEMO = iproute2 util-linux openssh-server openssh-client rsync jq
DEPS_TEST = libpython3.11-testsuite nftables iputils-ping procps netcat-openbsd curl python3 socat iperf3 strace redis-server git \
	  clang libclang-rt-14-dev clang-tidy cppcheck musl musl-tools dnsmasq-base mandoc wget nodejs postgresql-15 nginx-light \
	  busybox ncat lftp gunicorn apache2-bin systemd golang-go faketime openssl \
	  openjdk-17-jre-headless haproxy python3-uvicorn mosquitto mosquitto-clients memcached vsftpd \
	  mariadb-server-core mariadb-client-core inetutils-telnet libjemalloc2 libtcmalloc-minimal4 \
	  miniupnpd-nftables coturn qemu-system-x86

# What other people's test suites are built with
DEPS_FOREIGN = cmake dpkg-dev bzip2 xz-utils perl

# What benches compare with
DEPS_BENCH = proxychains4 torsocks valgrind stunnel4

# What of common/ and conf/ is pure, and so may be linked into the shim
PURE	= common/log.c common/endpoint.c common/standin.c common/local.c common/owner.c conf/conf.c conf/conf_take.c conf/conf_node.c conf/conf_check.c conf/conf_find.c conf/conf_env.c
COMMON	= $(filter-out common/punch.pb-c.c,$(wildcard common/*.c))
CONF	= $(wildcard conf/*.c)
SHIM	= $(filter-out shim/punch%.c,$(wildcard shim/*.c))
RUNNER	= $(wildcard shim/punch*.c)
# What "punch --any" does with the program's sockets from outside, as the library does inside
RUNNER_SHARED = $(patsubst %,shim/%.c,ask carry config dial drain env fdinfo fdtable libc mptcp names pending remote serve start swap_accepted \
	  tag)
CTL	= $(wildcard resolver/ctl*.c)
RESOLVER = $(filter-out resolver/ctl%.c,$(wildcard resolver/*.c))
RENDEZVOUS = $(wildcard rendezvous/*.c)
RELAY	= $(wildcard relay/*.c)

obj	= $(patsubst %.c,$(B)/obj/%.o,$(1))
pic	= $(patsubst %.c,$(B)/pic/%.o,$(1))
PB	= $(B)/obj/common/punch.pb-c.o
LIBCOMMON = $(B)/libcommon.a

PROGRAMS = $(B)/libpunch.so $(B)/punch $(B)/punch-resolver $(B)/punchctl $(B)/punch-rendezvous $(B)/punch-relay
UNIT	= $(patsubst tests/unit/%.c,$(B)/tests/unit/%,$(wildcard tests/unit/test_*.c))
PLATFORM = $(patsubst tests/platform/%.c,$(B)/tests/platform/%,$(wildcard tests/platform/test_*.c))
BENCHTOOLS = $(B)/bench/empty.so $(B)/bench/spawn $(B)/bench/calls
LABTOOLS = $(B)/lab/nat $(patsubst tests/lab/%.c,$(B)/lab/%,$(filter-out tests/lab/nat%.c tests/lab/tell.c,$(wildcard tests/lab/*.c)))

all: $(PROGRAMS)

-include tests/tests.mk

# --- generated
$(B)/common/punch.pb-c.c: common/punch.proto
	$(call say,PROTOC,$@)
	$(Q)mkdir -p $(B)/common && protoc-c --c_out=$(B)/common -I common $<
$(B)/common/punch.pb-c.h: $(B)/common/punch.pb-c.c ;
$(PB): $(B)/common/punch.pb-c.c $(B)/flags
	$(Q)mkdir -p $(@D) && $(CC) $(filter-out -Wcast-qual -Wpedantic,$(CFLAGS_PROGRAM)) -c -o $@ $<

# --- objects
# Other flags, or another compiler, make other objects
FLAGS	= $(CC) $(CFLAGS_PROGRAM) / $(CFLAGS_SHIM)
$(B)/flags: FORCE
	@mkdir -p $(B) && { echo '$(FLAGS)' | cmp -s - $@ || echo '$(FLAGS)' >$@; }
FORCE: ;
$(B)/obj/%.o: %.c $(B)/common/punch.pb-c.h $(B)/flags
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D) && $(CC) $(CFLAGS_PROGRAM) -c -o $@ $<
$(B)/pic/%.o: %.c $(B)/flags
	$(call say,CC-PIC,$<)
	$(Q)mkdir -p $(@D) && $(CC) $(CFLAGS_SHIM) -c -o $@ $<
$(LIBCOMMON): $(PB) $(call obj,$(COMMON) $(CONF))
	$(call say,AR,$@)
	$(Q)rm -f $@ && ar rcs $@ $^

# --- programs
$(B)/libpunch.so: $(call pic,$(SHIM) $(PURE)) shim/libpunch.map
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS_SHIM) -Wl,--version-script=shim/libpunch.map -o $@ $(filter %.o,$^) -l:libinih.a -ldl
$(B)/punch: $(call obj,$(RUNNER) $(RUNNER_SHARED)) $(LIBCOMMON)
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS_PROGRAM) -o $@ $^ -lzxcvbn -l:libinih.a
$(B)/punch-resolver: $(call obj,$(RESOLVER)) $(LIBCOMMON)
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS_PROGRAM) -o $@ $^ $(LIB_RESOLVER)
$(B)/punchctl: $(call obj,$(CTL)) $(LIBCOMMON)
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS_PROGRAM) -o $@ $^ $(LIB_CRYPTO) -l:libinih.a
$(B)/punch-rendezvous: $(call obj,$(RENDEZVOUS)) $(LIBCOMMON)
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS_PROGRAM) -o $@ $^ $(LIB_EVENT) $(LIB_CRYPTO) -lhiredis -lseccomp -l:libinih.a
$(B)/punch-relay: $(call obj,$(RELAY)) $(LIBCOMMON)
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS_PROGRAM) -o $@ $^ $(LIB_EVENT) $(LIB_CRYPTO) -lseccomp -l:libinih.a

# --- dependencies, tests, demo
deps:
	@tests/deps $(DEPS) $(DEPS_DEMO) $(DEPS_TEST)
deps-build:
	@tests/deps $(DEPS)
test-foreign: deps
	@tests/deps $(DEPS_FOREIGN)
	@$(MAKE) --no-print-directory $(FAST) all
	@tests/foreign/run
test: deps
	@$(MAKE) --no-print-directory $(FAST) all tests-build
	@tests/run
demo:
	@tests/deps $(DEPS) $(DEPS_DEMO)
	@$(MAKE) --no-print-directory $(FAST) all $(LABTOOLS)
	@tests/lab/demo.sh
bench: deps
	@$(MAKE) --no-print-directory $(FAST) all tests-build
	@tests/bench/run
bench-nat: deps
	@$(MAKE) --no-print-directory $(FAST) all tests-build bench-build
	@tests/bench/nat.sh
bench-encrypt: deps
	@tests/deps $(DEPS_BENCH)
	@$(MAKE) --no-print-directory $(FAST) all tests-build
	@tests/bench/encrypt.sh
soak: deps
	@$(MAKE) --no-print-directory $(FAST) all tests-build
	@tests/bench/soak.sh
bench-shim: deps
	@tests/deps $(DEPS_BENCH)
	@$(MAKE) --no-print-directory $(FAST) all $(BENCHTOOLS) $(B)/tests/any/fixed
	@tests/bench/shim.sh
bench-loops: deps
	@tests/deps $(DEPS_BENCH)
	@$(MAKE) --no-print-directory $(FAST) all $(LABTOOLS)
	@tests/bench/loops.sh
asan: deps
	@$(MAKE) --no-print-directory $(FAST) B=$(B)/asan OPT='-O1 -g -fno-omit-frame-pointer' SAN='-fsanitize=address,undefined' all tests-build
lint: deps
	@tests/check/lint

install: all
	install -d $(DESTDIR)$(BINDIR) $(DESTDIR)$(LIBDIR) $(DESTDIR)$(DOCDIR)/docs $(DESTDIR)$(DOCDIR)/conf $(DESTDIR)$(MANDIR)/man1 $(DESTDIR)$(MANDIR)/man5 $(DESTDIR)$(MANDIR)/man8 $(DESTDIR)$(UNITDIR)
	install -m 755 $(filter-out %.so,$(PROGRAMS)) $(DESTDIR)$(BINDIR)
	install -m 755 $(B)/libpunch.so $(DESTDIR)$(LIBDIR)
	install -m 644 README.md $(DESTDIR)$(DOCDIR)
	install -m 644 $(wildcard docs/*.md docs/*.svg) $(DESTDIR)$(DOCDIR)/docs
	install -m 644 $(wildcard conf/*.conf) $(DESTDIR)$(DOCDIR)/conf
	for u in conf/systemd/*.service; do sed 's|^ExecStart=|&$(BINDIR)/|' $$u | install -m 644 /dev/stdin $(DESTDIR)$(UNITDIR)/$${u##*/}; done
	for m in man/*.[158]; do install -m 644 $$m $(DESTDIR)$(MANDIR)/man$${m##*.}; done
uninstall:
	rm -f $(addprefix $(DESTDIR)$(BINDIR)/,$(notdir $(filter-out %.so,$(PROGRAMS)))) $(DESTDIR)$(LIBDIR)/libpunch.so
	rm -f $(addprefix $(DESTDIR)$(UNITDIR)/,$(notdir $(wildcard conf/systemd/*.service)))
	for m in man/*.[158]; do rm -f $(DESTDIR)$(MANDIR)/man$${m##*.}/$${m##*/}; done
	rm -rf $(DESTDIR)$(DOCDIR)
	rmdir $(DESTDIR)$(LIBDIR) 2>/dev/null || :
clean:
	rm -rf $(B)
help:
	@echo 'make          build everything into build/; make deps-build: install what that needs'
	@echo 'make demo     the main job in a lab: ssh and rsync between two hosts behind NATs'
	@echo 'make test     every test; installs what is missing, ends with "N passed, N failed"'
	@echo 'make test-foreign   other people'"'"'s test suites (CPython, node, libuv, libevent, perl) without and with the preload'
	@echo 'make bench    figures; make bench-nat: direct paths over a population of NATs'
	@echo 'make bench-encrypt   throughput of encrypted connections, beside ssh, socat and stunnel'
	@echo 'make soak     connections for SOAK_SECONDS=600 while all around them fails by turns'
	@echo 'make bench-shim, bench-loops   cost of the preload library, and stalls, beside torsocks and proxychains-ng'
	@echo 'make asan     build with sanitizers; make lint: checkers'
	@echo 'make fuzz     fuzz the decoders of bytes from outside, FUZZ_SECONDS=60 each'
	@echo 'make fuzz-keep     keep the inputs it found that reach new code (tests/fuzz/corpus)'
	@echo 'make fuzz-coverage   how much of each decoder the inputs kept for it reach'
	@echo 'make install  PREFIX=/usr/local DESTDIR=; make uninstall'

.PHONY: FORCE all deps deps-build test test-foreign tests-build bench-build demo bench bench-nat bench-encrypt soak bench-shim bench-loops asan lint install uninstall clean help
.DELETE_ON_ERROR:
-include $(shell find $(B)/obj $(B)/pic -name '*.d' 2>/dev/null)
