"""The project's own promises: what a newcomer types works, and what is installed is exactly what was locked."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ["requirements.lock", "requirements-dev.lock"]


def requirements(lock: str) -> dict[str, str]:
    """Each locked name with all text that belongs to it."""
    entries = re.split(r"^(?=\w)", (ROOT / lock).read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    return {normal(entry): entry for entry in entries}


def normal(requirement: str) -> str:
    name = re.match(r"[\w.-]+", requirement)
    assert name is not None, requirement
    return re.sub(r"[-_.]+", "-", name[0]).lower()


@pytest.mark.parametrize("lock", LOCKS)
def test_the_lock_names_no_address(lock: str) -> None:
    text = (ROOT / lock).read_text(encoding="utf-8")
    assert not re.findall(r"https?:|://|--(?:extra-)?index|--find-links|@ ", text)


@pytest.mark.parametrize("lock", LOCKS)
def test_everything_locked_has_a_version_and_hashes(lock: str) -> None:
    assert all("==" in entry and "--hash=sha256:" in entry for entry in requirements(lock).values())


def test_everything_that_the_project_needs_is_locked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    runtime = {normal(each) for each in project["project"]["dependencies"]}
    development = {normal(each) for each in project["dependency-groups"]["dev"]}
    build = {normal(each) for each in project["build-system"]["requires"]}
    assert runtime <= requirements("requirements.lock").keys()
    assert runtime | development | build <= requirements("requirements-dev.lock").keys()


def test_both_locks_agree() -> None:
    developer = (ROOT / "requirements-dev.lock").read_text(encoding="utf-8")
    assert [entry for entry in requirements("requirements.lock").values() if entry not in developer] == []


@pytest.mark.parametrize("target", ["demo", "test", "test-all", "lint", "bench"])
def test_make_has_the_target_and_sets_the_project_up_first(target: str) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.search(rf"^{target}: bootstrap ## \w", makefile, flags=re.MULTILINE)
