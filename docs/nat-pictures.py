#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""nat-pictures.py - draws the pictures of nat.md beside itself: nat-*.svg

Two kinds: who sends what when, with time downwards; and rows of ports. The matrix, nat-matrix.svg, is
drawn by tests/bench/population.py out of measured results.
"""
import os

INK, SOFT, FINE = "#1f2933", "#7b8794", "#cbd2d9"
GOOD, BAD, LOW = "#1b7f5c", "#b83a3a", "#b7791f"
FILL = {"nat": "#fff4e0", "host": "#e6f0fa"}
WIDTH = 720


class Picture:
    def __init__(self, height, title):
        self.height = height
        self.parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
            f'font-family="Helvetica, Arial, sans-serif" font-size="14" fill="{INK}">',
            f"<title>{title}</title>",
            f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>']

    def line(self, x1, y1, x2, y2, colour=INK, width=1.6, dash=""):
        dash = f' stroke-dasharray="{dash}"' if dash else ""
        self.parts.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" '
                          f'stroke-width="{width}"{dash}/>')

    def text(self, x, y, words, colour=INK, anchor="middle", size=14, bold=False, halo=False):
        halo = ' stroke="#ffffff" stroke-width="4" paint-order="stroke" stroke-linejoin="round"' if halo else ""
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}" text-anchor="{anchor}" font-size="{size}"'
                          f'{" font-weight=" + chr(34) + "bold" + chr(34) if bold else ""}{halo}>{words}</text>')

    def box(self, x, y, w, h, fill, stroke=FINE, radius=5):
        self.parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{w:.1f}" height="{h:.1f}" rx="{radius}" '
                          f'fill="{fill}" stroke="{stroke}"/>')

    def cross(self, x, y, colour=BAD):
        for dx in (-1, 1):
            self.line(x - 5 * dx, y - 5, x + 5 * dx, y + 5, colour, 2.4)

    def head(self, x, y, dx, dy, colour):
        length = (dx * dx + dy * dy) ** 0.5
        dx, dy = dx / length, dy / length
        points = [(x, y), (x - 10 * dx + 4 * dy, y - 10 * dy - 4 * dx), (x - 10 * dx - 4 * dy, y - 10 * dy + 4 * dx)]
        self.parts.append('<polygon points="' + " ".join(f"{a:.1f},{b:.1f}" for a, b in points) +
                          f'" fill="{colour}"/>')

    def save(self, name):
        path = os.path.join(os.path.dirname(os.path.abspath(__file__)), name)
        with open(path, "w", encoding="ascii") as file:
            file.write("\n".join(self.parts + ["</svg>"]) + "\n")


class Sequence(Picture):
    """Lifelines of alice, her NAT, bob's NAT and bob; y grows with time"""
    X = {"alice": 70, "A": 230, "B": 490, "bob": 650}

    def __init__(self, height, title):
        super().__init__(height, title)
        self.bottom = height - 34
        for name, x in self.X.items():
            kind, label = ("nat", "NAT " + name) if name in "AB" else ("host", name)
            self.box(x - 46, 14, 92, 30, FILL[kind])
            self.text(x, 34, label, bold=True)
            self.line(x, 44, x, self.bottom, FINE, 1.4)

    def packet(self, start, end, y, words, colour=INK, lost=False, to=None, side="", drop=0):
        """One packet; @to: share of the way after which it ends; @drop: y that it takes"""
        x1, x2, fall = self.X[start], self.X[end], drop or abs(self.X[end] - self.X[start]) / 9
        share = 1 if to is None else to
        xe, ye = x1 + (x2 - x1) * share, y + fall * share
        self.line(x1, y, xe, ye, colour, 1.8)
        if lost:
            self.cross(xe, ye)
        else:
            self.head(xe, ye, xe - x1, ye - y, colour)
        middle = 0.5 if side == "" else 0.2
        # Above the slanting line along the whole of its words
        rise = 5 + 3.3 * len(words) * abs(ye - y) / abs(xe - x1)
        self.text(x1 + (xe - x1) * middle, y + (ye - y) * middle - rise, words, colour, size=13, halo=True)
        return ye

    def hole(self, nat, y, words):
        """From here on the NAT lets something in"""
        x = self.X[nat]
        self.line(x, y, x, self.bottom, GOOD, 5)
        left = nat == "A"
        self.text(x + (-10 if left else 10), y + 15, words, GOOD, "end" if left else "start", 12, halo=True)

    def note(self, y, words, colour=SOFT, x=360):
        self.text(x, y, words, colour, size=13, halo=True)


def ordered():
    p = Sequence(330, "Ordered opening")
    p.packet("alice", "A", 66, "SYN, TTL 2", LOW)
    p.hole("A", 86, "open for bob")
    p.packet("A", "B", 86, "", LOW, lost=True, to=0.4)
    p.text(360, 96, "dies behind NAT A: NAT B never sees it", LOW, size=12, anchor="start", halo=True)
    p.packet("bob", "B", 130, "SYN, any time later", INK)
    p.hole("B", 148, "open for alice")
    p.packet("B", "alice", 148, "", INK)
    p.packet("alice", "bob", 208, "SYN-ACK: two SYNs have crossed, says her kernel", GOOD)
    p.note(314, "one and a half round trips, no race, whatever NAT B does with strays", INK)
    p.save("nat-open.svg")


def together():
    p = Sequence(400, "Synchronised SYNs against NATs that answer strays by RST")
    p.packet("alice", "B", 70, "SYN", INK, lost=True, side="start")
    p.hole("A", 92, "")
    p.packet("B", "alice", 118, "RST: too early", BAD, side="start")
    p.packet("bob", "A", 128, "SYN, a little later", INK, side="start", drop=46)
    p.hole("B", 146, "open for alice")
    p.text(150, 205, "forgotten", BAD, size=12, halo=True)
    p.packet("A", "bob", 190, "RST", BAD, side="start", drop=46)
    p.note(262, "each side waits a random time, at most what the answer took, and dials again from the same port", SOFT)
    p.packet("bob", "B", 282, "SYN", INK)
    p.packet("alice", "bob", 286, "SYN", GOOD, side="start", drop=70)
    p.note(384, "the first SYN that finds the other one's hole connects: 99 to 100 of 100 tries", INK)
    p.save("nat-sync.svg")


def synack():
    p = Sequence(300, "A gateway that drops every bare SYN")
    p.packet("bob", "B", 66, "SYN, TTL 2", LOW)
    p.hole("B", 86, "open for alice")
    p.packet("B", "A", 86, "", LOW, lost=True, to=0.35)
    p.text(384, 96, "it could never come in at A", LOW, size=12, anchor="end", halo=True)
    p.packet("alice", "bob", 118, "SYN", INK, drop=56)
    p.packet("bob", "alice", 190, "SYN-ACK: this, and nothing else, NAT A lets in", GOOD, drop=56)
    p.note(284, "the side behind such a gateway dials; two of them see no SYN, so neither sends a SYN-ACK", INK)
    p.save("nat-synack.svg")


def control():
    p = Sequence(330, "A mapping that dies with its first connection")
    p.X["probe"] = 360
    p.box(314, 14, 92, 30, "#eeeeee")
    p.text(360, 34, "probe port", bold=True)
    p.line(360, 44, 360, 130, FINE, 1.4)
    p.packet("alice", "probe", 66, "first connection of the port", INK)
    p.hole("A", 84, "")
    p.text(220, 108, "the mapping", GOOD, "end", 12, halo=True)
    p.packet("alice", "bob", 150, "the punched connection uses the same mapping", GOOD, drop=30)
    p.packet("alice", "A", 214, "FIN to the probe port", BAD)
    p.line(230, 234, 230, p.bottom, "#ffffff", 7)
    p.line(230, 234, 230, p.bottom, FINE, 1.4)
    p.packet("bob", "A", 240, "RST or silence: the connection is dead", BAD, lost=True, drop=26)
    p.note(314, "so the probe connection is kept for as long as the punched one lives", INK)
    p.save("nat-control.svg")


def cells(p, x, y, n, w, marks, label, sub="", below=False):
    """A row of ports; @marks: index to colour"""
    for i in range(n):
        p.box(x + i * w, y, w - 1, 18, marks.get(i, "#f5f7fa"), FINE, 1)
    where = y + 36 if below else y - 10
    p.text(x, where, label, anchor="start", size=13, bold=True)
    if sub:
        p.text(x + n * w, where, sub, SOFT, "end", 12)


def guess():
    p = Picture(290, "Random against fixed: held ports and guesses")
    held = {3, 9, 17, 21, 30, 36, 44, 52, 57}
    tried = {0, 5, 8, 12, 14, 19, 24, 27, 33, 36, 41, 46, 49, 55, 58}
    marks = {i: "#f0c36d" for i in held}
    cells(p, 40, 60, 64, 10, marks, "ports of the random NAT, as bob sees them", "240 of 64,512 held, all open for bob's one port")
    for i in sorted(tried):
        hit = i in held
        x, colour = 45 + 10 * i, GOOD if hit else SOFT
        p.line(360, 190, x, 86, colour, 2.4 if hit else 0.9, "" if hit else "4 3")
        if hit:
            p.head(x, 82, x - 360, -108, colour)
        else:
            p.cross(x, 86, FINE)
    p.box(300, 192, 120, 30, FILL["host"])
    p.text(360, 212, "bob's one port", bold=True)
    p.text(360, 252, "up to 2,048 guesses, in waves of 240: the ports nearest to the one seen last come first", size=13)
    p.text(360, 274, "a miss of all: exp(-240 x 2048 / 64512) = 0.05 %", SOFT, size=13)
    p.save("nat-guess.svg")


def meet():
    p = Picture(336, "Two NATs that change ports within bands")
    a, b, n, w = {i: "#f0c36d" for i in range(3, 21)}, {i: "#9fc5e8" for i in (1, 2, 4, 7, 8, 9, 12, 14, 15, 18, 20, 21, 24, 26, 28, 30)}, 32, 20
    aim_a, aim_b = 13, 14
    a[aim_a] = b[aim_b] = "#7bc8a4"
    cells(p, 40, 60, n, w, a, "alice's NAT counts: her sockets got these ports", "bob aims at this one of them all: p")
    cells(p, 40, 230, n, w, b, "bob's NAT draws from a block: his sockets got these", "alice aims at q with all of hers", below=True)
    for i in a:
        if i != aim_a:
            p.line(50 + w * i, 79, 48 + w * aim_b, 222, "#e4c078", 0.8)
    for i in b:
        if i != aim_b:
            p.line(50 + w * i, 229, 52 + w * aim_a, 86, "#aacbe6", 0.8)
    p.line(50 + w * aim_a, 82, 50 + w * aim_b, 226, GOOD, 3.2)
    p.text(40 + w * aim_a + 10, 74, "p", bold=True)
    p.text(40 + w * aim_b + 10, 244, "q", bold=True)
    p.text(360, 298, "the socket that got p and the one that got q send to each other: no other two do", size=13)
    p.text(360, 320, "with shares f and g of the bands taken the two exist with probability f g", SOFT, size=13)
    p.save("nat-meet.svg")


if __name__ == "__main__":
    for draw in (ordered, together, synack, control, guess, meet):
        draw()
