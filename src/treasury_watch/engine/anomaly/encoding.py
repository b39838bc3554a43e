"""Encoding (编码): entities one by one, the core at once, and a whole model as bytes, and back to the bit.

MessagePack of `[version, target, core, [rows of each kind of entity]]`; a row is `[key, numbers]`, of a pair `[[unit,
payee], numbers]`. Rows are in order of their keys, and what has expired is left out: equal bytes for equal histories.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from treasury_watch.engine.anomaly.core import Core
from treasury_watch.engine.anomaly.model import KINDS, Model

VERSION = 5


class ModelError(ValueError):
    """Bytes that are no model of this version."""


def rows(model: Model, kind: int, keys: Iterable[Any]) -> Iterator[tuple[Any, tuple[Any, ...]]]:
    """A row for each of these keys of one of `KINDS` that is remembered and has not expired."""
    entities = model.entities(kind)
    for key in keys:
        found = entities.get(key)
        if found is not None and not model.is_over(kind, found):
            yield key, found


def take_rows(model: Model, kind: int, said: Iterable[Any]) -> None:
    """Puts rows, as they were decoded, in the place of what the model has under their keys."""
    entities = model.entities(kind)
    for key, numbers in said:
        entities[tuple(key) if isinstance(key, list) else key] = tuple(numbers)


def take_core(model: Model, cells: Any) -> None:
    """Puts the core of `Core.cells`, as they were decoded, in the place of the model's."""
    model.core = Core.of(model.target, cells)


def dump(model: Model) -> bytes:
    """A model as bytes."""
    said = [[*rows(model, kind, sorted(model.entities(kind)))] for kind in range(len(KINDS))]
    return msgspec.msgpack.encode([VERSION, model.target, model.core.cells(), said])


def load(data: bytes) -> Model:
    """The model of a `dump`. Raises ModelError on bytes that are damaged or of another version."""
    try:
        version, *cells = msgspec.msgpack.decode(data, type=list)
        if version != VERSION:
            raise ModelError(f"a model of version {version}; this program reads version {VERSION}")
        target, core, said = cells
        model = Model(target)
        model.core = Core.of(target, core)
        for kind, each in zip(range(len(KINDS)), said, strict=True):
            take_rows(model, kind, each)
    except ModelError:
        raise
    except (msgspec.DecodeError, AttributeError, IndexError, TypeError, ValueError) as error:
        raise ModelError(f"not a model: {error}") from None
    return model
