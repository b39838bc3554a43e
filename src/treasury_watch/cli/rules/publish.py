"""`rules publish`: a rule set for all workers."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import typer

from treasury_watch.cli.console import Json, emit_json, failing_on, note
from treasury_watch.cli.kafka import settings_of_environment, talking
from treasury_watch.cli.rules.bundling import Source, bundle_from, configured_approvals

if TYPE_CHECKING:
    from treasury_watch.adapters.bundles import Bundle
    from treasury_watch.rules.schema import RuleSet


def publish(source: Source, as_json: Json = False) -> None:
    """Publishes a rule set: workers judge by it within seconds, without a restart.

    It is checked and tested first. Exit status 1, and nothing is sent, when `rules check` or `rules test` finds
    anything.
    """
    from treasury_watch.adapters.bundles import BundleError
    from treasury_watch.adapters.kafka.control.publishing import NotPublished, publish_rules
    from treasury_watch.adapters.tables import TableError
    from treasury_watch.rules import RuleErrors

    settings = settings_of_environment()
    approvals = configured_approvals(settings)
    bundle, ruleset = bundle_from(source)
    findings = _findings(bundle, ruleset)
    if findings:
        for each in findings:
            note(each)
        note(f"{source}: not published, since it has findings")
        raise typer.Exit(1)
    if not approvals.required:
        note("no keys are configured (TREASURY_WATCH_AUTHOR_KEYS): workers take rules without signatures")
    with failing_on(NotPublished, BundleError, RuleErrors, TableError):
        done = talking(lambda: publish_rules(settings, approvals, bundle))
    topic = settings.topic("rules")
    if as_json:
        emit_json({"outcome": done.outcome, "ruleset": done.ruleset, "topic": topic, "offset": done.offset})
    elif done.outcome == "published":
        typer.echo(f"{done.ruleset} published: offset {done.offset} of {topic}; `rules status` shows where it is live")
    else:
        typer.echo(f"{done.ruleset} is the current rule set already, since offset {done.offset} of {topic}")


def _findings(bundle: Bundle, ruleset: RuleSet) -> list[str]:
    """What `rules check` and `rules test` say, each as text; of tests only where rules are in good keeping."""
    from treasury_watch.adapters.bundles import texts
    from treasury_watch.adapters.rulefiles import check_files
    from treasury_watch.engine.ruletest import run_tests
    from treasury_watch.rules import render

    files = {path: text.encode() for path, text in texts(bundle).items()}
    found = check_files(files, datetime.now().astimezone().date())
    return [render(found, files)] if found else [str(each) for each in run_tests(ruleset)]
