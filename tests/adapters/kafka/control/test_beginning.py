"""What a worker offers of its directory when it starts, where brokers fail meanwhile."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from treasury_watch.adapters.approvals import Approvals
from treasury_watch.adapters.kafka.connection import BrokerError, NoAnswer
from treasury_watch.adapters.kafka.control import beginning
from treasury_watch.adapters.kafka.control.inputs import ControlInputs
from treasury_watch.adapters.settings import load_settings

PACK = Path(__file__).resolve().parents[3] / "integration" / "pack"


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (NoAnswer("no broker answers at b1:9092"), "no broker answers at b1:9092"),
        (BrokerError("no right"), "no right: have rules published by somebody who may, with rules publish"),
    ],
)
async def test_what_keeps_rules_from_being_published_is_told_and_what_time_may_mend_stays_such(
    error: BrokerError, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: Any) -> int:
        raise error

    async def nothing(self: ControlInputs) -> None:
        pass

    monkeypatch.setattr(beginning, "send", fail)
    monkeypatch.setattr(ControlInputs, "read", nothing)
    with pytest.raises(BrokerError) as caught:
        await beginning.begin(load_settings(rules_dir=PACK), Approvals())
    assert str(caught.value) == told
    assert isinstance(caught.value, NoAnswer) is isinstance(error, NoAnswer)
