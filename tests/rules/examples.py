"""Pages whose examples are run: what stands in their code blocks, carried out in order in an empty directory.

The HTML comment above a block says what is done with it; on the page it is not seen.

| comment | block | done |
|---|---|---|
| `write PATH` | any | the block becomes the file |
| `edit PATH` | diff | the lines with `-` give way to those with `+`; `@@` stands between two places |
| `shows PATH` | any | the file has these lines |
| `run`, `run, exit N` | console | commands after `$ ` and what they print; N: status of the last one, else 0 |

In what is compared or gives way, `…` stands for any text in a line, and a line of its own for any lines.

`python -m tests.rules.examples PAGE` writes anew below the commands of a page what they print now, where it differs.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

from treasury_watch.cli import run as run_command

_FENCE = re.compile(
    r"^(?:<!-- (?P<mark>[^\n]*) -->\n)?```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)
_COMMAND = r"(?m)^\$ ((?:.*\\\n)*.*)\n((?:(?!\$ ).*\n)*)"
_SHORTER = (
    (r"^[\d.,]+ s, [\d,]+ instructions/s$", "…"),
    (r"sha256:[0-9a-f]{64}", "sha256:…"),
    (r"^(labels name rules that are not in the set: .{20}).*", r"\1…"),
    (r" +$", ""),
)
COLUMNS = "100"
_GIT = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "author"), ("EMAIL", "author@example.gov"), ("DATE", "2026-04-01T09:00:00+08:00"))
}


@dataclass(frozen=True, slots=True)
class Block:
    """A code block and the comment above it, or "" where there is none. `line` is that of its first line."""

    mark: str
    language: str
    text: str
    line: int


@dataclass(frozen=True, slots=True)
class Ran:
    """A command, what the page says that it prints, what it printed, and its exit status."""

    command: str
    told: str
    printed: str
    status: int


def blocks_of(page: str) -> list[Block]:
    return [_block(page, found) for found in _FENCE.finditer(page)]


def _block(page: str, found: re.Match[str]) -> Block:
    return Block(found["mark"] or "", found["language"], found["text"], page.count("\n", 0, found.start("text")) + 1)


def apply(block: Block) -> list[Ran]:
    """Does in the current directory what the block's comment says; the commands that it ran, with what they printed."""
    verb, _, rest = block.mark.partition(" ")
    if verb == "write":
        Path(rest).parent.mkdir(parents=True, exist_ok=True)
        Path(rest).write_text(block.text, "utf-8")
    elif verb == "edit":
        for part in block.text.split("@@\n"):
            _edit(Path(rest), part)
    elif verb == "shows":
        assert re.search(pattern(block.text), Path(rest).read_text("utf-8")), f"line {block.line}: not in {rest}"
    elif verb.rstrip(",") == "run":
        ran = [Ran(command, told, *run(command)) for command, told in _commands(block.text)]
        statuses = [each.status for each in ran]
        expected = [*[0] * (len(ran) - 1), int(rest.removeprefix("exit ") or 0)]
        assert statuses == expected, f"line {block.line}: exit {statuses}, told {expected}: {ran[-1].printed}"
        return ran
    else:
        raise AssertionError(f"line {block.line}: no comment says how this block is checked")
    return []


def renewed(page: str) -> str:
    """The page with what its commands print now, done in the current directory; what agrees stays as it is."""
    pieces, end = [], 0
    for found in _FENCE.finditer(page):
        if found["language"] == "text":
            continue
        ran = apply(_block(page, found))
        if ran:
            commands = re.findall(_COMMAND, found["text"])
            told = [each.told if agree(each) else shortened(each.printed) for each in ran]
            body = "".join(f"$ {command}\n{text}" for (command, _), text in zip(commands, told, strict=True))
            pieces += [page[end : found.start("text")], body]
            end = found.end("text")
    return "".join([*pieces, page[end:]])


def shortened(printed: str) -> str:
    """What a page shows of it: without hashes, seconds and what is very long."""
    for old, new in _SHORTER:
        printed = re.sub(old, new, printed, flags=re.MULTILINE)
    return printed


def agree(ran: Ran) -> bool:
    """Whether a command printed what the page says."""
    return re.fullmatch(pattern(ran.told), ran.printed) is not None


def pattern(told: str) -> str:
    """A regular expression of text in which `…` stands for anything."""
    return "".join(map(_line, told.splitlines()))


def _line(told: str) -> str:
    return r"(?:.*\n)*" if told == "…" else ".*".join(map(re.escape, told.split("…"))) + r" *\n"


def run(command: str) -> tuple[str, int]:
    """What a command prints, on both of its outputs, and its exit status."""
    if not command.startswith("treasury-watch "):
        done = subprocess.run(
            ["bash", "-c", command], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=os.environ | _GIT
        )
        return done.stdout, done.returncode
    command, _, file = command.partition(" > ")
    out, both = StringIO(), StringIO()
    with redirect_stdout(out if file else both), redirect_stderr(both):
        status = run_command(shlex.split(command)[1:])
    if file:
        Path(file).write_text(out.getvalue(), "utf-8")
    return both.getvalue(), status


def _commands(text: str) -> list[tuple[str, str]]:
    return [(command.replace("\\\n", " "), told) for command, told in re.findall(_COMMAND, text)]


def _edit(path: Path, part: str) -> None:
    lines = part.splitlines(keepends=True)
    old = "".join(line[1:] for line in lines if line[0] in " -")
    new = "".join(line[1:] for line in lines if line[0] in " +")
    text = path.read_text("utf-8")
    found = [*re.finditer(pattern(old), text)]
    assert len(found) == 1, f"{path} has {len(found)} times:\n{old}"
    path.write_text(f"{text[: found[0].start()]}{new}{text[found[0].end() :]}", "utf-8")


def main(path: Path) -> None:
    page = path.read_text("utf-8")
    with TemporaryDirectory() as folder, chdir(folder):
        now = renewed(page)
    path.write_text(now, "utf-8")


if __name__ == "__main__":
    os.environ["COLUMNS"] = COLUMNS
    main(Path(sys.argv[1]).resolve())
