"""The online anomaly model (异常模型): how odd each payment is, learned from those before it (docs/anomaly.md)."""

from treasury_watch.engine.anomaly.calibration import exact
from treasury_watch.engine.anomaly.encoding import ModelError, dump, load, rows, take_core, take_rows
from treasury_watch.engine.anomaly.explanation import Driver, drivers
from treasury_watch.engine.anomaly.model import KINDS, Effect, Model, Observation, Scored, Undo

__all__ = [
    "KINDS",
    "Driver",
    "Effect",
    "Model",
    "ModelError",
    "Observation",
    "Scored",
    "Undo",
    "drivers",
    "dump",
    "exact",
    "load",
    "rows",
    "take_core",
    "take_rows",
]
