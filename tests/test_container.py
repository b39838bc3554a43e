"""The container as it is described; it is not built here."""

from __future__ import annotations

import re

import pytest
import yaml

from tests.conftest import ROOT

SERVICES = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]


def test_the_image_runs_as_a_numbered_user_that_is_not_root() -> None:
    last_stage = re.split(r"^FROM .*$", (ROOT / "Dockerfile").read_text(encoding="utf-8"), flags=re.MULTILINE)[-1]
    users = re.findall(r"^USER (\d+):(\d+)$", last_stage, flags=re.MULTILINE)
    assert len(users) == 1
    assert min(map(int, users[0])) >= 10_000
    assert last_stage.index("COPY") < last_stage.index("USER")  # what is copied is root's


@pytest.mark.parametrize("name", [name for name, service in SERVICES.items() if service["image"] == "treasury-watch"])
def test_our_services_write_nowhere_but_to_tmp_and_may_do_nothing_special(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["tmpfs"] == ["/tmp"]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]


@pytest.mark.parametrize("name", SERVICES)
def test_no_port_is_open_to_other_machines(name: str) -> None:
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[name].get("ports", []))


def test_no_secret_is_in_the_image_or_in_the_compose_file() -> None:
    for name in ("Dockerfile", "docker-compose.yml"):
        assert not re.search(r"PASSWORD|SIGNING_KEY|SSL_KEY", (ROOT / name).read_text(encoding="utf-8"))
