"""What the anomaly models know, as a terminal shows it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import typer

from treasury_watch.cli.console import on_one_line, show_table

_COLUMNS = 40  # of a histogram
_HEIGHTS = " ▁▂▃▄▅▆▇█"


def show(result: dict[str, Any]) -> None:
    """Prints the result of an inspection: that of one model with its weights and histograms, or an overview of all."""
    shown = result["shown"]
    models = result["models"] if shown is None else [shown]
    if models:
        _show_models(models, result["partition_by"])
    if shown is not None:
        _show_weights(shown)
        _show_drift(shown)
        _show_histograms(shown)
    warm = sum(each["warm"] for each in result["models"])
    typer.echo(
        f"{result['source']['name']}: {len(result['models']):,} models, one for each {result['partition_by']}; "
        f"{warm:,} have the {result['warm_at']:,} scores that a p-value needs; target {_percent(result['target'])}"
    )


def _show_models(models: Sequence[dict[str, Any]], partition_by: str) -> None:
    rows = [
        (
            on_one_line(each["partition_key"]),
            f"≥ {each['scores']:,}" if each["scored"] is None else each["scored"],
            each["learned"],
            "yes" if each["warm"] else f"lacks {each['lacking']:,}",
            _percent(each["level"]),
            _percent(each["alert_rate"]),
            _percent(each["wrong_share"]),
            _moved(each["weights"]),
            _drifted(each["drift"]),
        )
        for each in models
    ]
    header = (partition_by, "scored", "learned", "warm", "level", "alerts", "wrong", "weights", "drift")
    show_table(header, rows, title="Models")
    kinds = tuple(models[0]["entities"])
    entities = [(on_one_line(each["partition_key"]), *(each["entities"][kind] for kind in kinds)) for each in models]
    show_table((partition_by, *kinds), entities, title="What they remember")


def _show_weights(shown: dict[str, Any]) -> None:
    rows = [
        (each["feature"], f"{each['first']:.4g}", f"{each['now']:.4g}", f"×{each['now'] / each['first']:.2f}")
        for each in shown["weights"]
    ]
    show_table(("feature", "first", "now", "moved"), rows, title="Weights")


def _show_drift(shown: dict[str, Any]) -> None:
    rows = [
        (
            each["at"],
            each["input"],
            each["direction"],
            f"{each['before']:.4g}",
            f"{each['after']:.4g}",
            each["detector"],
        )
        for each in shown["drift"]
    ]
    if rows:
        show_table(("at", "input", "", "before", "after", "test"), rows, title="Drift")


def _show_histograms(shown: dict[str, Any]) -> None:
    rows = [
        (
            each["feature"],
            f"{each['low']:g}",
            picture(each["counts"]),
            f"{each['high']:g}",
            f"from {each['cut']:.2f}: {each['base']:.2f} + {each['steep']:.2f} a unit",
        )
        for each in shown["histograms"]
    ]
    show_table(
        ("feature", "low", "values, heights logarithmic", "high", "surprise of the tail"), rows, title="Features"
    )


def picture(counts: Sequence[float]) -> str:
    """A histogram in 40 characters; what is rare can be seen beside what is common."""
    each = len(counts) // _COLUMNS
    sums = [math.log1p(sum(counts[at : at + each])) for at in range(0, len(counts), each)]
    most = max(sums) or 1.0
    return "".join(_HEIGHTS[math.ceil((len(_HEIGHTS) - 1) * height / most)] for height in sums)


def _moved(weights: Sequence[dict[str, Any]]) -> str:
    """The weight that has moved farthest from the first one."""
    farthest = max(weights, key=lambda each: abs(math.log(each["now"] / each["first"])))
    ratio = farthest["now"] / farthest["first"]
    return "the first" if ratio == 1.0 else f"{farthest['feature']} ×{ratio:.2f}"


def _drifted(events: Sequence[dict[str, Any]]) -> str:
    """How many events of drift there are, and the last of them."""
    if not events:
        return "–"
    last = events[-1]
    return f"{len(events)}: {last['input']} {last['direction']} {last['at'][:10]}"


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share:.2%}"
