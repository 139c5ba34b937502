# What the test programs are made of.  A unit test lists exactly the files it tests
# (variable UNIT_<name>): a pure module that grows a socket stops linking.

UNIT_test_log		= common/log.c
UNIT_test_endpoint	= common/endpoint.c
UNIT_test_rendezvous_listeners = rendezvous/listeners.c common/accept.c common/endpoint.c common/log.c
UNIT_test_accept	= common/accept.c common/endpoint.c
UNIT_test_standin	= common/standin.c common/endpoint.c
UNIT_test_local		= common/local.c common/endpoint.c
UNIT_test_conf_env	= $(CONF) common/endpoint.c
UNIT_test_conf		= $(CONF) common/endpoint.c
UNIT_test_conf_server	= $(CONF) common/endpoint.c
UNIT_test_file		= common/file.c
UNIT_test_key		= common/key.c common/file.c
UNIT_test_secret	= common/secret.c
UNIT_test_quick		= common/quick.c common/key.c common/file.c common/secret.c
UNIT_test_preamble	= common/preamble.c common/secret.c
UNIT_test_meeting	= common/meeting.c common/secret.c common/key.c common/file.c
UNIT_test_turns		= resolver/turns.c
UNIT_test_talk		= tests/unit/world.c resolver/talk.c $(LIBCOMMON)
UNIT_test_stun		= common/stun.c common/endpoint.c
UNIT_test_plan		= resolver/plan.c resolver/meet.c resolver/hops.c resolver/syn.c common/endpoint.c common/log.c
UNIT_test_punch		= resolver/punch.c resolver/plan.c resolver/meet.c common/endpoint.c common/log.c
UNIT_test_path		= resolver/path.c resolver/choice.c resolver/keepalive.c common/rtt.c common/preamble.c common/secret.c common/log.c common/endpoint.c
UNIT_test_choice	= resolver/choice.c
UNIT_test_encrypt	= resolver/encrypt.c
UNIT_test_seal	= resolver/seal.c resolver/seal_bio.c common/secret.c common/log.c
UNIT_test_seal_limit = $(UNIT_test_seal)
UNIT_test_seal_flood = resolver/seal_bio.c resolver/pair.c common/secret.c common/log.c common/endpoint.c
UNIT_test_nonces = resolver/seal_bio.c common/quick.c common/meeting.c common/secret.c common/key.c common/file.c common/log.c
UNIT_test_crypt	= tests/unit/world.c resolver/crypt.c $(wildcard resolver/pump*.c) resolver/outqueue.c $(wildcard resolver/seal*.c) resolver/ktls.c resolver/pair.c \
			  resolver/encrypt.c resolver/process.c resolver/sandbox.c $(LIBCOMMON)
# The resolver as a whole, but for its loop and what the test takes in as source
UNIT_test_session	= tests/unit/world.c $(filter-out resolver/main.c resolver/worker.c resolver/session_inlet.c,$(RESOLVER)) $(LIBCOMMON)
UNIT_test_session_wiped = $(filter-out resolver/main.c resolver/worker.c resolver/session.c,$(RESOLVER)) $(LIBCOMMON)
UNIT_test_session_waiting = $(filter-out resolver/main.c resolver/worker.c,$(RESOLVER)) $(LIBCOMMON)
UNIT_test_session_deaf = tests/unit/world.c $(filter-out resolver/main.c resolver/worker.c resolver/session_inlet.c,$(RESOLVER)) $(LIBCOMMON)
UNIT_test_pump	= tests/unit/world.c resolver/pump_flow.c resolver/outqueue.c $(wildcard resolver/seal*.c) resolver/pair.c resolver/encrypt.c resolver/process.c $(LIBCOMMON)
UNIT_test_serverless = tests/unit/world.c $(filter-out resolver/main.c resolver/worker.c resolver/serverless.c,$(RESOLVER)) $(LIBCOMMON)
UNIT_test_serverless_hold = tests/unit/world.c $(filter-out resolver/main.c resolver/worker.c resolver/serverless_hold.c,$(RESOLVER)) $(LIBCOMMON)
UNIT_test_birthday	= resolver/birthday.c
UNIT_test_budget	= resolver/budget.c common/endpoint.c
UNIT_test_portrule	= resolver/portrule.c
UNIT_test_memory	= resolver/memory.c common/secret.c common/endpoint.c
UNIT_test_nearest	= resolver/nearest.c common/endpoint.c
UNIT_test_meet		= resolver/meet.c
BROKER = tests/unit/broker_log.c rendezvous/broker.c rendezvous/broker_nodes.c rendezvous/identity.c rendezvous/session.c common/places.c common/sources.c common/table.c common/hash.c common/secret.c common/log.c
UNIT_test_broker	= $(BROKER)
UNIT_test_broker_servers = $(BROKER)
UNIT_test_places	= common/places.c common/sources.c common/table.c common/hash.c common/secret.c
UNIT_test_flood_live	= tests/unit/live.c tests/unit/rdv_client.c tests/unit/relay_client.c $(LIBCOMMON)
UNIT_test_sources_live	= tests/unit/live.c tests/unit/rdv_client.c tests/unit/relay_client.c $(LIBCOMMON)
UNIT_test_table		= common/table.c common/hash.c common/secret.c
UNIT_test_sources	= common/sources.c common/table.c common/hash.c common/secret.c
UNIT_test_allow		= rendezvous/allow.c common/key.c common/file.c
UNIT_test_locate	= rendezvous/locate.c common/endpoint.c
UNIT_test_rendezvous_live = tests/unit/live.c tests/unit/rdv_client.c $(LIBCOMMON)
UNIT_test_rendezvous_hostile_live = tests/unit/live.c tests/unit/rdv_client.c $(LIBCOMMON)
UNIT_test_rendezvous_setup_live = tests/unit/live.c tests/unit/rdv_client.c $(LIBCOMMON)
UNIT_test_rendezvous_redis_live = tests/unit/live.c tests/unit/rdv_client.c $(LIBCOMMON)
UNIT_test_relay_lobby	= relay/lobby.c common/table.c common/hash.c common/secret.c
UNIT_test_relay_keys	= relay/keys.c common/table.c common/hash.c common/secret.c
UNIT_test_relay_nonces	= relay/nonces.c common/places.c common/sources.c common/table.c common/hash.c common/secret.c
UNIT_test_relay_limits_live = tests/unit/live.c tests/unit/relay_client.c $(LIBCOMMON)
UNIT_test_relay_crowd_live = tests/unit/live.c tests/unit/relay_client.c $(LIBCOMMON)
UNIT_test_relay_live	= tests/unit/live.c tests/unit/relay_client.c $(LIBCOMMON)
UNIT_test_relay_hostile_live = tests/unit/live.c tests/unit/relay_client.c $(LIBCOMMON)
UNIT_test_dns		= tests/unit/world.c $(wildcard resolver/dns*.c) resolver/srv.c common/endpoint.c
UNIT_test_srv		= resolver/srv.c
UNIT_test_syn		= resolver/syn.c common/endpoint.c
UNIT_test_race		= tests/unit/world.c resolver/race.c resolver/syn.c common/endpoint.c
UNIT_test_doctor_verdict = resolver/doctor_verdict.c common/endpoint.c
UNIT_test_study		= resolver/study_verdict.c common/endpoint.c
UNIT_test_ports_facts	= $(filter-out resolver/main.c resolver/worker.c resolver/ports_facts.c,$(RESOLVER)) $(LIBCOMMON)
UNIT_test_study_deaf	= tests/unit/world.c $(filter-out resolver/main.c resolver/worker.c resolver/study.c,$(RESOLVER)) $(LIBCOMMON)
UNIT_test_netcache	= resolver/netcache.c $(LIBCOMMON)
UNIT_test_pcp		= resolver/pcp.c common/endpoint.c
UNIT_test_mapping	= tests/unit/world.c resolver/mapping.c $(LIBCOMMON)
UNIT_test_mapper_upnp	= common/endpoint.c common/log.c common/secret.c
UNIT_test_mapper	= resolver/epoch.c resolver/process.c resolver/sandbox.c $(LIBCOMMON)
UNIT_test_epoch		= resolver/epoch.c
UNIT_test_pulse		= resolver/pulse.c
UNIT_test_known		= resolver/known.c resolver/pin.c $(LIBCOMMON)
UNIT_test_uplink	= tests/unit/world.c resolver/netwatch.c $(wildcard resolver/reach*.c) $(wildcard resolver/uplink*.c) $(wildcard resolver/dns*.c) resolver/srv.c resolver/race.c resolver/syn.c \
			  resolver/pulse.c resolver/known.c resolver/pin.c $(LIBCOMMON)
UNIT_test_uplink_hostile = tests/unit/world.c $(wildcard resolver/uplink*.c) $(wildcard resolver/dns*.c) resolver/srv.c resolver/race.c resolver/syn.c \
			  resolver/pulse.c resolver/known.c resolver/pin.c $(LIBCOMMON)
UNIT_test_relayleg	= tests/unit/world.c resolver/relayleg.c $(wildcard resolver/dns*.c) resolver/srv.c resolver/race.c resolver/syn.c $(LIBCOMMON)
UNIT_test_sandbox	= common/sandbox.c common/drop.c common/log.c relay/sandbox.c rendezvous/sandbox.c
UNIT_test_wiped = $(filter-out resolver/state.c,$(LOCAL_SIDE))
UNIT_test_dumps = tests/unit/world.c $(LIBCOMMON)
UNIT_test_resolver_sandbox = resolver/sandbox.c common/sandbox.c common/drop.c common/log.c
UNIT_test_fdtable	= shim/fdtable.c
UNIT_test_any_hosts	= shim/punch_any_hosts.c common/standin.c common/endpoint.c
UNIT_test_any_filter	= shim/punch_any_filter.c
UNIT_test_nat_core	= $(filter-out tests/lab/nat.c,$(wildcard tests/lab/nat*.c))
UNIT_test_nat_link	= $(UNIT_test_nat_core)

# The resolver's local side as a whole, with a session that ends on this host
LOCAL_SIDE = tests/unit/local_side.c tests/unit/world.c resolver/connections.c resolver/crypt.c resolver/pair.c resolver/doorbell.c resolver/keeper.c \
	     resolver/memory.c resolver/encrypt.c resolver/life.c resolver/load.c resolver/local.c resolver/lot.c resolver/names.c resolver/parked.c \
	     resolver/parked_claim.c resolver/peers.c resolver/ping.c resolver/porter.c resolver/porters.c resolver/process.c resolver/proof.c \
	     resolver/publish.c resolver/reply.c resolver/request.c resolver/revoke.c resolver/sandbox.c resolver/holder.c resolver/services.c \
	     resolver/sockdiag.c resolver/splice.c resolver/outqueue.c resolver/drain.c resolver/ktls.c \
	     resolver/state.c resolver/state_connections.c \
	     resolver/status.c $(LIBCOMMON)
UNIT_test_resolver_local	= $(LOCAL_SIDE)
UNIT_test_resolver_strangers	= $(LOCAL_SIDE)
UNIT_test_resolver_connections	= $(filter-out resolver/connections.c,$(LOCAL_SIDE))
UNIT_test_resolver_services	= $(LOCAL_SIDE)
UNIT_test_resolver_revoke	= $(LOCAL_SIDE)
UNIT_test_resolver_doorbell	= $(LOCAL_SIDE)
UNIT_test_resolver_parked	= $(LOCAL_SIDE)
UNIT_test_resolver_peers	= $(LOCAL_SIDE)
UNIT_test_resolver_lot		= $(LOCAL_SIDE)
UNIT_test_resolver_names	= resolver/names.c common/secret.c
UNIT_test_tether	= tests/unit/world.c resolver/pair.c resolver/sockdiag.c $(LIBCOMMON)
UNIT_test_resolver_sockdiag	= tests/unit/world.c resolver/sockdiag.c common/endpoint.c
UNIT_test_resolver_drain	= tests/unit/world.c resolver/drain.c common/log.c
UNIT_test_resolver_splice	= tests/unit/world.c resolver/outqueue.c resolver/drain.c resolver/ktls.c resolver/pair.c common/log.c common/endpoint.c
UNIT_test_resolver_keeper	= tests/unit/world.c $(LIBCOMMON)

# What the kernel refuses to watch, and to tell
UNIT_LINK_test_resolver_services = -Wl,--wrap=socket
UNIT_LINK_test_mapping	= -Wl,--wrap=clock_gettime
UNIT_LINK_test_mapper	= -Wl,--wrap=clock_gettime
UNIT_LINK_test_session_deaf	= -Wl,--wrap=event_add,--wrap=accept4
UNIT_LINK_test_rendezvous_listeners = -Wl,--wrap=event_add,--wrap=accept4
UNIT_LINK_test_study_deaf	= -Wl,--wrap=accept4
UNIT_LINK_test_resolver_local	= -Wl,--wrap=event_add

# Another user is faster than the resolver: the test steps in between two of its calls
UNIT_LINK_test_resolver_parked	= -Wl,--wrap=lot_cross,--wrap=splice_start

TESTLIBS = -lcmocka $(LIB_EVENT) $(LIB_CRYPTO) -lzxcvbn -lsodium -l:libinih.a -lhiredis -ljson-c -lcares -lseccomp -lnatpmp -lminiupnpc

# Any unit test without a variable of its own links all of common/ and conf/
.SECONDEXPANSION:
$(B)/tests/unit/%: $(B)/obj/tests/unit/%.o $$(if $$(UNIT_$$*),$$(call obj,$$(UNIT_$$*)),$(LIBCOMMON)) $$(if $$(filter %pb-c,$$(UNIT_$$*)),$(PB))
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(LDFLAGS_PROGRAM) $(UNIT_LINK_$*) -o $@ $^ $(TESTLIBS)
$(B)/tests/platform/%: $(B)/obj/tests/platform/%.o
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(LDFLAGS_PROGRAM) -o $@ $^ -lcmocka
$(B)/lab/nat: $(call obj,$(wildcard tests/lab/nat*.c))
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(LDFLAGS_PROGRAM) -o $@ $^
# A rendezvous that lies: see there
$(B)/lab/liar: $(B)/obj/tests/lab/liar.o $(call obj,$(RENDEZVOUS)) $(LIBCOMMON)
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(LDFLAGS_PROGRAM) -Wl,--wrap=client_send,--wrap=client_send_unasked,--wrap=stun_answer -o $@ $^ \
		$(LIB_EVENT) $(LIB_CRYPTO) -lhiredis -lseccomp -l:libinih.a
COMMA	= ,
# The real programs, which tell their secrets to a test: see tests/lab/tell.c
TELL = $(addprefix -Wl$(COMMA)--wrap=,EVP_PKEY_derive EVP_PBE_scrypt EVP_PKEY_Q_keygen EVP_PKEY_new_raw_private_key \
	 PEM_read_bio_PrivateKey HMAC EVP_KDF_derive SSL_CTX_new setenv)
TELLING = $(patsubst %,$(B)/lab/tell/%,punch-resolver punch-rendezvous punch-relay)
$(B)/lab/tell/punch-resolver: $(call obj,$(RESOLVER))
$(B)/lab/tell/punch-rendezvous: $(call obj,$(RENDEZVOUS))
$(B)/lab/tell/punch-relay: $(call obj,$(RELAY))
$(TELLING): $(B)/obj/tests/lab/tell.o $(LIBCOMMON)
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(LDFLAGS_PROGRAM) $(TELL) -o $@ $(filter %.o,$^) $(LIBCOMMON) $(LIB_RESOLVER) -lhiredis
# What systemd does to the system calls of a service
$(B)/lab/confine: $(B)/obj/tests/lab/confine.o
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(LDFLAGS_PROGRAM) -o $@ $^ -lseccomp
$(B)/lab/%: $(B)/obj/tests/lab/%.o
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(LDFLAGS_PROGRAM) -o $@ $^

$(B)/bench/empty.so: tests/bench/empty.c
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(CFLAGS_SHIM) -shared -o $@ $<
$(B)/bench/%: $(B)/obj/tests/bench/%.o
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(LDFLAGS_PROGRAM) -o $@ $^

$(B)/tests/vm/%: $(B)/obj/tests/vm/%.o
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(LDFLAGS_PROGRAM) -o $@ $^

tests-build: $(UNIT) $(PLATFORM) $(LABTOOLS) $(TELLING) $(B)/tests/vm/ktls

# Programs that run under the shim, started by tests/shim/test_*.sh; their shim finds the
# test double beside itself in place of punch-resolver
SHIMTEST = $(patsubst tests/shim/%.c,$(B)/tests/shim/%,$(wildcard tests/shim/*.c))
$(B)/tests/shim/musl: tests/shim/musl.c
	$(call say,MUSL,$@)
	$(Q)mkdir -p $(@D) && if command -v musl-gcc >/dev/null; then musl-gcc -std=c11 -D_GNU_SOURCE -O1 -o $@ $<; \
		else rm -f $@; fi
$(B)/tests/shim/%: $(B)/obj/tests/shim/%.o $(LIBCOMMON)
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(LDFLAGS_PROGRAM) -o $@ $^ -lcmocka -lpthread
$(B)/tests/shim/lib/punch-resolver: $(B)/tests/shim/double
	$(Q)mkdir -p $(@D) && ln -sf ../double $@ && ln -sf ../../../libpunch.so $(@D)/libpunch.so
tests-build: $(SHIMTEST) $(B)/tests/shim/lib/punch-resolver $(B)/libpunch.so $(B)/punch

# Static programs for the tests of "punch --any"; what cannot be built is missing, and the tests say so
$(B)/tests/any/go: tests/any/any.go
	$(call say,GO,$@)
	$(Q)mkdir -p $(@D) && if command -v go >/dev/null; then GOCACHE=$(abspath $(B))/tests/any/cache CGO_ENABLED=0 GO111MODULE=off \
		GOFLAGS=-trimpath go build -o $@ $<; else rm -f $@; fi
$(B)/tests/any/fixed: tests/any/fixed.c
	$(call say,MUSL,$@)
	$(Q)mkdir -p $(@D) && if command -v musl-gcc >/dev/null; then musl-gcc -static -std=c11 -D_GNU_SOURCE -O1 -o $@ $<; \
		else rm -f $@; fi
# The runner finds the test double beside itself
$(B)/tests/shim/lib/punch: $(B)/punch
	$(Q)mkdir -p $(@D) && ln -f $< $@
tests-build: $(B)/tests/any/go $(B)/tests/any/fixed $(B)/tests/shim/lib/punch

.PRECIOUS: $(B)/obj/%.o

# Fuzz targets: built by clang with libFuzzer, in a folder of their own, by `make fuzz` and by tests/check/test_fuzz.sh,
# which replays tests/fuzz/corpus
FUZZ_BUILD = $(B)/fuzz
FUZZ_FLAGS = B=$(FUZZ_BUILD) CC=clang WARN='-Wall -Wextra -Werror' OPT='-O1 -g -fno-omit-frame-pointer' HARDEN= \
	     SAN='-fsanitize=address,undefined,fuzzer-no-link -fno-sanitize-recover=undefined'
FUZZERS	= $(patsubst tests/fuzz/%.c,$(B)/%,$(wildcard tests/fuzz/fuzz_*.c))
FUZZ_fuzz_files	= rendezvous/allow.c resolver/known.c
FUZZ_fuzz_pcp	= resolver/pcp.c
FUZZ_fuzz_broker = $(filter-out tests/unit/broker_log.c,$(BROKER))
FUZZ_fuzz_local	= $(filter-out $(LIBCOMMON),$(LOCAL_SIDE))
FUZZ_fuzz_porter = $(filter-out resolver/porter.c $(LIBCOMMON),$(LOCAL_SIDE))
FUZZ_LINK_fuzz_porter = $(addprefix -Wl$(COMMA)--wrap=,process_start kill waitpid fork geteuid)
FUZZ_fuzz_talk	= resolver/talk.c
FUZZ_fuzz_uplink = tests/fuzz/node.c tests/fuzz/tls.c $(FUZZ_RESOLVER)
FUZZ_LINK_fuzz_uplink = -Wl,--wrap=crypt_start $(LIB_RESOLVER)
FUZZ_fuzz_server = tests/fuzz/clock.c tests/fuzz/tls.c $(filter-out rendezvous/main.c rendezvous/server.c rendezvous/sandbox.c,$(RENDEZVOUS))
FUZZ_LINK_fuzz_server = -Wl,--wrap=clock_gettime,--wrap=time
FUZZ_fuzz_seal	= resolver/pump_flow.c resolver/outqueue.c resolver/seal_bio.c
FUZZ_fuzz_relay	= tests/fuzz/clock.c $(filter-out relay/main.c relay/sandbox.c,$(RELAY))
# The resolver as a whole, but for its loop
FUZZ_RESOLVER = $(filter-out resolver/main.c resolver/worker.c,$(RESOLVER))
FUZZ_fuzz_state	= $(FUZZ_RESOLVER)
FUZZ_LINK_fuzz_state = -Wl,--wrap=time $(LIB_RESOLVER)
FUZZ_fuzz_relayleg = resolver/relayleg.c $(wildcard resolver/dns*.c) resolver/srv.c resolver/race.c resolver/syn.c
FUZZ_fuzz_answers = tests/fuzz/clock.c $(FUZZ_RESOLVER)
FUZZ_LINK_fuzz_answers = -Wl,--wrap=clock_gettime $(LIB_RESOLVER)
FUZZ_LINK_fuzz_relay = -Wl,--wrap=clock_gettime,--wrap=time
$(B)/fuzz_%: $(B)/obj/tests/fuzz/fuzz_%.o $(B)/obj/tests/fuzz/file.o $(B)/obj/tests/fuzz/stream.o $$(call obj,$$(FUZZ_fuzz_$$*)) $(LIBCOMMON)
	$(call say,FUZZER,$@)
	$(Q)$(CC) $(LDFLAGS_PROGRAM) -fsanitize=fuzzer -o $@ $^ $(TESTLIBS) $(FUZZ_LINK_fuzz_$*)
fuzz-build: $(FUZZERS) $(B)/seeds
# Writes tests/fuzz/corpus anew where a format has changed: build/fuzz/seeds tests/fuzz/corpus
$(B)/seeds: $(B)/obj/tests/fuzz/seeds.o $(B)/obj/tests/fuzz/seeds_chunks.o $(LIBCOMMON)
	$(Q)$(CC) $(LDFLAGS_PROGRAM) -o $@ $^ $(TESTLIBS)
fuzz-replay-build:
	@$(MAKE) --no-print-directory $(FAST) $(FUZZ_FLAGS) fuzz-build
fuzz: deps fuzz-replay-build
	@B=$(FUZZ_BUILD) tests/fuzz/run
fuzz-keep: deps fuzz-replay-build
	@B=$(FUZZ_BUILD) tests/fuzz/run -k
# How much of the decoders the corpus reaches: a build of its own, with clang's source coverage
COVER_FLAGS = B=$(B)/cover CC=clang WARN='-Wall -Wextra -Werror' OPT='-O1 -g' HARDEN= \
	      SAN='-fprofile-instr-generate -fcoverage-mapping -fsanitize=fuzzer-no-link'
fuzz-coverage: deps
	@tests/deps llvm-14
	@$(MAKE) --no-print-directory $(FAST) $(COVER_FLAGS) fuzz-build
	@B=$(B)/cover tests/fuzz/coverage
.PHONY: fuzz fuzz-build fuzz-replay-build fuzz-keep fuzz-coverage

# A resolver with the tactics of others, for make bench-nat; its neighbours find it beside themselves
$(B)/baseline/punch-resolver: $(call obj,$(RESOLVER) tests/bench/baseline.c) $(LIBCOMMON)
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(LDFLAGS_PROGRAM) -Wl,--wrap=plan_make,--wrap=punch_result -o $@ $^ $(LIB_RESOLVER)
$(B)/baseline/%: $(B)/%
	$(Q)mkdir -p $(@D) && cp $< $@
bench-build: $(addprefix $(B)/baseline/,punch-resolver punch libpunch.so punchctl)
