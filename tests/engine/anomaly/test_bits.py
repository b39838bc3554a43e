"""The bits of scores, reasons, effects and state are pinned: making the model faster must not move one."""

from __future__ import annotations

import random
from collections.abc import Sequence
from hashlib import sha256

import msgspec
import pytest

from tests.engine.anomaly.paying import chaos, ordinary
from treasury_watch.engine.anomaly import KINDS, Model, Observation, drivers, rows

_MEASURED = (
    "level", "values", "unit_level", "payee_level", "subject_level", "against_anchor", "creeping", "new_pair",
    "together", "usual_unit", "usual_pair", "usual_subject", "new_share",
)  # fmt: skip
_CELLS = 8  # of a core that are pinned; later ones are not part of scores


def _digests(payments: Sequence[Observation], seed: int) -> tuple[str, str]:
    """What was said of the payments, and the state after them, of a model that lives through everything there is."""
    rng, model, said = random.Random(seed), Model(), sha256()
    for seen in payments:
        scored = model.score(seen)
        effect = model.effect(seen, scored, rng.random() < 0.9)
        undo = model.apply(effect)
        if rng.random() < 0.05:
            model.undo(undo)
            model.apply(effect)
        if model.accepts(effect):
            if not effect[12] and rng.random() < 0.5:
                model.learn(effect)
            if rng.random() < (0.5 if scored.alert else 0.01):
                model.feedback(effect, rng.random() < 0.5)
        model.forget(6)
        told = [scored.score, scored.p_value, scored.alert, scored.creeping, scored.surprises, scored.weights, effect]
        measured = [getattr(scored.measured, name) for name in _MEASURED]
        why = [(each.feature, each.value, each.share, each.zh, each.en) for each in drivers(seen, scored)]
        said.update(msgspec.msgpack.encode([told, measured, why]))
    state = [[*rows(model, kind, sorted(model.entities(kind)))] for kind in range(len(KINDS))]
    return said.hexdigest(), sha256(msgspec.msgpack.encode([model.core.cells()[:_CELLS], state])).hexdigest()


@pytest.mark.parametrize(
    ("payments", "digests"),
    [
        pytest.param(
            ordinary(8_000, seed=21, units=30),
            (
                "9eec0c9767276463e910c478d3a5c763514dd858dc2e46df5bc5b042649660aa",
                "f2a9da4d500d06089cb7c3f3c8d4c74a7ad8571c3bd11d67692840c5e8d3192f",
            ),
            id="ordinary",
        ),
        pytest.param(
            chaos(6_000, seed=22),
            (
                "7c640331bc06388ae447790a5838607a92fd7fbbe004e7267efb784699864dfb",
                "b1e4e0f2fcc5308caa4b5d23ca87b9e289472ccba7d397513d7bb69c3fe27ad8",
            ),
            id="anything",
        ),
    ],
)
def test_the_bits_are_those_of_before(payments: Sequence[Observation], digests: tuple[str, str]) -> None:
    assert _digests(payments, 23) == digests
