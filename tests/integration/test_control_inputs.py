"""Control inputs on Apache Kafka: when they apply is on record, and every decision is by what the record says."""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
import signal
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.builders import SHANGHAI, make_instruction
from tests.integration.installation import PACK, Installation, headers_of, payments, until, value_of
from treasury_watch.adapters import bundles
from treasury_watch.adapters.approvals import Approvals
from treasury_watch.adapters.bundles import bundle_of
from treasury_watch.adapters.kafka.control import topic
from treasury_watch.adapters.kafka.control.applied import Disposed, Switched, Unused, applied_log
from treasury_watch.adapters.kafka.control.auditing import NoDecision, audit
from treasury_watch.adapters.kafka.control.past import Past
from treasury_watch.adapters.kafka.control.publishing import (
    publish_rules,
    publish_table,
    roll_back,
    table_message,
)
from treasury_watch.adapters.kafka.control.reference import encode
from treasury_watch.adapters.kafka.control.status import status
from treasury_watch.adapters.kafka.partitioner import partitioner_of
from treasury_watch.adapters.kafka.publish import payments_producer
from treasury_watch.adapters.messages import DispositionMessage
from treasury_watch.adapters.wire import encode_decision
from treasury_watch.domain.verdict import Decision

pytestmark = pytest.mark.kafka

NO_KEYS = Approvals()
KEY = "420100"
DECIDED = datetime(2025, 3, 6, 9, 0, tzinfo=SHANGHAI)
PARTITION = partitioner_of("murmur2", 4)(KEY.encode())

TABLE = """\
table: favoured
owner: a@example.org
basis: a circular
key: [budget_unit]
columns: {budget_unit: text, limit: money}
"""
BY_TABLE = """
- id: INT-004
  revision: 1
  title: {zh: 单位限额, en: Limit of the unit}
  action: warn
  features: {allowed: {lookup: favoured, key: budget_unit, column: limit}}
  when: {feature: allowed, gt: 100.00}
  reason: {zh: "{allowed}", en: "{allowed}"}
"""


def rules(folder: Path, limit: str = "50000.00", extra: str = "") -> Path:
    """The pack with another limit."""
    shutil.copytree(PACK, folder)
    text = (folder / "rules.yaml").read_text(encoding="utf-8")
    (folder / "rules.yaml").write_text(text.replace("50000.00", limit) + extra, encoding="utf-8")
    return folder


async def all_judged_by(installation: Installation, ruleset: str) -> None:
    async def so() -> bool:
        found = await status(installation.settings, NO_KEYS)
        return all(each.standing is not None and each.standing.published == ruleset for each in found.partitions)

    await until(so)


async def past_of(installation: Installation) -> dict[tuple[int, int], bytes]:
    """Source → decision without its time, when every payment is judged again by the record; checks the digests of the
    running worker, too.
    """
    found: dict[tuple[int, int], bytes] = {}
    states = json.loads(installation.workers[-1].get("/state")[1])
    for partition in range(4):
        past = await Past.of(installation.settings, partition, NO_KEYS)
        async for each in past.judge(1 << 60):
            if isinstance(each.outcome, Decision):
                found[partition, each.offset] = encode_decision(each.outcome)
        digest = "sha256:" + hashlib.sha256(past.engine.dump()).hexdigest()
        assert states[str(partition)]["digest"] == digest
    return found


def published(decisions: list[Any]) -> dict[tuple[int, int], bytes]:
    found = {}
    for record in decisions:
        headers = headers_of(record)
        value = value_of(record)
        del value["decided_at"]
        source = int(headers["source_partition"]), int(headers["source_offset"])
        assert source not in found
        found[source] = value
    return found


def same(found: dict[tuple[int, int], bytes]) -> dict[tuple[int, int], dict[str, Any]]:
    return {source: {k: v for k, v in json.loads(each).items() if k != "decided_at"} for source, each in found.items()}


async def test_rules_change_while_payments_come_and_workers_are_killed_and_every_decision_is_by_the_record(
    installation: Installation, tmp_path: Path
) -> None:
    settings = installation.settings
    stop, paid = asyncio.Event(), 0

    async def load() -> None:
        nonlocal paid
        while not stop.is_set():
            await installation.pay(payments(200, start=paid))
            paid += 200
            await asyncio.sleep(0.2)

    first = await installation.worker().ready()
    paying = asyncio.create_task(load())
    new, _ = bundle_of(rules(tmp_path / "new", "40000.00"))
    await publish_rules(settings, NO_KEYS, new)
    await all_judged_by(installation, new.ruleset)
    old = (await applied_log(settings, 0)).entries[0].applied.standing.published
    await roll_back(settings, NO_KEYS, old, None)
    await asyncio.sleep(0.4)
    first.stop(signal.SIGKILL)
    await installation.worker().ready()
    await all_judged_by(installation, old)
    stop.set()
    await paying
    decisions = published(await installation.read("decisions", until=paid))
    await installation.committed()

    assert len(decisions) == paid
    assert {each["ruleset"] for each in decisions.values()} == {old, new.ruleset}  # type: ignore[index]
    assert same(await past_of(installation)) == decisions
    log = await applied_log(settings, 1)
    assert [type(each.applied) for each in log.entries] == [Switched] * 3


async def test_what_was_refused_is_of_no_matter_once_rules_are_rolled_back_to_those_in_force(
    installation: Installation, tmp_path: Path
) -> None:
    settings = installation.settings
    worker = await installation.worker().ready()
    old = (await applied_log(settings, 0)).entries[0].applied.standing.published
    new, _ = bundle_of(rules(tmp_path / "new", "40000.00"))
    wrong = msgspec.structs.replace(new, ruleset="sha256:" + "0" * 64)
    await topic.send(settings, "rules", wrong.ruleset.encode(), bundles.encode(wrong))
    await until(lambda: worker.metrics()['treasury_watch_control_inputs_total{input="rules",outcome="refused"}'] == 4)
    found = await status(settings, NO_KEYS)
    assert [(each.partition, each.refused[0][1]) for each in found.behind] == [(0, 1), (1, 1), (2, 1), (3, 1)]

    await roll_back(settings, NO_KEYS, old, None)
    found = await status(settings, NO_KEYS)
    assert found.current is not None
    assert (found.current.ruleset, found.behind) == (old, [])


async def test_a_released_payment_counts_and_a_returned_one_no_more_also_after_a_crash(
    installation: Installation, tmp_path: Path
) -> None:
    extra = """
- id: INT-005
  revision: 1
  title: {zh: 合计, en: Total}
  action: record
  features: {total: {sum: amount, by: [budget_unit], window: 24h}}
  when: {feature: total, gt: 0.00}
  reason: {zh: "{total}", en: "{total}"}
"""
    made = rules(tmp_path / "total", extra=extra)
    worker = await installation.worker(rules_dir=made).ready()

    async def total(number: int) -> str:
        await installation.pay([make_instruction(instruction_id=f"T{number}", amount="1.00", jurisdiction=KEY)])
        (found,) = [
            value_of(each)
            for each in await installation.read("decisions", until=number + 1)
            if each.key == f"T{number}".encode()
        ]
        return next(str(hit["evidence"]["total"]) for hit in found["hits"] if hit["rule"] == "INT-005")

    async def decide(word: Any, number: int, instruction: str = "HELD") -> None:
        message = DispositionMessage(
            disposition_id=f"D{number}", instruction_id=instruction, jurisdiction=KEY, decision_id=answered,
            disposition=word, decided_by="王芳", decided_at=DECIDED, reason="核实无误",
        )  # fmt: skip
        value = message.model_dump_json().encode()
        await topic.send(installation.settings, "dispositions", KEY.encode(), value, PARTITION)

        async def looked_at() -> bool:
            log = await applied_log(installation.settings, PARTITION)
            return log.seen.dispositions >= number

        await until(looked_at)

    held = make_instruction(instruction_id="HELD", amount="60000.00", jurisdiction=KEY)
    await installation.pay([held])
    (decision,) = await installation.read("decisions", until=1)
    answered = value_of(decision)["decision_id"]
    assert await total(1) == "1.00"
    await decide("release", 0)
    assert await total(2) == "60002.00"
    worker.stop(signal.SIGKILL)
    await installation.worker(rules_dir=made).ready()
    assert await total(3) == "60003.00"
    await decide("return", 1)
    assert await total(4) == "4.00"
    await decide("release", 2, "NOBODY")
    assert await total(5) == "5.00"
    (letter,) = await installation.read("dead-letters", until=1)
    assert headers_of(letter)["reason"] == "unknown_instruction"
    assert headers_of(letter)["source_topic"] == installation.settings.topic("dispositions")
    log = await applied_log(installation.settings, PARTITION)
    assert [type(each.applied) for each in log.entries] == [Switched, Disposed, Disposed, Unused]
    await installation.committed()
    decisions = await installation.read("decisions", until=6)
    assert same(await past_of(installation)) == published(decisions)
    for each in decisions:
        assert (await audit(installation.settings, NO_KEYS, value_of(each)["decision_id"])).equal


async def test_reference_data_replaces_a_table_and_what_does_not_go_with_the_rules_is_refused_aloud(
    installation: Installation, tmp_path: Path
) -> None:
    made = rules(tmp_path / "table", extra=BY_TABLE)
    (made / "tables").mkdir()
    (made / "tables" / "favoured.yaml").write_text(TABLE, encoding="utf-8")
    (made / "tables" / "favoured.csv").write_text("budget_unit,limit\n101001,5.00\n", encoding="utf-8")
    settings = installation.settings
    worker = await installation.worker(rules_dir=made).ready()
    await installation.pay([make_instruction(instruction_id="BEFORE", jurisdiction=KEY)])
    await installation.read("decisions", until=1)

    message = await table_message(
        settings, NO_KEYS, "favoured", b"budget_unit,limit\n101001,500.00\n", None, changes=False
    )
    await publish_table(settings, NO_KEYS, message)
    broken = msgspec.structs.replace(message, after=0, put=b"")
    await topic.send(settings, "reference", b"favoured", encode(broken))
    await until(
        lambda: worker.metrics()['treasury_watch_control_inputs_total{input="reference",outcome="refused"}'] == 4
    )
    await installation.pay([make_instruction(instruction_id="AFTER", jurisdiction=KEY)])
    before, after = [value_of(each) for each in await installation.read("decisions", until=2)]
    assert (before["verdict"], after["verdict"]) == ("pass", "warn")
    assert before["reference"] != after["reference"]
    found = await status(settings, NO_KEYS)
    assert [each.partition for each in found.behind] == [0, 1, 2, 3]
    assert found.behind[0].refused == ((settings.topic("reference"), 1, "a table whose rows are cut off"),)
    await installation.committed()
    decisions = await installation.read("decisions", until=2)
    assert same(await past_of(installation)) == published(decisions)

    audited = [await audit(settings, NO_KEYS, each["decision_id"]) for each in (before, after)]
    assert [each.equal for each in audited] == [True, True]
    assert [each.standing.reference is not None for each in audited] == [False, True]
    (rule,) = audited[1].rules
    assert rule.text.startswith("- id: INT-004\n  revision: 1\n")
    assert rule.explanation.hit is not None
    assert rule.explanation.hit.evidence["allowed"] == "500.00"
    forged = after | {"decision_id": "forged", "verdict": "pass"}
    async with payments_producer(settings) as producer:
        await producer.send_and_wait(
            settings.topic("decisions"),
            json.dumps(forged).encode(),
            b"AFTER",
            PARTITION,
            headers=list(decisions[1].headers),
        )
    found = await audit(settings, NO_KEYS, "forged")
    assert {name for name, _, _ in found.differences} == {"decision_id", "verdict"}
    with pytest.raises(NoDecision):
        await audit(settings, NO_KEYS, "nothing")
