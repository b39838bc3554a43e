"""What was applied to a partition, to be applied again by whoever takes it over."""

from __future__ import annotations

from typing import cast

import pytest

from tests.adapters.kafka.control.test_applied import switched, unused
from tests.adapters.kafka.control.test_applying import PROGRAM, standing
from tests.adapters.kafka.control.test_applying import Inputs as Topics
from treasury_watch.adapters.kafka.control.applied import AppliedLog, Entry, Standing
from treasury_watch.adapters.kafka.control.applying import Again
from treasury_watch.adapters.kafka.control.inputs import ControlInputs
from treasury_watch.adapters.kafka.control.steering import Course, Steering
from treasury_watch.adapters.settings import load_settings
from treasury_watch.engine import Program


class Inputs(Topics):
    async def program_of(self, found: Standing) -> Program:
        return PROGRAM


@pytest.fixture
def steering() -> Steering:
    inputs = Inputs()
    inputs.publish(standing(0))
    return Steering(load_settings(), cast(ControlInputs, inputs))


async def test_nothing_new_applies_before_a_refusal_that_is_on_record(steering: Steering) -> None:
    """Else the log went back, and nobody could take the partition over any more."""
    log = AppliedLog([Entry(0, switched(0, 0)), Entry(1, switched(8, 1)), Entry(2, unused(10, 1))])
    applying = await Course(steering, 0, log, -1).applying(5)
    assert applying.firsts_before(11) == [8, 10]
    assert applying.redo(8) == [Again(8, PROGRAM)]
    assert not applying.is_due
    assert applying.redo(10) == [Again(10)]
    assert applying.next_again is None
