"""The safe verdict (安全判定): what an instruction gets when judging it fails, by a mistake in our code.

It has the verdict chosen in the settings and one hit, of a rule that no rule file can have. Its id is kept, so that it
is judged once, and a case is opened, so that a person can dispose of it. It is counted in no window: what it belongs to
is what could not be found out. The same payment after the same ones fails again, so a replay decides alike.

A failure is caught only while nothing but answers was computed. One that comes while the instruction is added to
windows would leave them half changed, and sums wrong for all payments after it: it is raised.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import FrameType
from typing import Literal

from treasury_watch.domain.payment import Instruction
from treasury_watch.domain.verdict import Hit, Text

RULE = "ENGINE"  # rule files cannot use it: their ids have a hyphen
ADDING = "mask"  # the local of the generated function that there is from when it begins to add
_PLACES = 3  # functions that are named of where it failed, the innermost first

SafeVerdict = Literal["warn", "intercept", "prohibit"]


def failure_hit(action: SafeVerdict, error: Exception) -> Hit:
    """The one hit of an instruction that could not be judged. It names the kind of error and shows no data."""
    kind = type(error).__name__
    return Hit(
        rule=RULE,
        revision=1,
        action=action,
        mode="live",
        level="red",
        risk_point=None,
        reason=Text(
            zh=f"系统内部错误（{kind}），无法判断该支付，按安全设置处理",
            en=f"This payment could not be judged: internal error ({kind}); it gets the verdict set for such cases",
        ),
        evidence={"error": kind},
    )


def must_stop(error: Exception) -> bool:
    """Whether a failure is none of the instruction's: windows may be half changed, or there is no memory left."""
    if isinstance(error, MemoryError):
        return True
    return any(frame.f_code.co_name == "judge" and ADDING in frame.f_locals for frame, _ in _frames(error))


def place_of(error: Exception) -> str:
    """Where it failed, innermost first, for those who put it right: files, lines and functions, no data."""
    found = [
        f"{frame.f_code.co_filename.rpartition('/')[2]}:{line} ({frame.f_code.co_name})"
        for frame, line in _frames(error)
    ]
    return " < ".join(found[: -_PLACES - 1 : -1])


def tell_nobody(instruction: Instruction, error: Exception) -> None:
    """What an engine does about failures besides deciding, unless it is told otherwise."""


def raise_failure(instruction: Instruction, error: Exception) -> None:
    """For tools that are to end when the rules fail, and not to count verdicts that no rule gave."""
    raise error


def _frames(error: Exception) -> Iterator[tuple[FrameType, int]]:
    trace = error.__traceback__
    while trace is not None:
        yield trace.tb_frame, trace.tb_lineno
        trace = trace.tb_next
