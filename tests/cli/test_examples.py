"""The examples for a repository of rules name commands, options and hooks that there are."""

from __future__ import annotations

import re
import shlex
from typing import Any

import pytest
import typer
import yaml

from tests.conftest import ROOT
from treasury_watch.cli import app

EXAMPLES = ROOT / "docs" / "examples"
HOOKS = ROOT / ".pre-commit-hooks.yaml"


def commands_of(text: str) -> list[list[str]]:
    """The arguments of each call of treasury-watch in a shell script."""
    found = re.findall(r"^\s*treasury-watch ([^|>\n]*?)(?: > .*| \|\| .*)?$", text, re.MULTILINE)
    return [shlex.split(each) for each in found]


def workflow() -> Any:
    return yaml.safe_load((EXAMPLES / "rules-ci.yml").read_text("utf-8"))


def scripts() -> list[str]:
    hooks = [" ".join([each["entry"], *each["args"]]) for each in yaml.safe_load(HOOKS.read_text("utf-8"))]
    return [step["run"] for step in workflow()["jobs"]["rules"]["steps"] if "run" in step] + hooks


def test_the_workflow_checks_tests_compares_and_backtests() -> None:
    called = {arguments[1] for script in scripts() for arguments in commands_of(script)}
    assert called == {"check", "test", "diff", "backtest"}


@pytest.mark.parametrize("script", [each for each in scripts() if "treasury-watch rules" in each])
def test_every_command_of_the_examples_can_be_parsed(script: str) -> None:
    group = typer.main.get_command(app)
    calls = commands_of(script)
    assert calls
    for arguments in calls:
        command: Any = group
        context = group.make_context("treasury-watch", list(arguments))
        while hasattr(command, "commands"):
            name, command, rest = command.resolve_command(context, [*arguments])
            arguments = rest
            if not hasattr(command, "commands"):
                command.make_context(name, list(rest), parent=context)


def test_the_hooks_of_the_example_are_those_that_there_are() -> None:
    example = yaml.safe_load((EXAMPLES / "pre-commit-config.yaml").read_text("utf-8"))
    used = {hook["id"] for repo in example["repos"] for hook in repo["hooks"]}
    assert used == {each["id"] for each in yaml.safe_load(HOOKS.read_text("utf-8"))}
