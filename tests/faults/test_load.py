"""The load of the trials: the same for a seed, and of every sort."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from types import SimpleNamespace

from scripts.fault_trials.load import messages
from scripts.fault_trials.trial import RULES
from scripts.fault_trials.undisturbed import Judge
from treasury_watch.adapters.kafka.partitioner import partitioner_of
from treasury_watch.adapters.rulefiles import load
from treasury_watch.adapters.settings import Settings
from treasury_watch.adapters.wire import decode_decision
from treasury_watch.domain.verdict import REASONS, VERDICTS
from treasury_watch.engine import Program

NOW_MS = 1_750_000_000_000


def test_a_seed_gives_the_same_messages_and_another_seed_others() -> None:
    assert list(islice(messages(7, 4), 500)) == list(islice(messages(7, 4), 500))
    assert list(islice(messages(7, 4), 500)) != list(islice(messages(8, 4), 500))


def test_keys_lead_to_all_partitions() -> None:
    partition_of = partitioner_of("murmur2", 4)
    assert {partition_of(each.key) for each in islice(messages(1, 4), 500) if each.key} == {0, 1, 2, 3}


def test_every_reason_and_verdict_comes_of_it_and_most_of_it_is_accepted() -> None:
    reasons: Counter[str] = Counter()
    verdicts: Counter[str] = Counter()
    program = Program(load(RULES), max_lateness=Settings().max_lateness)
    sent = list(islice(messages(1, 4), 3000))
    for partition in range(4):
        payments = [
            SimpleNamespace(offset=offset, timestamp=NOW_MS, key=each.key, value=each.value)
            for offset, each in enumerate(sent)
            if each.partition == partition
        ]
        run = Judge(partition, {"": program}, Settings()).run(payments)
        reasons.update(each.headers["reason"] for each in run.outputs["dead-letters"])
        verdicts.update(decode_decision(each.value or b"").verdict for each in run.outputs["decisions"])
    assert set(reasons) == set(REASONS)
    assert set(verdicts) == set(VERDICTS)
    assert min(verdicts.values()) > 50
    assert verdicts.total() > 0.75 * len(sent)
