# SPDX-License-Identifier: MIT
"""suites.py - other people's tests: where they come from, how each is started, what its output says

A suite has units, each one command; a unit has cases, each with a verdict: pass, skip, or fail with what kind of failure.
"""
import glob
import os
import re
import subprocess
import xml.etree.ElementTree as ElementTree

HERE = os.path.dirname(os.path.abspath(__file__))
PYTHON = "/usr/bin/python3"     # Debian's own: its tests are for this version and no other
NOBODY = "65534"


class Unit:
    """One command.

    @argv may hold {out}, a file that @parse finds again; @parse(text, out) gives {case: verdict}. It runs in a folder of
    the side's own, which is TMPDIR, or in @cwd within it; @copy says what is to be there: pairs of a path, and its
    place in that folder.
    """

    def __init__(self, suite, name, argv, parse, copy=(), cwd="", env=None, limit=300):
        self.suite, self.name, self.argv, self.parse = suite, name, argv, parse
        self.copy, self.cwd, self.env, self.limit = copy, cwd, env or {}, limit

    def __str__(self):
        return f"{self.suite}/{self.name}"


class Missing(Exception):
    """A suite cannot be had here, and why"""


def output_of(*argv, **more):
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False, **more)
    if done.returncode:
        tail = "\n".join((done.stdout + done.stderr).splitlines()[-5:])
        raise Missing(f"{' '.join(argv)}: {tail}")
    return done.stdout.strip()


def add(cases, name, verdict):
    """Two cases of one name: the second gets a number"""
    number, key = 1, name
    while key in cases:
        number += 1
        key = f"{name} ({number})"
    cases[key] = verdict


# --------------------------------------------------------------- what the suites write

def parse_junit(_, out):
    cases = {}
    if not os.path.exists(out):
        return cases
    for case in ElementTree.parse(out).getroot().iter("testcase"):
        verdict = "pass"
        for kind in ("skipped", "failure", "error"):
            found = case.find(kind)
            if found is not None:
                verdict = "skip" if kind == "skipped" else f"{kind} {found.get('type')}"
        # a case that failed in a subTest() has no name
        if case.get("name"):
            add(cases, re.sub(r"0x[0-9a-f]+", "0x", case.get("name")), verdict)
    return cases


def parse_tap(text, _):
    """TAP, as perl and libuv write it; a name may be cut off by the output of the test itself"""
    cases = {}
    for match in re.finditer(r"^(not )?ok (\d+)([^\n]*)", text, re.M):
        bad, number, rest = match.groups()
        name, _, directive = rest.partition("#")
        word = directive.strip().lower()
        verdict = "fail" if bad else "pass"
        if word.startswith("skip"):
            verdict = "skip"
        elif word.startswith("todo"):
            verdict = f"todo, {verdict}"
        name = re.sub(r"\b(0x[0-9a-f]+|\d+)\b", "N", name.strip(" -"))
        add(cases, f"{number} {name}".strip(), verdict)
    if not cases and re.search(r"^1\.\.0 *# *skip", text, re.M | re.I):
        cases["all"] = "skip"
    return cases


def parse_named_tap(text, _):
    """libuv: the number is that of the order, the name is the case's own"""
    cases = {}
    for bad, name, rest in re.findall(r"^(not )?ok \d+ - (\S+)([^\n]*)", text, re.M):
        add(cases, name, "skip" if "# SKIP" in rest.upper() else "fail" if bad else "pass")
    return cases


def parse_tinytest(text, _):
    """libevent: "group/case: [forking] OK"; between the two a case may write what it likes"""
    cases, last = {}, None
    for line in text.splitlines():
        match = re.match(r"(\w+/\w+): ", line)
        if match:
            last = match.group(1)
            cases.setdefault(last, "no verdict")
        failed = re.match(r"\s*\[(\w+) FAILED\]", line)
        if failed and last:
            cases[last] = "fail"
        elif last and cases[last] == "no verdict":
            word = re.search(r"\b(OK|SKIPPED|DISABLED)\s*$", line)
            if word:
                cases[last] = "pass" if word.group(1) == "OK" else "skip"
    return cases


# --------------------------------------------------------------- CPython

CPYTHON = """
    test_socket test_asyncio test_ssl test_httplib test_httpservers test_socketserver test_ftplib test_subprocess
    test_signal test_threadsignals test_eintr test_select test_selectors test_poll test_epoll test_imaplib test_poplib
    test_smtplib test_smtpd test_nntplib test_telnetlib test_xmlrpc test_docxmlrpc test_urllib2_localnet test_urllib
    test_asyncore test_asynchat test_logging test_wsgiref test_robotparser test_os test_posix test_fcntl test_pty
    test_threading test_faulthandler test_multiprocessing_fork
""".split()

# Address family VSOCK knows no network namespaces: both sides would meet on one port of the machine
# (and a guest whose host has no such device waits for ever)
CPYTHON_LEFT_OUT = ["ThreadedVSOCKSocketStreamTest"]


def cpython_unit(module, only=(), left_out=()):
    argv = [PYTHON, "-m", "test", "-u", "network,subprocess", "--junit-xml", "{out}"]
    for pattern in only:
        argv += ["-m", pattern]
    for pattern in [*CPYTHON_LEFT_OUT, *left_out]:
        argv += ["-i", pattern]
    return Unit("cpython", module, [*argv, module], parse_junit, limit=400)


def cpython(_):
    output_of(PYTHON, "-c", "import test.test_socket")     # not all of Debian's packages of Python have it
    version = output_of(PYTHON, "-c", "import platform; print(platform.python_version())")
    return version, [cpython_unit(module) for module in CPYTHON]


# What is slow and has nothing that the shim could touch
QUICK_LEFT_OUT = ["test_sendfile*", "*Timeout*", "*Interrupted*", "*CongestedBuffers*", "*test_create_server_*", "*Executor*"]
QUICK_ASYNCIO = ["test.test_asyncio.test_sock_lowlevel.*", "test.test_asyncio.test_streams.*", "test.test_asyncio.test_server.*",
                 "test.test_asyncio.test_unix_events.*"]


def quick(_):
    version, _ = cpython(_)
    return version, [cpython_unit("test_socket", left_out=QUICK_LEFT_OUT),
                     cpython_unit("test_asyncio", only=QUICK_ASYNCIO),
                     *map(cpython_unit, ["test_socketserver", "test_selectors", "test_ftplib", "test_urllib2_localnet"])]


# --------------------------------------------------------------- built from Debian's sources

def source(build, package, *patterns):
    version = output_of(os.path.join(HERE, "source"), package, build, *patterns)
    return version, os.path.join(build, package)


def make(folder, target, *commands):
    """Run @commands in @folder unless @target is there"""
    path = os.path.join(folder, target)
    if not os.path.exists(path):
        with open(os.path.join(folder, "build.log"), "w", encoding="utf-8") as log:
            for command in commands:
                if subprocess.run(command, shell=True, cwd=folder, stdout=log, stderr=log, check=False).returncode:
                    raise Missing(f"cannot build {target}: see {log.name}")
    return path


LIBEVENT_GROUPS = """main heap et evbuffer signal util bufferevent http dns evtag rpc thread listener ssl""".split()
BACKENDS = ("epoll", "poll", "select")


def libevent(build):
    version, folder = source(build, "libevent")
    # Debian's patches make the generated files look old; their makers need not be here
    regress = make(folder, "test/regress", "find . -name aclocal.m4 -exec touch {} +; sleep 1; find . -name Makefile.in -exec touch {} +; "
         "touch configure config.h.in",
         "./configure --disable-shared --disable-samples CFLAGS='-O1 -g -w'",
         "make -j$(nproc) libevent.la libevent_core.la libevent_extra.la libevent_openssl.la libevent_pthreads.la",
         "make -j$(nproc) test/regress")
    units = []
    for backend in BACKENDS:
        others = {f"EVENT_NO{name.upper()}": "1" for name in BACKENDS if name != backend}
        for group in LIBEVENT_GROUPS if backend == "epoll" else ("main", "bufferevent", "listener"):
            units.append(Unit("libevent", f"{group}-{backend}", [regress, f"{group}/.."], parse_tinytest, env=others))
    return version, units


LIBUV_TOGETHER = 24     # cases of one unit: some waver, and with them the unit is run again


def libuv(build):
    version, folder = source(build, "libuv1")
    program = make(folder, "b/uv_run_tests_a", "cmake -S . -B b -DLIBUV_BUILD_TESTS=ON -DCMAKE_BUILD_TYPE=RelWithDebInfo",
         "make -C b -j$(nproc) uv_run_tests_a")
    # it refuses to run as root
    argv = ["setpriv", "--reuid", NOBODY, "--regid", NOBODY, "--clear-groups", "sh", "-c", 'for t; do "$0" $t; done', program]
    fixtures = [(os.path.join(folder, "test", "fixtures"), "test/fixtures")]
    names = [line.split()[0] for line in output_of(*argv[:6], program, "--list").splitlines()]   # "(helpers: ...)" follows
    units = []
    for start in range(0, len(names), LIBUV_TOGETHER):
        some = names[start:start + LIBUV_TOGETHER]
        units.append(Unit("libuv", f"{some[0]}...{some[-1]}", [*argv, *some], parse_named_tap, copy=fixtures,
                          env={"UV_TEST_TIMEOUT_MULTIPLIER": "4"}))
    return version, units


PERL_TESTS = """cpan/Socket/t/*.t dist/IO/t/*.t cpan/IO-Socket-IP/t/*.t cpan/libnet/t/*.t cpan/HTTP-Tiny/t/*.t
    t/io/socket.t t/io/socketpair.t t/op/alarm.t t/op/kill0.t""".split()


# The core's own tests would leave the system's modules for those of a tree that is not built
PERL_CORE = "BEGIN { require './test.pl'; no warnings; *set_up_inc = sub {} } do './' . shift or die $@ || $!"


def perl_unit(folder, path):
    name = os.path.relpath(path, folder)
    with open(path, encoding="latin-1") as script:
        taint = ["-T"] if re.match(r"#!.*perl.* -\w*T", script.readline()) else []
    helpers = [(helper, os.path.basename(helper)) for helper in glob.glob(os.path.join(folder, "t", "*.pl"))]
    if name.startswith("t/"):
        copy = [*((path, f"t/{place}") for path, place in helpers), (path, name)]
        return Unit("perl", name, ["perl", "-e", PERL_CORE, name[2:]], parse_tap, copy=copy, cwd="t", limit=90)
    module = "/".join(name.split("/")[:2])
    copy = [(os.path.join(folder, module), "module"), *((path, f"module/t/{place}") for path, place in helpers)]
    return Unit("perl", name, ["perl", *taint, name[len(module) + 1:]], parse_tap, copy=copy, cwd="module", limit=90)


def perl(build):
    version, folder = source(build, "perl")
    paths = sorted(sum((glob.glob(os.path.join(folder, pattern)) for pattern in PERL_TESTS), []))
    paths = [path for path in paths if not path.endswith("/io_utf8.t")]     # 16,000 cases of one character each
    return version, [perl_unit(folder, path) for path in paths]


NODE_TESTS = ("net", "dgram", "cluster")
NODE_TOGETHER = 20
# The tests are Debian's version's; node may be newer, and then some fail, on both sides
NODE_EACH = """cd "$0"; export NODE_TEST_DIR="$TMPDIR"
for t; do timeout 60 node --expose-internals "$t" </dev/null >"$TMPDIR/said" 2>&1 && echo "ok - $t" || echo "not ok - $t"; done"""


def parse_each(text, _):
    return {name: "fail" if bad else "pass" for bad, name in re.findall(r"^(not )?ok - (\S+)", text, re.M)}


def node(build):
    wanted = [f"*/test/parallel/test-{kind}-*.js" for kind in NODE_TESTS]
    _, folder = source(build, "nodejs", "*/test/common/*", "*/test/fixtures/*", *wanted)
    version = output_of("node", "--version").lstrip("v")
    units = []
    for kind in NODE_TESTS:
        paths = sorted(glob.glob(os.path.join(folder, "test", "parallel", f"test-{kind}-*.js")))
        names = [os.path.relpath(path, folder) for path in paths]
        for start in range(0, len(names), NODE_TOGETHER):
            argv = ["sh", "-c", NODE_EACH, folder, *names[start:start + NODE_TOGETHER]]
            units.append(Unit("node", f"{kind}-{start}", argv, parse_each, limit=500))
    return version, units


# The longest first: the sum of the whole run hangs on them
SUITES = {"libuv": libuv, "node": node, "cpython": cpython, "libevent": libevent, "perl": perl}
