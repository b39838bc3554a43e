"""The kinds of disturbance: what happens to workers, broker and connections while they judge."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from random import Random

from .broker import Broker
from .fleet import WORKER, Fleet, Worker
from .proxy import Proxy
from .topics import Load

SESSION_SECONDS = 6.0  # a worker that is silent for longer has lost its partitions
START_SECONDS = 90.0
TERM_SECONDS = 60.0
CLOCK = ("-m", "fault_trials.clock")


@dataclass
class Scene:
    """What a disturbance may touch. `log` says what was done, for whoever looks into a failed trial."""

    fleet: Fleet
    broker: Broker
    load: Load
    proxies: list[Proxy]
    chance: Random
    log: Callable[[str], None]

    async def moment(self, least: float, most: float) -> None:
        await asyncio.sleep(self.chance.uniform(least, most))

    def someone(self) -> Worker:
        """A worker that runs; waits for none, so there must be one."""
        return self.chance.choice([worker for worker in self.fleet.living if not worker.stopped])

    async def kill(self, worker: Worker) -> None:
        self.log(f"kill -9 worker {worker.number}")
        worker.kill()


Disturb = Callable[[Scene], Awaitable[None]]


@dataclass(frozen=True)
class Kind:
    """`about` is one line for the table's legend; `command` is what workers are started with."""

    about: str
    disturb: Disturb
    proxied: bool = False
    command: tuple[str, ...] = field(default=WORKER)


async def kill(scene: Scene) -> None:
    for _ in range(scene.chance.randint(1, 2)):
        await scene.moment(0.3, 4.0)
        await scene.kill(scene.someone())
        await scene.moment(0.0, 2.0)
        await scene.fleet.start()
    await scene.moment(0.0, 3.0)


async def kill_starting(scene: Scene) -> None:
    """While it starts, takes over, fences, recovers."""
    for _ in range(3):
        await scene.moment(0.2, 1.5)
        await scene.kill(scene.someone())
        starting = await scene.fleet.start()
        await starting.speaks(START_SECONDS)
        await scene.moment(0.0, 3.0)
        await scene.kill(starting)
        await scene.fleet.start()


async def kill_rebalancing(scene: Scene) -> None:
    """While partitions go from one to another."""
    await scene.moment(0.3, 2.0)
    joining = await scene.fleet.start()
    await joining.speaks(START_SECONDS)
    scene.log(f"worker {joining.number} joins")
    await scene.moment(0.0, 3.0)
    await scene.kill(scene.someone())
    await scene.moment(0.0, 3.0)
    await scene.fleet.start()


async def kill_all(scene: Scene) -> None:
    await scene.moment(0.3, 4.0)
    for worker in scene.fleet.living:
        await scene.kill(worker)
    await scene.moment(0.0, 2.0)
    for _ in range(2):
        await scene.fleet.start()
    await scene.moment(0.0, 3.0)


async def stop(scene: Scene) -> None:
    """Stopped until another has its partitions, then continued: it must publish nothing more of them."""
    await scene.moment(0.3, 3.0)
    worker = scene.someone()
    scene.load.rate *= 2
    scene.log(f"SIGSTOP worker {worker.number}")
    worker.stop()
    await scene.moment(SESSION_SECONDS + 2.0, SESSION_SECONDS + 6.0)
    scene.log(f"SIGCONT worker {worker.number}")
    worker.go_on()
    await scene.moment(0.5, 3.0)


async def stop_short(scene: Scene) -> None:
    """Stopped for less than its session: nobody notices but those who wait."""
    for _ in range(3):
        await scene.moment(0.3, 1.5)
        worker = scene.someone()
        scene.log(f"SIGSTOP worker {worker.number}, for a short time")
        worker.stop()
        await scene.moment(0.2, SESSION_SECONDS - 2.5)
        worker.go_on()


async def stop_all(scene: Scene) -> None:
    """All stopped beyond their sessions and continued at once, or nearly: each takes itself for the owner."""
    await scene.moment(0.3, 3.0)
    workers = [worker for worker in scene.fleet.living if not worker.stopped]
    scene.log("SIGSTOP all workers")
    for worker in workers:
        worker.stop()
    await scene.moment(SESSION_SECONDS + 1.0, SESSION_SECONDS + 4.0)
    successor = await scene.fleet.start()
    scene.log(f"worker {successor.number} joins")
    await scene.moment(2.0, 9.0)
    scene.chance.shuffle(workers)
    for worker in workers:
        scene.log(f"SIGCONT worker {worker.number}")
        worker.go_on()
        await scene.moment(0.0, 0.5)
    await scene.moment(0.5, 3.0)


async def terminate(scene: Scene) -> None:
    """SIGTERM: it must finish, give back and end with 0."""
    for _ in range(2):
        await scene.moment(0.3, 3.0)
        worker = scene.someone()
        scene.log(f"SIGTERM worker {worker.number}")
        await worker.terminate(TERM_SECONDS)
        await scene.fleet.start()


async def join_and_leave(scene: Scene) -> None:
    for _ in range(2):
        await scene.moment(0.3, 2.0)
        joining = await scene.fleet.start()
        scene.log(f"worker {joining.number} joins")
        await scene.moment(1.0, 6.0)
        leaving = scene.someone()
        scene.log(f"worker {leaving.number} leaves")
        await leaving.terminate(TERM_SECONDS)


async def kill_broker(scene: Scene) -> None:
    await scene.moment(0.3, 3.0)
    scene.log("kill -9 broker")
    await scene.broker.kill()
    await scene.moment(0.0, 4.0)
    await scene.broker.start()
    scene.log("broker is back")
    await scene.moment(0.5, 3.0)


async def kill_both(scene: Scene) -> None:
    """Broker and a worker at the same moment: what the worker had sent may or may not be there."""
    await scene.moment(0.3, 3.0)
    scene.log("kill -9 broker")
    await asyncio.gather(scene.broker.kill(), scene.kill(scene.someone()))
    await scene.broker.start()
    scene.log("broker is back")
    await scene.fleet.start()
    await scene.moment(0.5, 3.0)


async def pause_broker(scene: Scene) -> None:
    await scene.moment(0.3, 3.0)
    scene.log("SIGSTOP broker")
    scene.broker.pause()
    await scene.moment(0.5, SESSION_SECONDS + 4.0)
    scene.broker.resume()
    scene.log("SIGCONT broker")
    await scene.moment(0.5, 3.0)


async def cut(scene: Scene) -> None:
    """Connections broken again and again, at times refused for a while."""
    for _ in range(scene.chance.randint(2, 6)):
        await scene.moment(0.2, 1.5)
        proxy = scene.chance.choice(scene.proxies)
        proxy.refuses = scene.chance.random() < 0.5
        scene.log(f"connections of a worker cut{', and refused' if proxy.refuses else ''}")
        proxy.cut()
        await scene.moment(0.0, 3.0)
        proxy.refuses = False


async def hold(scene: Scene) -> None:
    """Nothing gets through, beyond the session, and then all that was on its way does."""
    await scene.moment(0.3, 3.0)
    proxy = scene.chance.choice(scene.proxies)
    scene.load.rate *= 2
    scene.log("connections of a worker held")
    proxy.hold()
    await scene.moment(SESSION_SECONDS + 2.0, SESSION_SECONDS + 6.0)
    proxy.release()
    scene.log("connections of a worker released")
    await scene.moment(0.5, 3.0)


async def full_disk(scene: Scene) -> None:
    """No file can be written any more; and then one is killed, and its successor finds the disk full from the start."""
    await scene.moment(0.3, 2.0)
    scene.log("disk full for all workers")
    for worker in scene.fleet.living:
        worker.fill_disk()
    await scene.moment(1.0, 3.0)
    await scene.kill(scene.someone())
    successor = await scene.fleet.start()
    successor.fill_disk()
    await scene.moment(2.0, 5.0)


async def clock(scene: Scene) -> None:
    """The clocks of the workers jump by hours, each by itself; one is killed meanwhile."""
    await scene.moment(1.0, 4.0)
    await scene.kill(scene.someone())
    await scene.fleet.start()
    await scene.moment(2.0, 5.0)


async def mix(scene: Scene) -> None:
    """Two kinds at the same time."""
    pair = scene.chance.sample([kill, kill_starting, stop, stop_short, terminate, join_and_leave, pause_broker], 2)
    scene.log(f"at the same time: {', '.join(each.__name__ for each in pair)}")
    await asyncio.gather(*(each(scene) for each in pair))


KINDS: dict[str, Kind] = {
    "kill": Kind("kill -9 of a worker, once or twice", kill),
    "kill-starting": Kind("kill -9 of workers that start or take over", kill_starting),
    "kill-rebalancing": Kind("kill -9 of a worker while another joins", kill_rebalancing),
    "kill-all": Kind("kill -9 of all workers at once", kill_all),
    "stop": Kind("SIGSTOP of a worker beyond its session, SIGCONT", stop),
    "stop-short": Kind("SIGSTOP within the session, three times", stop_short),
    "stop-all": Kind("SIGSTOP of all beyond their sessions, another takes over, SIGCONT", stop_all),
    "terminate": Kind("SIGTERM of a worker, twice", terminate),
    "join-and-leave": Kind("workers join, others leave", join_and_leave),
    "kill-broker": Kind("kill -9 of the broker, started again", kill_broker),
    "kill-both": Kind("kill -9 of broker and a worker at once", kill_both),
    "pause-broker": Kind("SIGSTOP of the broker, up to ten seconds", pause_broker),
    "cut": Kind("connections of a worker cut and refused, several times", cut, proxied=True),
    "hold": Kind("connections of a worker held beyond its session, then released", hold, proxied=True),
    "full-disk": Kind("no file can be written any more, a worker killed", full_disk),
    "clock": Kind("clocks of the workers jump by hours, a worker killed", clock, command=CLOCK),
    "mix": Kind("two of the kinds at the same time", mix),
}
