"""Installations on a real Kafka and on the embedded broker."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.integration.installation import Installation
from treasury_watch.adapters.embedded import EmbeddedBrokerError, embedded_broker


@pytest.fixture
async def installation(kafka: str, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Installation]:
    """An installation with topics of its own on Apache Kafka."""
    made = Installation.on(kafka, tmp_path, re.sub(r"\W", "-", request.node.name)[:80])
    await made.topics()
    yield made
    made.close()


@pytest.fixture(scope="module")
def broker() -> Iterator[str]:
    """The address of an embedded broker for all tests of a module."""
    try:
        with embedded_broker() as address:
            yield address
    except EmbeddedBrokerError as error:
        pytest.skip(str(error))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def embedded(broker: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Installation]:
    """An installation on the embedded broker, with one worker, for all tests of a module."""
    made = Installation.on(broker, tmp_path_factory.mktemp("embedded"), "quick", idempotence=False)
    await made.topics()
    await made.worker().ready()
    yield made
    made.close()
