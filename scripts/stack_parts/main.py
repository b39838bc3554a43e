"""The command line of scripts/stack."""

from __future__ import annotations

import argparse
import fcntl
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from . import passwords
from .machine import ROOT, Failed, require_programs
from .site import Site

_LOCK: Final = ".lock-of-scripts-stack"


def up(folder: Path) -> None:
    """Starts what does not run, and says where everything is and what can be done with it."""
    require_programs()
    site = Site(folder)
    site.up()
    _show(site)
    option = "" if folder == ROOT / ".stack" else f" --dir {folder}"
    print(
        f"\nto see something:  . {site.environment_file}"
        "\n                   treasury-watch simulate --seed 1 --payments 5000 --out - | treasury-watch publish -"
        "\n                   treasury-watch cases list"
        "\n                   (treasury-watch is in .venv/bin)"
        f"\nto stop:           scripts/stack down{option}"
    )


def down(folder: Path) -> None:
    """Ends all parts."""
    Site(folder).down()


def status(folder: Path) -> None:
    """Says of each part where it is and whether it is ready. Raises Failed when not all are."""
    if _show(Site(folder)) != {"ready"}:
        raise Failed("not all is ready; each part has a log in its folder")


def _show(site: Site) -> set[str]:
    states = set()
    for part in site.parts():
        state = part.state()
        print(f"{part.name:<14}{part.address or '-':<26}{part.pid() or '-':<9}{state}")
        states.add(state)
    return states


def make_secrets(folder: Path) -> None:
    """The files that docker-compose.yml mounts, for the group of the containers. Raises Failed."""
    if os.geteuid() != 0:
        raise Failed(f"only root may give files to group {passwords.CONTAINERS}, that of the containers; use sudo", 2)
    passwords.make(folder, "postgres:5432", group=passwords.CONTAINERS)
    print(folder)


ON_A_SITE: Final[dict[str, Callable[[Path], None]]] = {"up": up, "down": down, "status": status}


@contextmanager
def _locked(folder: Path, *, new: bool) -> Iterator[None]:
    """Only one of these at a time works in a folder, perhaps a new one; the lock goes with us. Raises Failed."""
    if not (new or folder.exists()):
        raise Failed(f"nothing was started in {folder}")
    if folder.exists() and any(folder.iterdir()) and not (folder / _LOCK).exists():
        raise Failed(f"{folder} holds files that are not from here; name an empty or a new folder", 2)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / _LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _terminated(number: int, _: object) -> None:
    sys.exit(128 + number)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="scripts/stack",
        description=sys.modules[__package__].__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", choices=[*ON_A_SITE, "secrets"])
    parser.add_argument("--dir", type=Path, default=ROOT / ".stack", metavar="D", help="the folder of the site")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, _terminated)
    try:
        if arguments.command == "secrets":
            make_secrets(ROOT / "secrets")
        else:
            folder = arguments.dir.resolve()
            with _locked(folder, new=arguments.command == "up"):
                ON_A_SITE[arguments.command](folder)
    except Failed as failed:
        print(f"scripts/stack: {failed}", file=sys.stderr)
        return failed.status
    except KeyboardInterrupt:
        return 130
    return 0
