"""Instructions in, verdicts out: synchronous, deterministic, without a clock and without IO."""

from treasury_watch.engine.assess import Engine
from treasury_watch.engine.encoding import StateError
from treasury_watch.engine.program import Program

__all__ = ["Engine", "Program", "StateError"]
