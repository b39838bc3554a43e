"""Mutated rule files: each is accepted or explained with a place inside it, none raises, none takes long.

`python -m benchmarks.mutations --count 100000 --seed 1` takes the shipped pack, changes one of its files, now and then
several, in one to four ways, and reads, checks, compiles, judges by and tests what comes out. A mutant is known by seed
and number: `--only N` shows one. Exit status 1 when any was treated otherwise.
"""

from __future__ import annotations

import argparse
import random
import re
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone
from pathlib import PurePosixPath

from treasury_watch.adapters.rulefiles import default_rules, files_of
from treasury_watch.domain.payment import Instruction
from treasury_watch.engine.assess import Engine
from treasury_watch.engine.program import Program
from treasury_watch.engine.ruletest import run_tests
from treasury_watch.rules import check, read, render
from treasury_watch.rules.diagnostics import Diagnostic, lines_of

LONGEST_S = 2.0
AS_OF = date(2025, 6, 1)
_TESTED = 10  # every so many mutants, the inline tests of an accepted set are run as well
_ROWS, _TESTS = 20, 4  # lines of a table, tests of a rule file that a small set keeps
_DEEP = 40
Mutation = Callable[[random.Random, str], str]

# Words of the language and words that were thought up to break it. YAML's own traps first.
HOSTILE = (
    "&a [*a, *a]", "*a", "!!python/object:os.system {}", "!!str", "!local", "%YAML 1.1", "---", "...", "<<: *x",
    "? [a]", "1e999999", "-1e999999", "9" * 400, "0." + "9" * 400, "-0", "010101", "0x10", "16:30", ".inf", ".nan",
    "1_000", "1,000.00", "no", "yes", "null", "~", '""', "''", "true", "-1", "0", "0.00", "0.001",
    "99999999999999999999", "9223372036854775808", "0001-01-01", "9999-12-31", "2025-02-30", "0000-00-00",
    "2025-03-05T09:00:00+08:00", "9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59",
    "2025-03-05T09:00:00+24:00", "3653d", "0s", "999999d999999h999999m999999999s", "\t", "\0", "\r", "\r\n", "\u2028",
    "\ufeff", "\u200b", "\U0001f600", "e\u0301" * 40, "\u0660", "ﬁ", "：", "“", "大" * 1001, "$x", "$", "$$", "${",
    "{{", "}}", "{", "}", "[", "]", "{amount", "{x}", "{}", "{0}", "%s", "\\", "\\x00", '"\\ud800"', "|", ">", "#",
    "[" * _DEEP + "]" * _DEEP, "{not: " * _DEEP + "}" * _DEEP, "{all: []}", "{any: [{}]}", "[]", "{}", "[[]]", "- ",
    "a: b: c", "(a|b)*+", "(x{1000}){1000}", "(?P<n>a)(?P=n)", "\\p{Han}+", "[^", "x{0,1000}", "(?=a)", "eq", "ne",
    "gt", "gte", "lt", "between", "in", "not_in", "in_list", "contains", "contains_any", "matches", "multiple_of",
    "length", "same_as", "is_missing", "working_time", "all", "any", "none", "not", "field", "feature", "sum",
    "count", "min", "avg", "distinct", "first_seen", "lookup", "add", "sub", "mul", "div", "anomaly", "window",
    "period", "where", "by", "fiscal_year", "event_time", "amount", "currency", "attributes.x", "attributes",
    "attributes.", "jurisdiction", "allotment_id", "payee_name", "unit_level", "default", "segment_by", "from",
    "value", "until", "expires", "draft", "shadow", "live", "retired", "pass", "record", "warn", "prohibit",
    "prototype", "__class__", "timezone", "America/New_York", "../../etc/passwd", "Asia/", "UTC",
)  # fmt: skip
_TOKEN = re.compile(r"[^\W_][\w.$-]*|[\s]+|.", re.DOTALL)
_PAIR = re.compile(r"([\w.]+)(:\s+)([^\s,{}\[\]][^\n,{}\[\]]*)")


# --- one change ---


def _bytes(rng: random.Random, text: str) -> str:
    """A few characters replaced, taken out or put in. Surrogates stand for bytes that are no UTF-8."""
    characters = list(text)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(characters) + 1)
        characters[at : at + rng.randint(0, 2)] = [chr(rng.choice((rng.randrange(128), rng.randrange(0xDC80, 0xDCFF))))]
    return "".join(characters)


def _cut(rng: random.Random, text: str) -> str:
    return text[: rng.randrange(len(text) + 1)]


def _moved(units: Callable[[str], list[str]]) -> Mutation:
    """Takes out, doubles, swaps or brings together the units of a text."""

    def mutation(rng: random.Random, text: str) -> str:
        found = units(text)
        if len(found) < 2:
            return text
        one, other = rng.randrange(len(found)), rng.randrange(len(found))
        match rng.randrange(4):
            case 0:
                del found[one]
            case 1:
                found.insert(one, found[one])
            case 2:
                found[one], found[other] = found[other], found[one]
            case _:
                found[one] = found[other]
        return "".join(found)

    return mutation


def _tokens(text: str) -> list[str]:
    return _TOKEN.findall(text)


def _lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)


def _replaced(rng: random.Random, text: str) -> str:
    """A token becomes a hostile one."""
    found = [*_TOKEN.finditer(text)]
    if not found:
        return rng.choice(HOSTILE)
    at = rng.choice(found)
    return text[: at.start()] + rng.choice(HOSTILE) + text[at.end() :]


def _value(rng: random.Random, text: str) -> str:
    """The value of a key becomes a hostile one, or the value of another key."""
    pairs = [*_PAIR.finditer(text)]
    if not pairs:
        return text
    at = rng.choice(pairs)
    new = rng.choice(HOSTILE) if rng.random() < 0.6 else rng.choice(pairs)[3]
    return text[: at.start(3)] + new + text[at.end(3) :]


def _key(rng: random.Random, text: str) -> str:
    """A key becomes a hostile one, or another key of the file."""
    pairs = [*_PAIR.finditer(text)]
    if not pairs:
        return text
    at = rng.choice(pairs)
    new = rng.choice(HOSTILE) if rng.random() < 0.5 else rng.choice(pairs)[1]
    return text[: at.start(1)] + new + text[at.end(1) :]


def _number(rng: random.Random, text: str) -> str:
    """A number becomes another, which is mostly still one."""
    found = [*re.finditer(r"\d+", text)]
    if not found:
        return text
    at = rng.choice(found)
    new = rng.choice(("0", "1", "9999", "00", "31", "12", "9" * 16, "9" * 28, str(rng.randrange(10**6))))
    return text[: at.start()] + new + text[at.end() :]


def _repeated(rng: random.Random, text: str) -> str:
    """A line that stands there very often."""
    lines = _lines(text)
    if not lines:
        return text
    at = rng.randrange(len(lines))
    return "".join([*lines[:at], lines[at] * rng.choice((10, 100, 1000)), *lines[at:]])


MUTATIONS: tuple[Mutation, ...] = (
    _bytes, _cut, _moved(_tokens), _moved(_tokens), _moved(_lines), _moved(_lines), _replaced, _replaced,
    _value, _value, _value, _key, _key, _number, _number, _repeated,
)  # fmt: skip


# --- mutants ---


@dataclass(frozen=True, slots=True)
class Pack:
    """The files that mutants are made of, by path relative to the rule set; `small`: sets of one rule file each."""

    files: Mapping[str, bytes]
    small: tuple[Mapping[str, bytes], ...]


def pack() -> Pack:
    """The shipped pack, whole and in sets of one rule file with the reference data that it names."""
    directory = default_rules()
    files = {
        PurePosixPath(path).relative_to(directory.as_posix()).as_posix(): d for path, d in files_of(directory).items()
    }
    short = {
        path: b"".join(data.splitlines(keepends=True)[:_ROWS]) if path.endswith(".csv") else data
        for path, data in files.items()
    }
    beside = [path for path in files if "/" in path]
    kept = ("risk-points.yaml", "catalogue.yaml", "rules.lock")
    small = [
        {
            path: b"\n- name:".join(data.split(b"\n- name:")[: _TESTS + 1]),
            **{each: short[each] for each in beside if PurePosixPath(each).stem.encode() in data},
            **{each: files[each] for each in kept[: index % 7 == 0]},  # they are long, and say nothing of one file
        }
        for index, (path, data) in enumerate(files.items())
        if "/" not in path and path not in kept
    ]
    beside_rules = {"amount.yaml": files["amount.yaml"]}
    small += [{**beside_rules, each: files[each]} for each in kept]
    return Pack(files, tuple(small))


def mutant(of: Pack, seed: int, number: int, *, whole: bool = False) -> tuple[dict[str, bytes], str]:
    """The files of a mutant, the same for the same pack, seed and number, and the path of the (last) changed one."""
    rng = random.Random(f"{seed}:{number}")
    files = dict(of.files if whole else rng.choice(of.small))
    changed = ""
    for _ in range(1 if rng.random() < 0.9 else rng.randint(2, 4)):
        changed = rng.choice([*files])
        text = files[changed].decode("utf-8", "surrogateescape")
        for _ in range(rng.choice((1, 1, 1, 2, 3, 4))):
            text = rng.choice(MUTATIONS)(rng, text)
        # A lone surrogate becomes the byte that it stands for, or what UTF-8 does not allow.
        files[changed] = _encoded(text)
    return files, changed


def _encoded(text: str) -> bytes:
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


# --- what becomes of them ---


@dataclass
class Tally:
    """What became of mutants."""

    accepted: int = 0
    refused: int = 0
    codes: Counter[str] = field(default_factory=Counter)  # of errors: in how many mutants
    slowest: tuple[float, int] = (0.0, -1)  # seconds, number
    wrong: list[tuple[int, str]] = field(default_factory=list)  # number, what happened


def treat(files: Mapping[str, bytes], *, tests: bool) -> tuple[bool, list[Diagnostic]]:
    """Reads a rule set and, if it is accepted, checks it, judges a payment by it and, with `tests`, runs its tests.

    Whether it was accepted, and all diagnostics.
    """
    ruleset, found = read(files)
    if ruleset is not None:
        found = check(ruleset, files, AS_OF)
        program = Program(ruleset)
        Engine(program).assess([_PAYMENT])
        if tests:
            run_tests(ruleset)
    render(found, files)
    return ruleset is not None, found


def outside(found: Iterable[Diagnostic], files: Mapping[str, bytes]) -> Iterator[str]:
    """The diagnostics whose place is not in any file."""
    texts: dict[str, list[str]] = {}
    for each in found:
        span = each.span
        if span.file not in texts:
            texts[span.file] = lines_of(files.get(span.file, b""))
        lines = texts[span.file]
        there = span.file in files and 1 <= span.line <= len(lines) and span.length >= 1
        if not there or not 1 <= span.column <= len(lines[span.line - 1]) + 1:
            yield f"{each.code} at {span.file}:{span.line}:{span.column}"


def tally(of: Pack, seed: int, numbers: Iterable[int], *, whole: bool = False, timed: bool = True) -> Tally:
    """Treats mutants, one after the other; with `timed`, each must be done in time."""
    result = Tally()
    for number in numbers:
        files, _ = mutant(of, seed, number, whole=whole)
        started = time.perf_counter()
        try:
            accepted, found = treat(files, tests=number % _TESTED == 0)
        except Exception:  # what may not happen is counted, with its place
            result.wrong.append((number, traceback.format_exc(limit=-3)))
            continue
        took = time.perf_counter() - started
        result.slowest = max(result.slowest, (took, number))
        if timed and took > LONGEST_S:
            result.wrong.append((number, f"took {took:.1f} s"))
        result.wrong += [(number, place) for place in outside(found, files)]
        if accepted:
            result.accepted += 1
        else:
            result.refused += 1
            result.codes.update({each.code for each in found})
            if not found:
                result.wrong.append((number, "refused without a word"))
    return result


_PAYMENT = Instruction(
    instruction_id="PI-0001",
    event_time=datetime(2025, 3, 5, 10, 15, tzinfo=timezone(timedelta(hours=8))),
    jurisdiction="420100",
    budget_unit="101001",
    amount="1234567.00",
    payment_mode="authorised",
    settlement="official_card",
    unit_level="county",
    payee_name="酒店管理有限公司",
    payee_account="42002000000000002222",
    purpose="会议费",
)


def main() -> int:
    """The command; its exit status is 0, or 1 when a mutant was treated otherwise."""
    parser = argparse.ArgumentParser(prog="mutations", description=__doc__)
    parser.add_argument("--count", type=int, default=1500, help="how many mutants (default: 1500)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, metavar="N", help="the number of the first one")
    parser.add_argument("--whole", action="store_true", help="mutate the whole pack, not one file of it at a time")
    parser.add_argument("--only", type=int, metavar="N", help="show what becomes of one mutant")
    arguments = parser.parse_args()
    of = pack()
    if arguments.only is not None:
        files, changed = mutant(of, arguments.seed, arguments.only, whole=arguments.whole)
        sys.stdout.buffer.write(files[changed] + b"\n--- " + changed.encode() + b"\n")
        _, found = treat(files, tests=True)
        print(render(found, files) or "accepted")
        return 0
    started = time.perf_counter()
    result = tally(of, arguments.seed, range(arguments.first, arguments.first + arguments.count), whole=arguments.whole)
    took, number = result.slowest
    for at, what in result.wrong:
        print(f"mutant {at}: {what}")
    print(f"{arguments.count:,} mutants in {time.perf_counter() - started:.0f} s: accepted {result.accepted:,}")
    print(f"refused {result.refused:,}; slowest {took:.2f} s (mutant {number}); wrong {len(result.wrong):,}")
    print("errors: " + ", ".join(f"{code} {count:,}" for code, count in sorted(result.codes.items())))
    return 1 if result.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
