"""The worker as a user runs it, on the embedded broker: the quick tests. They share one worker, so ids differ."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.builders import make_instruction
from tests.integration.installation import Installation, headers_of, payments, until, value_of
from treasury_watch.adapters.kafka.partitioner import partitioner_of
from treasury_watch.adapters.wire import encode_instruction

FULL_COLLECTIONS = 'python_gc_collections_total{generation="2"}'
EAGER = """
import gc
from treasury_watch.adapters.kafka import collector, worker

def run(app, before=worker._run):
    if gc.get_threshold()[2] > 1_000_000 and gc.get_freeze_count():
        print("and Python none of itself", flush=True)
    return before(app)

worker._run = run
collector.REST_SECONDS = collector.REST_FACTOR = 0.0  # every quiet second
from treasury_watch.cli import main
main()
"""


async def test_every_payment_gets_one_decision_and_those_above_pass_get_a_case(embedded: Installation) -> None:
    worker = embedded.workers[0]
    await embedded.pay(payments(300))
    decisions = await embedded.read("decisions", until=300)

    assert sorted(value_of(each)["instruction_id"] for each in decisions) == [f"P{n:07d}" for n in range(300)]
    assert [value_of(each)["verdict"] for each in await embedded.read("warnings", until=3)] == ["warn"] * 3
    intercepts = [value_of(each) for each in await embedded.read("intercepts", until=3)]
    assert [each["instruction"]["amount"] for each in intercepts] == ["60000.00"] * 3
    assert all(each["decided_at"].endswith("Z") for each in intercepts)

    metrics = await _counted(embedded, lambda found: found["treasury_watch_decision_latency_seconds_count"] >= 300)
    assert metrics['treasury_watch_instructions_total{verdict="pass"}'] == 294
    assert metrics['treasury_watch_hits_total{mode="live",rule="INT-002"}'] == 3
    assert metrics["treasury_watch_held_cny_total"] == 180_000
    assert metrics['treasury_watch_lag{partition="0"}'] == 0
    assert worker.get("/healthz")[0] == 200


async def test_a_message_that_is_no_instruction_is_a_dead_letter_and_the_one_behind_it_is_judged(
    embedded: Installation,
) -> None:
    partition = partitioner_of("murmur2", 4)(b"420100")
    offset = await embedded.send(partition, b"\xff key", b"{not json")
    await embedded.pay([make_instruction(instruction_id="BEHIND", jurisdiction="420100")])

    (letter,) = await embedded.read("dead-letters", until=1)
    assert (letter.partition, letter.key, letter.value) == (partition, b"\xff key", b"{not json")
    headers = headers_of(letter)
    assert headers["reason"] == "malformed_json"
    assert (headers["source_topic"], headers["source_partition"], headers["source_offset"]) == (
        "quick.payments",
        str(partition),
        str(offset),
    )
    await _decided(embedded, b"BEHIND")
    found = await _counted(
        embedded, lambda found: found['treasury_watch_dead_letters_total{reason="malformed_json"}'] > 0
    )
    assert found['treasury_watch_dead_letters_total{reason="malformed_json"}'] == 1


async def test_the_same_instruction_three_times_gets_one_decision(embedded: Installation) -> None:
    once = make_instruction(instruction_id="ONCE")
    await embedded.pay([once, once])
    await embedded.pay([once, make_instruction(instruction_id="LAST")])

    await _decided(embedded, b"LAST")
    assert [each.key for each in await embedded.read("decisions")].count(b"ONCE") == 1
    found = await _counted(embedded, lambda found: found["treasury_watch_duplicates_total"] >= 2)
    assert found["treasury_watch_duplicates_total"] == 2


async def test_fields_that_the_contract_does_not_know_are_counted_and_are_no_reason_to_refuse(
    embedded: Installation,
) -> None:
    instruction = make_instruction(instruction_id="UNKNOWN", jurisdiction="420100")
    value = encode_instruction(instruction)[:-1] + b',"new_field":1,"another":2}'
    await embedded.send(partitioner_of("murmur2", 4)(b"420100"), b"420100", value)
    await _decided(embedded, b"UNKNOWN")
    found = await _counted(embedded, lambda found: found["treasury_watch_unknown_fields_total"] >= 2)
    assert found["treasury_watch_unknown_fields_total"] == 2


async def test_a_worker_collects_its_garbage_when_nobody_waits_and_not_of_itself(broker: str, tmp_path: Path) -> None:
    eager = Installation.on(broker, tmp_path, "eager", idempotence=False)
    await eager.topics()
    try:
        worker = await eager.worker(["-c", EAGER, "worker"]).ready()
        before = worker.metrics()[FULL_COLLECTIONS]
        await until(lambda: worker.metrics().get(FULL_COLLECTIONS, 0) > before + 1)
        assert worker.text().count("and Python none of itself") == 1
    finally:
        eager.close()


async def test_sigterm_commits_what_was_judged_and_leaves_with_status_0(embedded: Installation) -> None:
    assert embedded.workers[0].stop() == 0
    assert await embedded.lag() == 0


async def _decided(installation: Installation, key: bytes) -> None:
    async def found() -> bool:
        return key in [each.key for each in await installation.read("decisions")]

    await until(found)


async def _counted(installation: Installation, enough: Callable[[dict[str, float]], bool]) -> dict[str, float]:
    """The metrics once they say so: what is published is counted right after."""
    worker = installation.workers[0]
    await until(lambda: enough(worker.metrics()))
    return worker.metrics()
