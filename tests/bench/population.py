#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""population.py - hosts behind middleboxes as they are found, and what became of their pairs

    population.py draw ROUNDS SEED [A-B ...]    pairs to try, one a line (nat_worker.sh)
    population.py report RESULTS [SVG]          weighted figures, matrix, reasons; the matrix as a picture
"""
import math
import random
import sys

# class: share of hosts in percent, options of the lab's NAT (callable: drawn)
CLASSES = {
    "E1": (46, "mapping=endpoint filtering=address-port stray=drop port=preserve"),
    "E2": (9, "mapping=endpoint filtering=address-port stray=rst port=preserve"),
    "E3": (15, "mapping=endpoint filtering=address-port stray=drop port=offset"),
    "E4": (8, lambda r: f"mapping=endpoint filtering={r.choice(['none', 'address'])} stray=drop port=preserve"),
    "S5": (4, "mapping=endpoint filtering=synack stray=drop port=preserve"),
    "Q6": (4, lambda r: f"mapping=address-port filtering=address-port stray=drop port=sequential:{r.randint(1, 5)}"),
    "B7": (5, lambda r: "mapping=address-port filtering=address-port stray=drop "
                        f"port=block:{r.choice([128, 256, 256, 512, 512, 1024, 2048])}"),
    "R8": (6, "mapping=address-port filtering=address-port stray=drop port=random"),
    "X9": (3, "mapping=endpoint filtering=address-port stray=drop port=preserve"),
}
CHANGING = {"Q6", "B7", "R8"}   # another port for each connection
SECOND_NAT = 0.15               # of lines on which a carrier's NAT lies above the home's
CONTROL = 0.15                  # of NATs whose mapping dies with its first connection
HAIRPIN = 0.3                   # of NATs that give a host its neighbour by the outside address
HOME = {"E1", "E2", "E4", "S5"} # what stands in homes, rather than at a carrier
MAPPING = 0.35                  # of those that open ports when asked (NAT-PMP), of use where no second NAT lies above
EASY = {"E1", "E2", "E3", "E4"}


def possible(a, b):
    """May any tactic open this pair from user space? Where ports change on both sides, only within known bands"""
    if "X9" in (a, b) or a == b == "S5":
        return False
    return not (a in CHANGING and b in CHANGING and "R8" in (a, b))


def plain(a, b):
    """Does one simultaneous open do? Both ports known, and no gateway that drops bare SYNs on both sides"""
    return possible(a, b) and not CHANGING & {a, b}


def options(name, rng):
    text = CLASSES[name][1]
    return (text(rng) if callable(text) else text) + f" control={'on' if rng.random() < CONTROL else 'off'}"


def extras(name, nats, rng):
    mapping = rng.random() < MAPPING and name in HOME and nats == 1
    return f" pmp={'on' if mapping else 'off'} hairpin={'on' if rng.random() < HAIRPIN else 'off'}"


def draw(rounds, seed, only):
    rng, more = random.Random(seed), random.Random(f"{seed} extras")
    pairs = [(a, b) for a in CLASSES for b in CLASSES]
    # What many hosts are behind is tried more often: its doubt weighs most
    pairs += [pair for pair in pairs if weight(*pair) >= 250] + [("E1", "E1")] * 2
    if only:
        pairs = [tuple(p.split("-")) for p in only.split()]
    for _ in range(rounds):
        rng.shuffle(pairs)
        for a, b in pairs:
            # one way between the peers is twice this: 5 to 150 ms
            delay = round(10 ** rng.uniform(math.log10(3), math.log10(75)))
            loss = rng.choice([0, 0, 0, 0.5, 1, 2])
            nats = [2 if rng.random() < SECOND_NAT else 1 for _ in "ab"]
            print(f"{a} {b} {delay} {loss} {nats[0]} {nats[1]}|"
                  f"{options(a, rng)}{extras(a, nats[0], more)}|{options(b, rng)}{extras(b, nats[1], more)}")


def quantile(values, q):
    values = sorted(values)
    return values[min(len(values) - 1, int(q * len(values)))] if values else float("nan")


def weight(a, b):
    return CLASSES[a][0] * CLASSES[b][0]


def kind(a, b):
    """Pairs that the same tactics are for, so that they share the chance of a mishap"""
    return "impossible" if not possible(a, b) else "plain" if plain(a, b) else len(CHANGING & {a, b}) + (a == b)


def interval(cells, good):
    """Weighted share and half of its 95 % interval: cells are strata, whose variance is that of all of their kind"""
    tries, share, variance, total = {}, 0, 0, 0
    for pair, rows in cells.items():
        k, n = tries.get(kind(*pair), (0, 0))
        tries[kind(*pair)] = (k + sum(map(good, rows)), n + len(rows))
    for pair, rows in cells.items():
        w, (k, n) = weight(*pair), tries[kind(*pair)]
        p = (k + 0.5) / (n + 1)
        share += w * sum(map(good, rows)) / len(rows)
        variance += w * w * p * (1 - p) / len(rows)
        total += w
    return 100 * share / total, 196 * math.sqrt(variance) / total


def ceiling(test):
    return sum(weight(a, b) * test(a, b) for a in CLASSES for b in CLASSES) / 100


def mapped():
    """What open ports add to that: two gateways that drop bare SYNs, one of which lets in whom it was asked for"""
    return weight("S5", "S5") / 100 * (1 - (1 - MAPPING * (1 - SECOND_NAT)) ** 2)


class Row:
    def __init__(self, line):
        (self.tactics, self.a, self.b, self.path, self.again, ms, delay, syns, self.why) = line.rstrip("\n").split("\t")
        self.ms, self.delay, self.syns = float(ms), float(delay), int(syns)
        self.direct = self.path in ("direct", "lan")
        self.peers = 4 * self.delay                       # ms, round trip between the peers
        self.goal = 2.5 * 2 * self.delay + 1.5 * self.peers  # to the rendezvous, and between the peers


def read(path):
    tactics = {}
    with open(path, encoding="utf-8") as file:
        for line in file:
            row = Row(line)
            tactics.setdefault(row.tactics, {}).setdefault((row.a, row.b), []).append(row)
    return tactics


def picture(path, cells):
    names = list(CLASSES)
    out = ['<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 590 600" width="590" height="600" '
           'font-family="sans-serif" font-size="14">',
           '<rect width="590" height="600" fill="#ffffff"/>',
           '<text x="70" y="26" font-weight="bold">Direct paths in percent</text>',
           '<text x="325" y="54" text-anchor="middle" fill="#555555">callee behind</text>',
           '<text x="22" y="330" text-anchor="middle" fill="#555555" transform="rotate(-90 22 330)">caller behind</text>']
    for i, a in enumerate(names):
        out.append(f'<text x="58" y="{115 + 54 * i}" text-anchor="end">{a}</text>')
        out.append(f'<text x="{96 + 54 * i}" y="76" text-anchor="middle">{a}</text>')
        for j, b in enumerate(names):
            rows = cells.get((a, b), [])
            p = sum(r.direct for r in rows) / len(rows) if rows else 0
            shade = f"hsl({round(10 + 125 * p)}, 48%, {round(72 + 6 * p)}%)" if rows else "#eeeeee"
            out.append(f'<rect x="{70 + 54 * j}" y="{84 + 54 * i}" width="52" height="52" rx="3" fill="{shade}"/>')
            out.append(f'<text x="{96 + 54 * j}" y="{115 + 54 * i}" text-anchor="middle">'
                       f'{round(100 * p) if rows else "-"}</text>')
    out.append("</svg>")
    with open(path, "w", encoding="ascii") as file:
        file.write("\n".join(out) + "\n")


def matrix(cells):
    print("      " + "".join(f"{b:>6}" for b in CLASSES))
    for a in CLASSES:
        line = f"{a:>6}"
        for b in CLASSES:
            rows = cells.get((a, b))
            line += f"{round(100 * sum(r.direct for r in rows) / len(rows)):>6}" if rows else "     -"
        print(line)


def summary(name, cells):
    rows = [r for rs in cells.values() for r in rs]
    direct = interval(cells, lambda r: r.direct)
    there = interval(cells, lambda r: r.path != "none")
    won = sum(r.direct for r in rows)
    easy = sorted(r.syns for r in rows if r.direct and {r.a, r.b} <= EASY)
    print(f"{name:<8}{direct[0]:7.1f} +- {direct[1]:<5.1f}{there[0]:9.1f} +- {there[1]:<5.1f}{won:6d} of {len(rows):<6d}"
          f"{sum(r.syns for r in rows) / max(won, 1):9.0f}{quantile(easy, .5):9.0f}")


def times(cells):
    def line(name, rows, unit):
        values = [r.ms / unit(r) for r in rows]
        print(f"  {name:<44}{quantile(values, .5):6.2f}{quantile(values, .95):8.2f}   (n = {len(values)})")

    rows = [r for rs in cells.values() for r in rs if r.again != "none"]
    direct = [r for r in rows if r.again == "direct"]
    easy = [r for r in direct if {r.a, r.b} <= EASY]
    print("\nset-up of a warm connection                        p50     p95")
    line("direct, easy classes, of 2.5 R + 1.5 P", easy, lambda r: r.goal)
    line("direct, easy classes, round trips of the peers", easy, lambda r: r.peers)
    line("direct, all, round trips of the peers", direct, lambda r: r.peers)
    line("relayed, round trips of the peers", [r for r in rows if r.again == "relay"], lambda r: r.peers)
    print("  (R: round trip to the rendezvous, P: between the peers; here P = 2 R)")


def reasons(cells):
    count = {}
    for pair, rows in cells.items():
        for row in rows:
            if not row.direct:
                kind = "relayed" if row.path == "relay" else "NOT CONNECTED"
                key = (kind, row.why or "no word", "" if possible(*pair) else " (impossible)")
                count.setdefault(key, []).append("-".join(pair))
    print("\nnot direct:")
    for (kind, why, mark), pairs in sorted(count.items(), key=lambda item: -len(item[1])):
        names = sorted(set(pairs))
        print(f"  {len(pairs):3d} x {kind}{mark}: {why}\n        {' '.join(names)}")


def report(path, svg):
    tactics = read(path)
    ours = tactics.get("ours") or next(iter(tactics.values()))
    print(f"{sum(map(len, ours.values()))} pairs of hosts, {len(ours)} pairs of classes; "
          "direct paths in percent (row: caller)\n")
    matrix(ours)
    print("\nweighted by the classes' shares, 95 % interval; SYNs of both sides, the kernel's repetitions included")
    print(f"{'tactics':<8}{'direct %':>9}{'connected %':>21}{'direct':>11}{'SYNs/direct':>21}{'easy p50':>9}")
    for name, cells in tactics.items():
        summary(name, cells)
    print(f"{'ceiling':<8}{ceiling(possible) + mapped():7.1f}          X9 with anything, two S5 without an open port, R8 with Q6, B7 or R8 are out of reach")
    print(f"{'plain':<8}{ceiling(plain):7.1f}          what one simultaneous open reaches at best")
    times(ours)
    reasons(ours)
    print()
    if svg:
        picture(svg, ours)


if __name__ == "__main__":
    if sys.argv[1] == "draw":
        draw(int(sys.argv[2]), int(sys.argv[3]), sys.argv[4] if len(sys.argv) > 4 else "")
    else:
        report(sys.argv[2], sys.argv[3] if len(sys.argv) > 3 else "")
