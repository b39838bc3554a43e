"""Labels (标注): what is known of payments, and how well the rules agree with it.

Two kinds of lines, as JSON, in one file or in two runs:

- planted, as `simulate --labels` writes them: `{"instruction_id":…, "kind":…, "rule_ids":[…]}`; the rules named must
  hit the payment. Of a near miss (`"near_miss":true`) the rules that labels of its kind name must not. Such a file is
  taken to name everything that was planted.
- a person's answer, such as a disposition: `{"instruction_id":…, "label":"true_alarm"|"false_alarm"}`. It speaks of the
  payment, not of one rule; payments that nobody looked at have none.

`jurisdiction` may stand beside the id, where ids are unique within one only. Other keys are passed over.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from treasury_watch.adapters.jsonl import Line
from treasury_watch.domain.verdict import Decision


class BadLabels(ValueError):
    """A line of a label file that is no label: one line that says which, and why."""


class _Line(msgspec.Struct):
    instruction_id: str
    jurisdiction: str | None = None
    kind: str | None = None
    rule_ids: tuple[str, ...] | None = None
    near_miss: bool = False
    label: Literal["true_alarm", "false_alarm"] | None = None


@dataclass(frozen=True, slots=True)
class Label:
    """What one payment is. `kind` and `rule_ids` where it was planted, else `label`."""

    kind: str | None
    rule_ids: tuple[str, ...]
    near_miss: bool
    label: Literal["true_alarm", "false_alarm"] | None


Key = tuple[str | None, str]  # jurisdiction, id


@dataclass
class Labels:
    """The labels of a file by payment; of two on one payment the later counts."""

    by_key: dict[Key, Label] = field(default_factory=dict)
    rules_of: dict[str, set[str]] = field(default_factory=dict)  # kind → the rules that any of its labels names
    planted: bool = False  # whether any of them was planted
    unlabelled: int = 0  # lines with a null label, such as dispositions that say nothing of the rules

    def of(self, decision: Decision) -> tuple[Key, Label] | None:
        for key in ((None, decision.instruction_id), (decision.jurisdiction, decision.instruction_id)):
            if key in self.by_key:
                return key, self.by_key[key]
        return None


def read_labels(lines: Iterable[Line], name: str) -> Labels:
    """The labels of JSON lines. Raises BadLabels at the first line that is none."""
    decode = msgspec.json.Decoder(_Line).decode
    known: dict[Label, Label] = {}  # equal ones are kept once: a year of a province has many
    labels = Labels()
    for line in lines:
        try:
            read = decode(line.value)
        except msgspec.MsgspecError as error:
            raise BadLabels(f"{name}: line {line.number} is no label: {error}") from error
        except UnicodeDecodeError as error:
            raise BadLabels(f"{name}: line {line.number} is no label: not UTF-8 text") from error
        if read.rule_ids is None and read.kind is None and read.label is None:
            labels.unlabelled += 1
            continue
        if read.rule_ids is not None or read.kind is not None:
            kind, named = read.kind or "", set(read.rule_ids or ())
            found = Label(kind, tuple(sorted(named)), read.near_miss, None)
            labels.rules_of.setdefault(kind, set()).update(named)
            labels.planted = True
        else:
            found = Label(None, (), False, read.label)
        labels.by_key[read.jurisdiction, read.instruction_id] = known.setdefault(found, found)
    return labels


@dataclass(slots=True)
class RuleScore:
    """Hits of one rule by what is known of their payments, and the planted payments that it had to hit."""

    true: int = 0  # planted for this rule, or answered true_alarm
    false: int = 0  # a near miss of what it looks for, or answered false_alarm
    elsewhere: int = 0  # part of something planted for other rules: neither right nor wrong
    unlabelled: int = 0
    expected: int = 0
    found: int = 0


@dataclass(slots=True)
class KindScore:
    """Payments of one planted kind: how many had to be hit, by their own rules and by any rule."""

    payments: int = 0
    expected: int = 0
    found: int = 0  # by every rule that the label names
    found_otherwise: int = 0  # not by all of them, but by some rule
    near_misses: int = 0
    hit_wrongly: int = 0  # near misses that a rule of their kind hit


class Scores:
    """How a rule set agrees with labels. Withheld hits do not count; those of shadow rules and drafts do."""

    def __init__(self, labels: Labels) -> None:
        self._labels = labels
        self.rules: dict[str, RuleScore] = {}
        self.kinds: dict[str, KindScore] = {}
        self.answered: Counter[tuple[str, bool]] = Counter()  # (label, whether the payment is warned of or held)
        self.met: set[Key] = set()

    def count(self, decision: Decision) -> None:
        found = self._labels.of(decision)
        if found is None:
            for each in decision.hits:
                if each.excepted is None:
                    self._score(each.rule).unlabelled += 1
            return
        key, label = found
        self.met.add(key)
        hits = {each.rule for each in decision.hits if each.excepted is None}
        if label.label is not None:
            self.answered[label.label, decision.verdict != "pass"] += 1
            for rule in hits:
                score = self._score(rule)
                if label.label == "true_alarm":
                    score.true += 1
                else:
                    score.false += 1
            return
        self._count_planted(label, hits)

    def _count_planted(self, label: Label, hits: set[str]) -> None:
        name = label.kind or ""
        spared = self._labels.rules_of[name] if label.near_miss else set()
        for rule in hits:
            score = self._score(rule)
            if rule in label.rule_ids:
                score.true += 1
            elif rule in spared:
                score.false += 1
            else:
                score.elsewhere += 1
        kind = self.kinds.setdefault(name, KindScore())
        kind.payments += 1
        kind.near_misses += label.near_miss
        kind.hit_wrongly += bool(hits & spared)
        if label.rule_ids:
            kind.expected += 1
            kind.found += hits.issuperset(label.rule_ids)
            kind.found_otherwise += bool(hits) and not hits.issuperset(label.rule_ids)
        for rule in label.rule_ids:
            score = self._score(rule)
            score.expected += 1
            score.found += rule in hits

    def _score(self, rule: str) -> RuleScore:
        found = self.rules.get(rule)
        if found is None:
            found = self.rules[rule] = RuleScore()
        return found

    def precision(self, score: RuleScore) -> float | None:
        """The share of hits that were right, of those of which it is known; `None` if it is known of none."""
        wrong = score.false + (score.unlabelled if self._labels.planted else 0)
        return ratio(score.true, score.true + wrong)

    def as_json(self, judged: Iterable[str]) -> dict[str, Any]:
        """The scores; `judged`: the ids of the rules of the set."""
        known = set(judged)
        kinds = {name: self._kind(name, kind, known) for name, kind in sorted(self.kinds.items())}
        return {
            "labels": len(self._labels.by_key),
            "not_in_file": len(self._labels.by_key) - len(self.met),
            "without_answer": self._labels.unlabelled,
            "planted": {
                name: sum(each[name] for each in kinds.values())
                for name in ("payments", "expected", "found", "found_otherwise", "near_misses", "hit_wrongly")
            }
            | {
                "recall": ratio(
                    sum(each.found for each in self.kinds.values()), sum(each.expected for each in self.kinds.values())
                )
            },
            "kinds": kinds,
            "answered": {
                label: {
                    "payments": self.answered[label, True] + self.answered[label, False],
                    "found": self.answered[label, True],
                }
                for label in ("true_alarm", "false_alarm")
            },
            "rules": {
                rule: {
                    "precision": self.precision(score),
                    "recall": ratio(score.found, score.expected),
                    "true": score.true,
                    "false": score.false,
                    "elsewhere": score.elsewhere,
                    "unlabelled": score.unlabelled,
                    "expected": score.expected,
                    "found": score.found,
                }
                for rule, score in sorted(self.rules.items())
                if rule in known
            },
        }

    def _kind(self, name: str, kind: KindScore, known: set[str]) -> dict[str, Any]:
        rules = self._labels.rules_of[name]
        return {
            "payments": kind.payments,
            "expected": kind.expected,
            "found": kind.found,
            "found_otherwise": kind.found_otherwise,
            "recall": ratio(kind.found, kind.expected),
            "near_misses": kind.near_misses,
            "hit_wrongly": kind.hit_wrongly,
            "rules": sorted(rules),
            "not_in_set": sorted(rules - known),
        }


def ratio(part: int, whole: int) -> float | None:
    """A share, to six significant digits; `None` of nothing."""
    return float(f"{part / whole:.6g}") if whole else None
