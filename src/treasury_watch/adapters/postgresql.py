"""A PostgreSQL of our own, where it is on the machine: in a temporary directory, on loopback and a free port.

For the demo, tests and benchmarks. It has ended when the context has, and its data is gone.
"""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from treasury_watch.adapters.cases.database import told
from treasury_watch.adapters.embedded import free_port

_LOGIN: Final = "postgres"  # of the server, and the account that it runs as where we are root, which it refuses
_START_SECONDS: Final = 30.0
_DEBIAN: Final = Path("/usr/lib/postgresql")  # where Debian puts versions, off the path
_PROGRAMS: Final = ("initdb", "postgres")


class NotInstalled(Exception):
    """There is no PostgreSQL on this machine: one line that says what to install."""


class ServerError(Exception):
    """PostgreSQL does not start, or does not do what is asked: what it said."""


class Server:
    """A PostgreSQL server, with options such as `fsync=off`; started and stopped as often as wanted.

    It lets in who knows its password, which is made up for it. Making one raises NotInstalled, or ServerError.
    """

    def __init__(self, folder: Path, *options: str) -> None:
        self.port = free_port()
        self._options = [part for option in options for part in ("-c", option)]
        self._folder = folder
        self._programs = programs()
        self._account = _account()
        self._process: subprocess.Popen[bytes] | None = None
        self._made = 0
        self._password = secrets.token_urlsafe()
        password = folder / "password"
        password.touch(mode=0o600)
        password.write_text(self._password)
        if self._account:
            shutil.chown(folder, self._account)
            shutil.chown(password, self._account)
        wanted = ("--auth=scram-sha-256", f"--pwfile={password}", f"--username={_LOGIN}")
        if self._run("initdb", *wanted, "--encoding=UTF8", "--no-locale", "--no-sync", str(folder / "data")).wait():
            raise ServerError(self._last_words())
        password.unlink()

    def start(self) -> None:
        """Starts it, and waits until it answers. Raises ServerError."""
        process = self._run(
            "postgres",
            *("-D", str(self._folder / "data"), "-p", str(self.port), "-h", "127.0.0.1", "-k", ""),
            *("-c", "max_connections=50", *self._options),
        )
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                psycopg.connect(self.url(_LOGIN), connect_timeout=2).close()
                return
            except psycopg.OperationalError as error:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise ServerError(self._last_words()) from error
                time.sleep(0.05)

    def stop(self, with_signal: signal.Signals = signal.SIGINT) -> None:
        """Ends it: SIGINT at once but in order, SIGQUIT as if the power went."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(with_signal)
            self._process.wait(_START_SECONDS)

    def database(self, like: str = "template1") -> str:
        """The name of a new database, empty or like another one that nobody is connected to. Raises ServerError."""
        self._made += 1
        name = f"cases_{self._made}"
        wanted = sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(like))
        try:
            with psycopg.connect(self.url(_LOGIN), autocommit=True) as connection:
                connection.execute(wanted)
        except psycopg.Error as error:
            raise ServerError(told(error)) from error
        return name

    def url(self, database: str, **others: Any) -> str:
        """The address of a database, with the login that may do everything."""
        given = {"host": "127.0.0.1", "port": self.port, "user": _LOGIN, "password": self._password, "dbname": database}
        return make_conninfo(**{**given, **others})

    @property
    def pid(self) -> int:
        """The process id of the one that was started last."""
        assert self._process is not None
        return self._process.pid

    def _run(self, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(self._programs / program), *arguments],
                cwd=self._folder,
                env={**os.environ, "LC_ALL": "C.UTF-8"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                user=self._account,
                group=self._account and pwd.getpwnam(self._account).pw_gid,
                extra_groups=[] if self._account else None,
                start_new_session=True,  # an interrupt from the terminal is for the caller, which then ends it
            )
        return self._process

    def _last_words(self) -> str:
        return " ".join((self._folder / "log").read_text(errors="replace").split()[-60:])


@contextmanager
def postgresql(*options: str) -> Iterator[Server]:
    """A running server, on data of its own that is deleted at the end. Raises NotInstalled or ServerError."""
    folder = Path(tempfile.mkdtemp(prefix="treasury-watch-postgresql-"))
    try:
        server = Server(folder, *options)
        try:
            server.start()
            yield server
        finally:
            server.stop(signal.SIGQUIT)  # what it would still write is deleted
    finally:
        shutil.rmtree(folder)


def programs() -> Path:
    """The folder of the newest programs of PostgreSQL: on the path, or where Debian puts them. Raises NotInstalled."""
    found = shutil.which("postgres")
    folders = [Path(found).parent] if found else []
    folders += sorted(_DEBIAN.glob("*/bin"), key=lambda each: float(each.parent.name), reverse=True)
    for folder in folders:
        if all((folder / each).is_file() for each in _PROGRAMS):
            return folder
    raise NotInstalled(
        "there is no PostgreSQL; install one (Debian: apt-get install --no-install-recommends postgresql)"
    )


def _account() -> str | None:
    if os.geteuid() != 0:
        return None
    for name in (_LOGIN, "nobody"):
        try:
            pwd.getpwnam(name)
        except KeyError:
            continue
        return name
    raise NotInstalled("PostgreSQL refuses to run as root, and there is no account `postgres` or `nobody` for it")
