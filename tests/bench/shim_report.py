# SPDX-License-Identifier: MIT
"""shim_report.py BUILD FOLDER: run the cases that shim.sh has written into FOLDER, print tables (Markdown)

Times are noisy on a shared machine, so cases take turns in short rounds and a ratio is the median
of each round's own ratio. Instructions (callgrind) and system calls (strace) do not depend on the load at all.
"""
import os
import re
import socket
import statistics
import subprocess
import sys

BUILD, FOLDER = sys.argv[1:3]
ROUNDS = int(os.environ.get("ROUNDS", 20))
STARTS = int(os.environ.get("STARTS", 1500))
PROCESSOR = str(max(os.sched_getaffinity(0)))
EMPTY, PUNCH = 1, 2  # places in the list of cases
# WHAT of calls.c, what it is, calls a round
CALLS = [
    ("connect", "connect() to loopback", 1000),
    ("accept", "accept() of a local client", 1000),
    ("getpeername", "getpeername()", 10000),
    ("getsockopt", "getsockopt(SO_ERROR)", 10000),
    ("setsockopt", "setsockopt(TCP_NODELAY)", 10000),
    ("numeric", "getaddrinfo(\"192.0.2.1\")", 2000),
    ("hosts", "getaddrinfo(\"localhost\")", 1000),
]


def lines(name):
    with open(f"{FOLDER}/{name}", encoding="utf-8") as f:
        return [line.rstrip("\n").split("|") for line in f]


def environment(variables):
    return {**os.environ, **dict(v.split("=", 1) for v in variables.split())}


def table(head, rows):
    print("| " + " | ".join(head) + " |")
    print("| --- |" + " --- |" * (len(head) - 1))
    for row in rows:
        print("| " + " | ".join(row) + " |")
    print()


def spawn(rounds, cases):
    command = ["taskset", "-c", PROCESSOR, f"{BUILD}/bench/spawn", str(rounds), *("|".join(case) for case in cases)]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [(name, float(wall), float(cpu), int(faults))
            for name, wall, cpu, faults in (line.split("\t") for line in out.splitlines())]


def starts(cases):
    rows = spawn(STARTS, [[name, variables, "/bin/true"] for name, variables in cases])
    base = rows[0]
    print(f"Start and end of /bin/true, medians of {STARTS} rounds, microseconds:\n")
    table(["preloaded", "wall", "more", "processor", "more", "page faults"],
          [[name, f"{wall:.0f}", f"{wall - base[1]:+.0f}", f"{cpu:.0f}", f"{cpu - base[2]:+.0f}", str(faults)]
           for name, wall, cpu, faults in rows])
    return rows[PUNCH][2] - rows[EMPTY][2]


def wrappers():
    rows = spawn(max(STARTS // 4, 1), lines("wrappers"))
    print(f"The wrappers, medians of {max(STARTS // 4, 1)} rounds, microseconds:\n")
    table(["command", "wall", "more", "processor", "more"],
          [[f"`{name}`", f"{wall:.0f}", f"{wall - rows[0][1]:+.0f}", f"{cpu:.0f}", f"{cpu - rows[0][2]:+.0f}"]
           for name, wall, cpu, _ in rows])
    return rows[1][2] - rows[0][2]


def any_cost():
    """What `punch --any` adds to a static program's calls: to one that it lets pass, and to one that it is asked about"""
    program = f"{BUILD}/tests/any/fixed"
    if not os.path.exists(program):
        print("`punch --any`: no static program here (musl-gcc is missing)\n")
        return
    variables = environment(f"PUNCH_CONF={FOLDER}/any/punch.conf")
    took = {}
    for _ in range(ROUNDS):
        for name, front in (("alone", []), ("any", [f"{BUILD}/punch", "--any"])):
            # nobody accepts: that would be measured, too
            with socket.create_server(("127.0.0.1", 0), backlog=4096) as listener:
                out = subprocess.run([*front, program, "cost", "2000", str(listener.getsockname()[1])], env=variables,
                                     check=True, capture_output=True, text=True).stdout
            for what, value in zip(("getppid()", "connect() to loopback"), re.findall(r"([0-9.]+) us", out)):
                took.setdefault((what, name), []).append(float(value))
    print(f"A static program under `punch --any`, medians of {ROUNDS} rounds of 2000 calls, microseconds:\n")
    subprocess.run([f"{BUILD}/punchctl", "stop"], env=variables, capture_output=True, check=False)
    rows = []
    for what in ("getppid()", "connect() to loopback"):
        alone, served = (statistics.median(took[what, name]) for name in ("alone", "any"))
        rows.append([what, f"{alone:.2f}", f"{served:.2f}", f"{served - alone:+.2f}"])
    table(["call", "alone", "`punch --any`", "more"], rows)


def call(what, count, variables, wrapper=()):
    command = [*wrapper, "taskset", "-c", PROCESSOR] if not wrapper else list(wrapper)
    return subprocess.run([*command, f"{BUILD}/bench/calls", what, str(count)], env=environment(variables),
                          capture_output=True, text=True, check=False)


def times(cases):
    took = {}
    for _ in range(ROUNDS):
        for what, _, count in CALLS:
            for name, variables in cases:
                out = call(what, count, variables).stdout
                took.setdefault((what, name), []).append(float(out) if out else None)
    rows = []
    for what, title, _ in CALLS:
        plain = took[what, cases[0][0]]
        row = [title, f"{statistics.median(plain):.0f}"]
        for name, _ in cases[1:]:
            ratios = [one / base for one, base in zip(took[what, name], plain) if one]
            row.append(f"{statistics.median(ratios):.3f}" if ratios else "fails")
        rows.append(row)
    print(f"Calls that have to do with no peer; nanoseconds, then ratios, medians of {ROUNDS} rounds:\n")
    table(["call", cases[0][0], *(name for name, _ in cases[1:])], rows)


def instructions(what, count, variables):
    out = call(what, count, variables,
               ["valgrind", "--tool=callgrind", f"--callgrind-out-file={FOLDER}/callgrind"]).stderr
    found = re.search(r"Collected : (\d+)", out)
    return int(found.group(1)) if found else None


def system_calls(what, count, variables):
    options = [word for v in variables.split() for word in ("-E", v)]
    out = call(what, count, "", ["strace", "-f", "-qq", *options, "-o", f"{FOLDER}/strace"])
    if not out.stdout:
        return None
    with open(f"{FOLDER}/strace", encoding="utf-8", errors="replace") as f:
        return sum(1 for _ in f)


def each(measure, what, variables, count):
    less, more = (measure(what, n, variables) for n in (count, 2 * count))
    return None if less is None or more is None else (more - less) / count


def shown(value, base, digits):
    if value is None or base is None:
        return "?"
    return f"{value - base:+.{digits}f}"


def counts(cases):
    rows = []
    for what, title, _ in CALLS:
        base = [each(m, what, cases[0][1], 500) for m in (instructions, system_calls)]
        row = [title, " / ".join("?" if b is None else f"{b:.0f}" for b in base)]
        for _, variables in cases[1:]:
            row.append(" / ".join(shown(each(m, what, variables, 500), b, 0)
                                  for m, b in zip((instructions, system_calls), base)))
        rows.append(row)
    print("The same in instructions of the program / system calls, for one call (with what the bench does to make it):\n")
    table(["call", cases[0][0], *(name for name, _ in cases[1:])], rows)


def main():
    cases = [(name, variables) for name, variables in lines("cases")]
    start = starts(cases)
    wrapper = wrappers()
    any_cost()
    times([case for case in cases if "no punch.conf" not in case[0]])
    counts([case for case in cases if "no punch.conf" not in case[0] and "empty" not in case[0]])
    print(f"Start-up beyond that of an empty library: {start:.0f} us of processor time (goal: 50). "
          f"`punch true` beyond `true`: {wrapper:.0f} us (goal: 1000).")


if __name__ == "__main__":
    main()
