"""The command `demo`: everything at once, on a simulated treasury, with a view of it in the terminal."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

import typer

from treasury_watch.cli.console import console, failing_on, note

if TYPE_CHECKING:
    from rich.console import Group

    from treasury_watch.adapters.demo import Demo, Scoreboard
    from treasury_watch.adapters.wire import Published

STATUS_EVERY = 2.0  # seconds between status lines where stdout is no terminal
LINES_AT_ONCE = 5  # cases told between two looks; a flood is counted, not printed
_NEXT = (
    "The page is gone with the demo: --seconds 3600 keeps it for an hour.\n"
    "Next: docs/rule-guide.md writes a first rule, docs/importing.md brings in payments of your own, "
    "docs/operations.md runs it on Apache Kafka."
)
_STYLES = {"pass": "green", "warn": "yellow", "intercept": "red", "prohibit": "bold red"}


class Language(StrEnum):
    BOTH = "both"
    ZH = "zh"
    EN = "en"


def register(app: typer.Typer) -> None:
    app.command()(demo)


def demo(
    seconds: Annotated[
        float, typer.Option(min=1, max=86_400, help="Publish for so long, then end. The broker slows down as it fills.")
    ] = 120,
    lang: Annotated[Language, typer.Option(help="Language of the reasons.")] = Language.BOTH,
) -> None:
    """Shows it at work: a broker in memory, a worker, and a simulated treasury day, judged live in the terminal."""
    from treasury_watch.adapters.demo import Demo, DemoError
    from treasury_watch.adapters.embedded import NOTICE, EmbeddedBrokerError
    from treasury_watch.adapters.kafka.connection import BrokerError
    from treasury_watch.adapters.settings import SettingsError

    note(f"starting … {NOTICE}")
    with (
        failing_on(DemoError, EmbeddedBrokerError, BrokerError, SettingsError),
        _Stop() as stop,
        Demo() as running,
        _view(running, lang) as show,
    ):
        asyncio.run(stop.ending(running.run(seconds, show)))
        if stop.asked:
            note("stopping …")
    _summarise(running.board)


class _Stop:
    """Ctrl-C, a plain `kill` and a terminal that closes: noted when they come, heeded where the demo can end whole.

    An exception out of a signal's handler would come anywhere, also between the start of a child and the note of it.
    """

    def __init__(self) -> None:
        self.asked = False
        self._heed: Callable[[], object] = lambda: None
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            self._before[each] = signal.signal(each, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for each, handler in self._before.items():
            signal.signal(each, handler)

    def _note(self, *_: object) -> None:
        self.asked = True
        self._heed()

    async def ending(self, work: Coroutine[Any, Any, None]) -> None:
        """Does the work until it is done or a stop is asked for; one that was asked for before ends it at once."""
        task, loop = asyncio.ensure_future(work), asyncio.get_running_loop()
        self._heed = lambda: loop.call_soon_threadsafe(task.cancel)
        if self.asked:
            task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            if not self.asked:
                raise
        finally:
            self._heed = lambda: None


@contextmanager
def _view(running: Demo, lang: Language) -> Iterator[Callable[[Scoreboard], None]]:
    if not sys.stdout.isatty():
        typer.echo("\n".join(_links(running)))
        sys.stdout.flush()
        yield _Lines(lang)
        return
    from rich.live import Live

    with Live(_screen(running, lang), console=console(), auto_refresh=False) as live:
        yield lambda board: live.update(_screen(running, lang), refresh=True)


class _Lines:
    """The view where stdout is no terminal: a status line now and then, and every case as it comes."""

    def __init__(self, lang: Language) -> None:
        self._lang = lang
        self._told = 0
        self._next_status = STATUS_EVERY

    def __call__(self, board: Scoreboard) -> None:
        new = board.held - self._told
        self._told = board.held
        for case in list(board.cases)[-min(new, LINES_AT_ONCE) :] if new else []:
            typer.echo(f"{_verdict(case)}  {_payment(case)}  {'  '.join(_reasons(case, self._lang))}")
        if board.seconds >= self._next_status:
            self._next_status += STATUS_EVERY
            typer.echo(_status(board))
        sys.stdout.flush()


def _screen(running: Demo, lang: Language) -> Group:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    from treasury_watch.adapters.embedded import NOTICE
    from treasury_watch.domain.verdict import VERDICT_LABELS

    board = running.board
    counts = Table.grid(padding=(0, 4))
    for _ in board.verdicts:
        counts.add_column(justify="right")
    counts.add_row(*(Text(f"{VERDICT_LABELS[verdict]} {verdict}", _STYLES[verdict]) for verdict in board.verdicts))
    counts.add_row(*(Text(f"{count:,}", f"bold {_STYLES[verdict]}") for verdict, count in board.verdicts.items()))
    cases = Table(
        title="最近拦截 · latest intercepts", title_justify="left", expand=True, show_lines=lang is Language.BOTH
    )
    cases.add_column("verdict", width=9)
    cases.add_column("payment", ratio=2)
    cases.add_column("reason", ratio=3)
    links = Text("\n".join(_links(running)))
    room = console().height - 13 - len(links.wrap(console(), console().width))
    for case in islice(reversed(board.cases), max(room // (3 if lang is Language.BOTH else 2), 1)):
        reasons = "\n".join(_reasons(case, lang))
        cases.add_row(Text(_verdict(case), _STYLES[case.verdict]), _payment(case), reasons)
    return Group(
        Text(f"国库动态监控 treasury-watch · {NOTICE}", "bold"),
        Text(_progress(board)),
        counts,
        cases,
        links,
        Text("Ctrl-C ends", "dim"),
    )


def _links(running: Demo) -> list[str]:
    """Where to look while it runs, a line each."""
    from treasury_watch.adapters.settings import PREFIX

    lines = [
        f"open {running.web}/status in a browser · 用浏览器打开",
        f"metrics {running.web}/metrics  brokers {running.settings.bootstrap_servers}",
    ]
    if running.prometheus:
        lines.append(f"Prometheus {running.prometheus}/graph?g0.expr=treasury_watch_instructions_total&g0.tab=0")
    if running.cases:
        lines.append(f"cases in PostgreSQL  {PREFIX}DATABASE_URL_FILE={running.cases} {_program()} cases list")
    else:
        lines.append(f"no cases in PostgreSQL: {running.no_cases}")
    return lines


def _program() -> str:
    """How this program is called from where one is."""
    return sys.argv[0] if Path(sys.argv[0]).name == "treasury-watch" else f"{sys.executable} -m treasury_watch"


def _status(board: Scoreboard) -> str:
    verdicts = "  ".join(f"{verdict} {count:,}" for verdict, count in board.verdicts.items())
    return f"{_progress(board)}  {verdicts}"


def _progress(board: Scoreboard) -> str:
    clock = f"{board.simulated:%Y-%m-%d %H:%M}" if board.simulated else "waiting for the worker"
    refused = f", {board.refused.total():,} refused" if board.refused else ""
    done = f"{board.decisions:,} of {board.published:,} decided{refused}"
    return "  ".join(filter(None, (clock, done, f"{board.per_second:,.0f}/s", _latency(board))))


def _latency(board: Scoreboard) -> str:
    p50, p99 = board.latency_ms(0.5), board.latency_ms(0.99)
    return "" if p50 is None or p99 is None else f"p50 {p50:.0f} ms  p99 {p99:.0f} ms"


def _verdict(case: Published) -> str:
    from treasury_watch.domain.verdict import VERDICT_LABELS

    return f"{VERDICT_LABELS[case.verdict]} {case.verdict}"


def _payment(case: Published) -> str:
    instruction = case.instruction
    payer = (instruction and instruction.budget_unit_name) or case.budget_unit
    payee = (instruction and instruction.payee_name) or "–"
    return f"{case.event_time:%m-%d %H:%M} {payer} → {payee} {case.amount}"


def _reasons(case: Published, lang: Language) -> list[str]:
    """The reasons of the live hits that held the payment, worst first."""
    from treasury_watch.domain.verdict import SEVERITY

    live = [hit for hit in case.hits if hit.mode == "live" and hit.excepted is None]
    worst = max(SEVERITY[hit.action] for hit in live)
    told = []
    for hit in live:
        if SEVERITY[hit.action] == worst:
            texts = {Language.ZH: [hit.reason.zh], Language.EN: [hit.reason.en]}.get(
                lang, [hit.reason.zh, hit.reason.en]
            )
            told += [f"{hit.rule} {texts[0]}", *texts[1:]]
    return told


def _summarise(board: Scoreboard) -> None:
    verdicts = ", ".join(f"{verdict} {count:,}" for verdict, count in board.verdicts.items())
    typer.echo(
        f"{board.seconds:.0f} s: {board.published:,} payments published, {board.decisions:,} decisions ({verdicts}), "
        f"{board.refused.total():,} refused"
    )
    if board.latencies:
        typer.echo(f"from producing a payment to reading its decision: {_latency(board)}")
    typer.echo(_NEXT)
