"""What a worker judges by when it starts: what was published or, without keys, the rules of its directory.

Where no keys are configured a worker publishes the rules of its directory, so that when they apply is on record like
anything else. It does so if nothing was published yet, or if the current set came from a worker's directory, too, and
its own has rules that were never there: then somebody has changed the directory. What somebody published stays.
"""

from __future__ import annotations

import logging
from pathlib import Path

from treasury_watch.adapters.approvals import Approvals
from treasury_watch.adapters.bundles import Bundle, bundle_of, encode
from treasury_watch.adapters.kafka.connection import BrokerError, NoAnswer
from treasury_watch.adapters.kafka.control.applied import applied_log
from treasury_watch.adapters.kafka.control.inputs import ControlInputs, Ready
from treasury_watch.adapters.kafka.control.topic import send
from treasury_watch.adapters.kafka.control.versions import RuleVersions
from treasury_watch.adapters.rulefiles import default_rules
from treasury_watch.adapters.settings import Settings

log = logging.getLogger(__name__)


async def begin(settings: Settings, approvals: Approvals) -> ControlInputs:
    """Control inputs that were read up to now, with something to judge by.

    Raises BrokerError when there is nothing, or the brokers fail; RuleErrors, BundleError and OSError when the rules of
    the directory cannot be used.
    """
    inputs = ControlInputs(settings, approvals)
    await inputs.read()
    if not approvals.required:
        log.warning("no keys are configured: rules and reference data are taken without signatures")
        await _offer(settings, inputs)
    if inputs.newest is None:
        await _go_on(settings, inputs)
    if inputs.newest is None:
        why = "".join(f"; offset {each.input.offset}: {each.reason}" for each in inputs.refused[-3:])
        raise BrokerError(
            f"{settings.topic('rules')} has no rule set that can be judged by{why}. Try: treasury-watch rules publish"
        )
    return inputs


def is_new(bundle: Bundle, versions: RuleVersions) -> bool:
    """Whether the rules of a directory are to be published. Says what is judged by instead, if they are not."""
    current = versions.current
    if current is None:
        return True
    if current.ruleset == bundle.ruleset:
        return False
    if current.origin == "directory" and versions.held_at(bundle.ruleset) is None:
        return True
    log.warning(
        "the rules of this worker's directory, %s, are not used: judged is by %s, which %s. To change that: "
        "treasury-watch rules %s",
        bundle.ruleset,
        current.ruleset,
        "came later" if current.origin == "directory" else "was published",
        "publish" if versions.held_at(bundle.ruleset) is None else f"rollback {bundle.ruleset}",
    )
    return False


async def _offer(settings: Settings, inputs: ControlInputs) -> None:
    current = inputs.versions.current
    if settings.rules_dir is None and current is not None and current.origin != "directory":
        return  # the rules that came with it are for a start without any
    bundle, _ = bundle_of(Path(settings.rules_dir or default_rules()), "directory")
    if not is_new(bundle, inputs.versions):
        return
    try:
        offset = await send(settings, "rules", bundle.ruleset.encode(), encode(bundle))
    except NoAnswer:
        raise
    except BrokerError as error:
        if current is None:
            raise BrokerError(f"{error}: have rules published by somebody who may, with rules publish") from error
        log.warning("the rules of this worker's directory, %s, are not used: %s", bundle.ruleset, error)
        return
    log.info("the rules of this worker's directory, %s, are published at offset %d", bundle.ruleset, offset)
    await inputs.read()


async def _go_on(settings: Settings, inputs: ControlInputs) -> None:
    """Has judged by what was judged by, where the newest cannot be."""
    for partition in range(settings.partitions):
        standing = (await applied_log(settings, partition)).standing
        if standing is not None:
            inputs.newest = Ready(standing.rules, standing, await inputs.program_of(standing))
            return
