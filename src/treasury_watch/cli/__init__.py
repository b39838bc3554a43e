"""The command line: results on stdout, progress and diagnostics on stderr.

Exit status 0 is clean, 1 findings, 2 wrong use or broken input.

Commands import what they need when they run, so that `--help` is there at once.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from treasury_watch import __version__
from treasury_watch.cli import (
    acls,
    audit,
    cases,
    demo,
    disposition,
    files,
    kafka,
    keys,
    model,
    reference,
    rules,
    sink,
    state,
    verify,
)
from treasury_watch.cli.console import Failure

FINDINGS, WRONG, INTERRUPTED, PIPE_CLOSED = 1, 2, 130, 141  # the last two as shells say them: 128 + signal

app = typer.Typer(
    help="国库动态监控 · Real-time monitoring of treasury payments: one verdict for every payment instruction.",
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
demo.register(app)
kafka.register(app)
sink.register(app)
cases.register(app)
acls.register(app)
keys.register(app)
verify.register(app)
files.register(app)
rules.register(app)
reference.register(app)
disposition.register(app)
audit.register(app)
state.register(app)
model.register(app)


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Show the version and leave.")] = False,
) -> None:
    if version:
        typer.echo(__version__)
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs one command and ends the process with its exit status."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # closed by the caller
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal without Chinese is no reason to fail
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: Sequence[str]) -> int:
    """Runs one command; returns its exit status. What the user can put right is told in one clear line on stderr."""
    command = typer.main.get_command(app)
    try:
        with command.make_context("treasury-watch", list(arguments)) as context:
            command.invoke(context)
        sys.stdout.flush()
    except typer.Exit as leave:
        return leave.exit_code
    except (Failure, OSError) as error:
        if isinstance(error, BrokenPipeError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else the flush at exit fails again
            return PIPE_CLOSED
        _complain(_told(error))
        return WRONG
    except typer.TyperException as error:
        _complain(_usage(error))
        return WRONG
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    return 0


def _told(error: Failure | OSError) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror if error.filename is None else f"{error.filename}: {error.strerror}"
    return str(error)


def _usage(error: typer.TyperException) -> str:
    context = getattr(error, "ctx", None)
    path = context.command_path if context else "treasury-watch"
    return f"{error.format_message().rstrip('.')}; try: {path} --help"


def _complain(text: str) -> None:
    typer.echo(text if "\n" in text else f"error: {text}", err=True)
