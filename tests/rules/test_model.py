"""The model of a rule set: which detector judges, and what is wrong with a file that says so."""

from __future__ import annotations

import inspect
from dataclasses import replace
from fractions import Fraction

import pytest

from benchmarks.mutations import Pack, tally
from tests.builders import make_instruction
from tests.rules.texts import read_set, rule_file
from treasury_watch.adapters import detectors
from treasury_watch.adapters.rulefiles import default_rules, load
from treasury_watch.domain.verdict import Decision
from treasury_watch.engine.assess import Engine
from treasury_watch.engine.program import Program
from treasury_watch.rules import read
from treasury_watch.rules.model import DETECTORS, JUDGES, SHADOWS, Real
from treasury_watch.rules.schema import ModelBlock, Shadow
from treasury_watch.rules.shapes import Whole

RARE = Fraction(1, 200)
WHEN = "  when: {field: amount, gt: 1.00}\n"
PLAIN = "model: TailSurprise\n"
SHADOWED = """\
model: TailSurprise
target: 0.5%
parameters: {}
shadow:
  detector: HalfSpaceTrees
  parameters: {n_trees: 25, height: 8}
"""


def model_of(text: str) -> ModelBlock | None:
    return read_set(WHEN, files={"model.yaml": text.encode()}).model


def hash_of(text: str | None) -> str:
    return read_set(WHEN, files={} if text is None else {"model.yaml": text.encode()}).hash


def codes(*texts: str) -> list[tuple[str, str, int]]:
    files = {f"{number}.yaml": text.encode() for number, text in enumerate(texts, 1)}
    _, diagnostics = read({"office.yaml": rule_file(WHEN), **files})
    return [(each.code, each.span.file, each.span.line) for each in diagnostics]


# --- what a file says ---


def test_a_set_has_a_model_if_a_file_says_so() -> None:
    assert read_set(WHEN).model is None
    assert model_of(PLAIN) == ModelBlock("TailSurprise", Fraction(1, 100))


def test_target_and_shadow_are_as_written() -> None:
    parameters = (("height", 8), ("n_trees", 25), ("seed", 1))
    shadow = Shadow("HalfSpaceTrees", parameters)
    assert model_of(SHADOWED) == ModelBlock("TailSurprise", Fraction(1, 200), (), shadow)


def test_what_draws_lots_has_the_seed_1_unless_another_is_given() -> None:
    for text, expected in (("", (("seed", 1),)), ("  parameters: {seed: 7}\n", (("seed", 7),))):
        model = model_of(PLAIN + "shadow:\n  detector: LODA\n" + text)
        assert model is not None
        assert model.shadow == Shadow("LODA", expected)
    model = model_of(PLAIN + "shadow: {detector: OneClassSVM, parameters: {nu: 0.10}}\n")
    assert model is not None
    assert model.shadow == Shadow("OneClassSVM", (("nu", 0.1),))


@pytest.mark.parametrize(
    ("target", "code"),
    [("0%", "TW108"), ("0.0001%", None), ("50%", None), ("50.0001%", "TW108"), ("100%", "TW108"), ("0.01", "TW108")],
)
def test_a_target_is_above_nothing_and_at_most_half(target: str, code: str | None) -> None:
    expected = [] if code is None else [(code, "1.yaml", 2)]
    assert codes(f"{PLAIN}target: {target}\n") == expected


def test_a_set_has_one_model() -> None:
    assert codes(PLAIN) == []
    assert codes(PLAIN, SHADOWED, PLAIN) == [("TW110", "2.yaml", 1), ("TW110", "3.yaml", 1)]


@pytest.mark.parametrize("name", SHADOWS)
def test_a_detector_of_rivers_may_run_in_shadow_and_does_not_judge(name: str) -> None:
    assert codes(f"{PLAIN}shadow: {{detector: {name}}}\n") == []
    assert codes(f"model: {name}\n") == [("TW103", "1.yaml", 1)]


@pytest.mark.no_cover
def test_a_mutated_model_is_accepted_or_explained_with_a_place_inside_its_file() -> None:
    """The mutations of `benchmarks.mutations`, half of them in the file of a model."""
    result = tally(
        Pack({}, ({"office.yaml": rule_file(WHEN), "model.yaml": SHADOWED.encode()},)), 7, range(400), timed=False
    )
    assert result.wrong == []
    assert result.accepted > 20
    assert {"TW101", "TW102", "TW103", "TW104", "TW105", "TW108"} <= set(result.codes)


# --- the hash ---


def test_a_model_is_part_of_the_hash_however_it_is_written() -> None:
    written = [
        None,
        PLAIN,
        PLAIN + "target: 2%\n",
        SHADOWED,
        SHADOWED.replace("25", "26"),
        SHADOWED.replace("8}", "8, seed: 2}"),
    ]
    assert len({hash_of(text) for text in written}) == len(written)
    assert hash_of(PLAIN) == hash_of("# why\nparameters: {}\ntarget: 1.00%\nmodel: TailSurprise\n")
    assert hash_of(SHADOWED) == hash_of(SHADOWED.replace("n_trees: 25, height: 8", "seed: 1, height: 8, n_trees: 25"))


def test_the_hash_of_a_model_is_the_same_on_every_machine() -> None:
    """It changes only with the canonical form, and then every stored decision names an unknown rule set."""
    text = PLAIN + "shadow: {detector: OneClassSVM, parameters: {nu: 0.1, clip_gradient: 1000}}\n"
    assert hash_of(text) == "sha256:9dd786060184922de746e38ea2b672002abb128d1ba2b85253f51915bc24a106"


# --- the table against river ---


def test_the_detectors_are_those_that_there_are() -> None:
    assert tuple(DETECTORS) == (*JUDGES, *SHADOWS)
    assert set(DETECTORS) == {detectors.OURS, *detectors.RIVER}


@pytest.mark.parametrize("name", SHADOWS)
def test_every_parameter_that_is_a_number_is_known_and_no_other(name: str) -> None:
    known = inspect.signature(detectors.RIVER[name].made).parameters
    objects = {"limits", "engine", "optimizer", "initializer"}
    assert [key.name for key in DETECTORS[name].keys] == [each for each in known if each not in objects]


@pytest.mark.parametrize("name", SHADOWS)
@pytest.mark.parametrize("end", ["low", "high"])
def test_the_ends_of_all_ranges_make_a_detector(name: str, end: str) -> None:
    parameters = {key.name: getattr(key.shape, end, 0.001) for key in DETECTORS[name].keys}
    assert detectors.detector(name, parameters) is not None


@pytest.mark.parametrize("name", SHADOWS)
def test_what_a_parameter_is_without_being_said_is_in_its_range(name: str) -> None:
    for key in DETECTORS[name].keys:
        default = inspect.signature(detectors.RIVER[name].made).parameters[key.name].default
        assert isinstance(key.shape, Whole | Real)
        assert default is None or default <= key.shape.high, key.name
        assert isinstance(key.shape, Real) or isinstance(default, int | None), key.name


# --- the shipped pack ---


@pytest.mark.parametrize(
    ("amount", "without", "verdict"), [("100.00", "pass", "warn"), ("900000.00", "intercept", "intercept")]
)
def test_the_shipped_rule_warns_beside_what_other_rules_say_and_weakens_none(
    amount: str, without: str, verdict: str
) -> None:
    program = Program(replace(load(default_rules()), model=None))
    decided = []
    for p_value in (None, RARE):
        engine = Engine(program)
        engine.given_p_value = p_value
        (decision,) = engine.assess([make_instruction(amount=amount, unit_level="county", settlement="cash")])
        assert isinstance(decision, Decision)
        decided.append((decision.verdict, {hit.rule for hit in decision.hits if hit.mode == "live"}))
    (plain, others), (odd, hits) = decided
    assert (plain, odd) == (without, verdict)
    assert hits - others == {"ANOMALY-001"}
    assert others <= hits
