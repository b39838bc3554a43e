"""The end of a worker that is stopping, for certain: Faust, its threads and the brokers may hang."""

from __future__ import annotations

import logging
import os
import threading

STOP_SECONDS = 25.0  # what holds workers together often kills after 30

log = logging.getLogger(__name__)


def end_at_last(status: int) -> None:
    """Ends this process with a status in `STOP_SECONDS`, if it has not ended by then: what a crash would leave is left
    as safely here.
    """
    watchdog = threading.Timer(STOP_SECONDS, _end, (status,))
    watchdog.daemon = True
    watchdog.start()


def _end(status: int) -> None:
    log.warning("stopping, and not stopped after %.0f s: ends as it is; whoever takes over goes on", STOP_SECONDS)
    logging.shutdown()
    os._exit(status)
