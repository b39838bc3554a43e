"""Publishing a file: what is wrong with it is said before anything is sent."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.builders import make_instruction
from treasury_watch.adapters.jsonl import UnreadableFile
from treasury_watch.adapters.kafka.connection import BrokerError
from treasury_watch.adapters.kafka.publish import BadLine, publish
from treasury_watch.adapters.settings import Settings, load_settings
from treasury_watch.adapters.wire import encode_instruction

GOOD = encode_instruction(make_instruction())


@pytest.fixture
def nobody() -> Settings:
    """Settings with a broker that is not there: whoever connects fails otherwise than expected."""
    return load_settings(bootstrap_servers="127.0.0.1:1")


@pytest.mark.parametrize(
    ("lines", "partition_by", "message"),
    [
        ([GOOD, b"{"], "jurisdiction", ":2: malformed_json: "),
        ([GOOD, b"", GOOD.replace(b'"1234.50"', b'"12.5"')], "jurisdiction", ":3: schema: amount: "),
        ([GOOD], "department", ":1: department is missing, and it is the partition key"),
        ([GOOD.replace("办公用品采购".encode(), b"x" * 70_000)], "jurisdiction", ":1: too_large: "),
    ],
)
async def test_a_bad_line_is_named_and_nothing_is_sent(
    nobody: Settings, tmp_path: Path, lines: list[bytes], partition_by: str, message: str
) -> None:
    file = tmp_path / "payments.jsonl"
    file.write_bytes(b"\n".join(lines))
    with pytest.raises(BadLine) as raised:
        await publish(nobody, file, partition_by)
    assert str(raised.value).startswith(f"{file}{message}")


async def test_a_file_that_is_not_there_is_named(nobody: Settings, tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile, match=r"payments\.jsonl"):
        await publish(nobody, tmp_path / "payments.jsonl", "jurisdiction")


async def test_no_broker_is_said_in_one_line(nobody: Settings, tmp_path: Path) -> None:
    file = tmp_path / "payments.jsonl"
    file.write_bytes(GOOD)
    with pytest.raises(BrokerError, match=r"^no broker answers at 127\.0\.0\.1:1$"):
        await publish(nobody, file, "jurisdiction")
