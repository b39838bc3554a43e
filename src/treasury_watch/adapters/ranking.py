"""Ranking (排序): how well scores put what is wrong before what is fine.

Arrays are (n,): whether each payment is wrong, and its score, higher for what is odder, finite.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

A_DAY = 10  # alerts that a clerk looks at
MOST_POINTS = 120  # of a precision-recall curve


class Hits(NamedTuple):
    """Payments whose score is at least each of the distinct scores, the highest first: how many are wrong, and how many
    fine; (k,) int64 both, each rising.
    """

    wrong: Ints
    fine: Ints


def hits_of(wrong: Bools, scores: Floats) -> Hits:
    """Hits by threshold of payments (n,) that are wrong or fine; equal scores are one threshold."""
    order = np.argsort(-scores, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(scores[order]) != 0.0, True)) if len(order) else order
    found = np.cumsum(wrong[order], dtype=np.int64)[ends]
    return Hits(found, ends + 1 - found)


def average_precision(hits: Hits) -> float | None:
    """Σ (recall − recall before) × precision over thresholds, in (0, 1]; `None` where nothing is wrong."""
    if not len(hits.wrong) or not hits.wrong[-1]:
        return None
    gained = np.diff(hits.wrong, prepend=0)
    return float(np.sum(gained * (hits.wrong / (hits.wrong + hits.fine))) / hits.wrong[-1])


def roc_auc(hits: Hits) -> float | None:
    """The chance that a wrong payment scores higher than a fine one, ties half; `None` where either kind is absent."""
    if not len(hits.wrong) or not hits.wrong[-1] or not hits.fine[-1]:
        return None
    middle = (hits.wrong + np.append(0, hits.wrong[:-1])) / 2
    area = np.sum(np.diff(hits.fine, prepend=0) * middle)
    return float(area / (float(hits.wrong[-1]) * float(hits.fine[-1])))


def precision_a_day(days: Ints, wrong: Bools, scores: Floats, most: int = A_DAY) -> float | None:
    """The share of wrong ones among the `most` highest scores of each day, of equal ones the earlier; days are (n,)
    numbers. `None` of no payments.
    """
    if not len(days):
        return None
    order = np.lexsort((-scores, days))
    begins = np.flatnonzero(np.diff(days[order], prepend=days[order][0] - 1))
    place = np.arange(len(order)) - np.repeat(begins, np.diff(np.append(begins, len(order))))
    return float(wrong[order][place < most].mean())


def curve_of(hits: Hits) -> list[tuple[float, float]]:
    """Recall and precision at thresholds, evenly by recall, at most 120 of them; none where nothing is wrong."""
    if not len(hits.wrong) or not hits.wrong[-1]:
        return []
    recall = hits.wrong / hits.wrong[-1]
    places = np.unique(np.searchsorted(recall, np.linspace(recall[0], 1.0, MOST_POINTS)))
    precision = hits.wrong / (hits.wrong + hits.fine)
    return [(round(float(recall[at]), 5), round(float(precision[at]), 5)) for at in places]
