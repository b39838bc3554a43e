"""A worker without one of its safeguards, to prove that the trials see what that does.

`python -m fault_trials.sabotage NAME`, in place of `python -m treasury_watch worker`. Only this process is changed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

from aiokafka.protocol.transaction import InitProducerIdRequest


def tails() -> None:
    """What is on the output topics already is not looked for: after a crash it is published again.

    Offsets are committed late, so that there always is something for a crash to find.
    """
    from treasury_watch.adapters.kafka import app, publisher
    from treasury_watch.adapters.kafka.tails import NOTHING, OUTCOMES, Tails

    async def nothing(settings: Any, partitions: Sequence[int]) -> dict[int, Tails]:
        return {partition: dict.fromkeys(OUTCOMES, NOTHING) for partition in partitions}

    app.WRITE_SECONDS = 2.0
    publisher.read_tails = nothing  # type: ignore[attr-defined]


def fencing() -> None:
    """Every worker sends under a producer id of its own, so nobody shuts out anybody."""
    from treasury_watch.adapters.kafka import publisher
    from treasury_watch.adapters.kafka.fencing import Identity

    async def own(producer: Any, settings: Any, partition: int, abandoned: Any = None) -> Identity:
        node = producer.client.get_random_node()
        answer = await producer.client.send(node, InitProducerIdRequest(None, -1))
        return Identity(partition, answer.producer_id, answer.producer_epoch)

    publisher.fence = own  # type: ignore[attr-defined]


def order() -> None:
    """An offset is committed when the outputs are there, and the state that contains it is written a while later."""
    from treasury_watch.adapters.kafka import app
    from treasury_watch.adapters.kafka.partition import Partition

    app.WRITE_SECONDS = 2.0

    settle = Partition._settle

    async def early(self: Any, batch: Any, judged: Any, sent: Any) -> None:
        await settle(self, batch, judged, sent)
        batch.done()

    Partition._settle = early  # type: ignore[method-assign]


SABOTAGES: dict[str, Callable[[], None]] = {"tails": tails, "fencing": fencing, "order": order}


def main() -> None:
    SABOTAGES[sys.argv[1]]()
    from treasury_watch.cli import main as command

    sys.argv = ["treasury-watch", "worker"]
    command()


if __name__ == "__main__":
    main()
