"""The Faust app of the worker: one agent on the payments topic, metrics and health on Faust's web server."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import platform
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, cast

import faust
from faust import web
from faust.tables.recovery import RebalanceAgain
from faust.types import TP, StreamT
from prometheus_client import CONTENT_TYPE_LATEST

from treasury_watch.adapters.history import HistoryError, feeds_of
from treasury_watch.adapters.kafka.assignment import Assignment
from treasury_watch.adapters.kafka.collector import QUIET_SECONDS, Collector
from treasury_watch.adapters.kafka.connection import BrokerError, faust_credentials, what_keeps_us_away
from treasury_watch.adapters.kafka.control.inputs import ControlInputs
from treasury_watch.adapters.kafka.control.steering import Steering
from treasury_watch.adapters.kafka.driver import OUTPUT_BATCH_BYTES, AsIs, Batch, Consumer, Producer, Transport
from treasury_watch.adapters.kafka.ending import end_at_last
from treasury_watch.adapters.kafka.fencing import KEEP_ALIVE_SECONDS, Fenced
from treasury_watch.adapters.kafka.publisher import Publisher, PublishError, take_outputs
from treasury_watch.adapters.kafka.restore import StateDamaged, StateTopic
from treasury_watch.adapters.kafka.standby import Standby
from treasury_watch.adapters.kafka.waiting import LOOK_SECONDS, Contact
from treasury_watch.adapters.logs import mute_libraries
from treasury_watch.adapters.metrics import Metrics
from treasury_watch.adapters.settings import Settings
from treasury_watch.adapters.statuspage import serve_status

APPLY_SECONDS = 0.5
WRITE_SECONDS = 0.2  # between two writings of what changed: so much, and what they take, is judged again after a crash

log = logging.getLogger(__name__)


class App(faust.App):
    """A Faust app with the batch driver, and what its agent works with."""

    assignment: Assignment
    steering: Steering
    batches: Transport
    told_to_stop = False  # by a signal

    def _new_transport(self) -> Transport:
        return self.batches

    def _new_producer_transport(self) -> Transport:
        return self.batches

    def stop_loudly(self, error: Exception) -> None:
        """Ends the worker with status 1 for what keeps it from working. One that is stopping loses nothing by what it
        cannot publish any more, as it was replaced or its producer is closed: whoever is next publishes it.
        """
        if self.told_to_stop and isinstance(error, (Fenced, PublishError)):
            log.info("while stopping: %s", error)
            return
        expected = isinstance(error, (PublishError, HistoryError, BrokerError, Fenced, StateDamaged))
        log.critical("stopping: %s", error, exc_info=None if expected else error)
        mute_libraries()
        end_at_last(1)
        self.add_future(self.crash(error))


def create_app(settings: Settings, inputs: ControlInputs) -> App:
    """The app, ready for Faust's worker and command line; it connects when it is started. `inputs` were read once.

    Raises HistoryError.
    """
    payments = settings.topic("payments")
    servers = settings.bootstrap_servers.split(",")
    app = App(
        settings.group,
        env={},  # Faust reads dozens of variables with plain names, such as WEB_PORT, and puts them first
        broker=[f"kafka://{server}" for server in servers],
        broker_credentials=faust_credentials(settings),
        broker_client_id=f"treasury-watch-{platform.node()}-{settings.web_port}",  # `rules status` shows it
        # A worker that is gone is noticed after 6 s, the brokers' lowest default limit; a first member waits for none.
        broker_session_timeout=6.0,
        broker_heartbeat_interval=2.0,
        broker_rebalance_timeout=8.0,
        broker_max_poll_interval=3600.0,  # rebuilding windows is not being stuck
        broker_commit_interval=0.5,
        broker_commit_livelock_soft_timeout=1e9,  # else the first payment after five quiet minutes is called stuck
        consumer_auto_offset_reset="earliest",
        producer_acks=-1,
        producer_request_timeout=40.0,  # then a publish has failed, and the worker stops; Faust waits for 20 minutes
        producer_max_batch_size=OUTPUT_BATCH_BYTES,
        stream_wait_empty=True,
        topic_allow_declare=False,
        topic_disable_leader=True,
        store="memory://",
        datadir=settings.data_dir,
        web_bind=settings.web_host,
        web_port=settings.web_port,
        web_host=settings.web_host,
        web_router_enabled=False,
        web_tables_enabled=False,
        worker_redirect_stdouts=False,
        autodiscover=False,
    )

    async def outputs(partitions: Sequence[int], abandoned: Callable[[], bool]) -> Mapping[int, Publisher]:
        def unwanted() -> bool:
            return abandoned() or app.told_to_stop or bool(app.should_stop)

        return await take_outputs(settings, cast(Producer, app.producer).client, metrics, partitions, unwanted)

    app.steering = steering = Steering(settings, inputs)
    metrics = Metrics(steering.ruleset)
    feeds = feeds_of(settings, steering.ruleset.partition_by)
    standby = Standby(settings) if settings.standby else None
    app.assignment = assignment = Assignment(
        settings, steering, metrics, app.stop_loudly, outputs, StateTopic(settings, standby), feeds
    )
    app.batches = batches = Transport(app.conf.broker_consumer, app)
    batches.batch_topic = payments
    batches.positions = assignment.positions
    batches.revoked = assignment.give_back
    batches.idle = assignment.idle

    @app.on_rebalance_complete.connect
    async def take_over(*_: Any, **__: Any) -> None:
        consumer = cast(Consumer, app.consumer)
        assigned = {TP(tp.topic, tp.partition) for tp in consumer.assignment() if tp.topic == payments}
        if not await assignment.take_over(assigned, consumer):
            raise RebalanceAgain  # Faust resumes nothing, and comes back when the next rebalance is complete

    @app.agent(app.topic(payments, value_serializer=AsIs()), name="judge")
    async def judge(stream: StreamT[Batch]) -> None:
        consumer = cast(Consumer, app.consumer)
        async for event in cast(faust.Stream[Batch], stream).noack().events():
            batch = cast(Batch, event.value)
            consumer.taken(batch)
            await assignment.judge(batch)

    app.timer(KEEP_ALIVE_SECONDS)(assignment.keep_alive)

    collector = Collector()

    async def collect() -> None:
        while not app.should_stop:
            await asyncio.sleep(QUIET_SECONDS)
            if assignment.ready:  # or payments wait for partitions that are being taken over
                collector.look(sum(assignment.positions().values()))

    app.task(collect)

    async def write_state() -> None:
        while not app.should_stop:
            await asyncio.sleep(WRITE_SECONDS)
            await assignment.write()

    app.task(write_state)
    app.task(steering.follow)

    if standby is not None:
        metrics.watch_standby(lambda: standby.partitions)

        async def follow_states() -> None:
            await standby.follow(assignment.of_others)

        app.task(follow_states)

    async def apply_inputs() -> None:
        while not app.should_stop:
            with suppress(TimeoutError):  # what was published before may have to be judged again first
                await asyncio.wait_for(steering.changed.wait(), APPLY_SECONDS)
            steering.changed.clear()
            await assignment.apply()

    app.task(apply_inputs)

    contact = Contact(settings, what_keeps_us_away)

    async def look() -> None:
        await contact.look(cast(Consumer, app.consumer).in_touch)

    app.timer(LOOK_SECONDS)(look)

    metrics.watch_ready(lambda: assignment.ready and not contact.lost)

    @app.page("/metrics")
    async def exposition(self: web.View, request: web.Request) -> web.Response:
        return self.bytes(metrics.exposition(), content_type=CONTENT_TYPE_LATEST.partition(";")[0])

    @app.page("/healthz")
    async def healthz(self: web.View, request: web.Request) -> web.Response:
        return self.json({"status": "ok"})

    @app.page("/state")
    async def state(self: web.View, request: web.Request) -> web.Response:
        states = await assignment.states()
        return self.json(
            {
                str(number): {"position": position, "digest": "sha256:" + hashlib.sha256(dump).hexdigest()}
                for number, (position, dump) in states.items()
            }
        )

    def condition() -> str:
        status = "ready" if assignment.ready else "taking over partitions"
        return "waiting for brokers" if contact.lost else status

    @app.page("/readyz")
    async def readyz(self: web.View, request: web.Request) -> web.Response:
        status = condition()
        return self.json({"status": status}, status=200 if status == "ready" else 503)

    if settings.status_page:
        serve_status(app, settings, metrics, assignment, condition)

    return app
