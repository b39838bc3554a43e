"""Rule sets out of git's objects, from a real repository."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.rules.texts import CARDS, LISTS, rule_file
from treasury_watch.adapters.gitrules import UnknownRevision, files_at
from treasury_watch.rules.limits import FILE_BYTES, SET_FILES

WHEN = "  mode: shadow\n  when: {field: amount, gt: 1.00}\n"


def git(folder: Path, *arguments: str) -> str:
    config = ["-c", "user.name=li", "-c", "user.email=li@example.gov", "-c", "commit.gpgsign=false"]
    ran = subprocess.run(["git", *config, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return ran.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Rules in `rules/`, committed, then changed in the work tree."""
    folder = tmp_path / "repository"
    rules = folder / "rules"
    for name in ("lists", "tables", "other"):
        (rules / name).mkdir(parents=True)
    for name, data in {**CARDS, **LISTS, "规则.yaml": rule_file(WHEN), "other/x.yaml": b"x", "README.md": b"x"}.items():
        (rules / name).write_bytes(data)
    git(folder, "init", "--quiet", "--initial-branch", "main")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "rules")
    (rules / "规则.yaml").write_bytes(b"half-done")
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize(
    ("name", "beside", "prefix"),
    [("main", "rules", "main:rules/"), ("main:rules", ".", "main:rules/"), ("HEAD:rules/", "main", "HEAD:rules/")],
)
def test_a_revision_is_read_without_touching_the_work_tree(
    repository: Path, name: str, beside: str, prefix: str
) -> None:
    before = git(repository, "status", "--porcelain")
    files = files_at(name, beside)
    expected = {**CARDS, **LISTS, "规则.yaml": rule_file(WHEN)}
    assert files == {prefix + path: data for path, data in expected.items()}
    assert git(repository, "status", "--porcelain") == before


def test_a_revision_alone_is_that_of_the_other_directory(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(repository / "rules")
    assert "HEAD:rules/规则.yaml" in files_at("HEAD", ".")
    assert "main:rules/规则.yaml" in files_at("main", "HEAD")  # two revisions: the current directory


def test_a_directory_is_a_directory_whatever_git_calls_so(repository: Path) -> None:
    git(repository, "branch", "rules")
    assert files_at("rules", ".")["rules/规则.yaml"] == b"half-done"


def test_attributes_do_not_change_what_is_read(repository: Path) -> None:
    (repository / ".gitattributes").write_text("*.yaml export-ignore eol=crlf\n")
    git(repository, "add", ".gitattributes")
    git(repository, "commit", "--quiet", "--message", "attributes")
    assert files_at("HEAD:rules", ".")["HEAD:rules/规则.yaml"] == rule_file(WHEN)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("mian", "mian is no revision of the repository"),
        ("--help", "--help is no revision of the repository"),
        ("main:nowhere", "no rules of a git revision"),
        ("main~7", "main~7 is no revision of the repository"),
    ],
)
def test_what_is_not_there_is_told_in_one_line(repository: Path, name: str, told: str) -> None:
    with pytest.raises(UnknownRevision, match=told) as caught:
        files_at(name, "rules")
    assert "\n" not in str(caught.value)


def test_a_link_in_git_is_not_followed(repository: Path) -> None:
    (repository / "rules" / "link.yaml").symlink_to("规则.yaml")
    git(repository, "add", "rules/link.yaml")
    git(repository, "commit", "--quiet", "--message", "link")
    with pytest.raises(UnknownRevision, match=r"link\.yaml is a link"):
        files_at("HEAD", "rules")


def test_outside_of_a_repository_git_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(UnknownRevision, match="not a git repository"):
        files_at("HEAD", ".")


def test_without_git_that_is_told(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(repository))
    with pytest.raises(UnknownRevision, match="git is not installed"):
        files_at("HEAD", "rules")


def test_of_a_file_that_is_too_large_no_more_is_read_than_shows_that(repository: Path) -> None:
    (repository / "rules" / "tables" / "large.csv").write_bytes(b"x" * (FILE_BYTES.most + 1000))
    (repository / "rules" / "tables" / "just.csv").write_bytes(b"x" * FILE_BYTES.most)
    git(repository, "add", ".")
    git(repository, "commit", "--quiet", "--message", "large")
    files = files_at("HEAD", "rules")
    sizes = {name: len(files[f"HEAD:rules/tables/{name}.csv"]) for name in ("large", "just")}
    assert sizes == {"large": FILE_BYTES.most + 1, "just": FILE_BYTES.most}


def test_too_many_files_and_none_are_told(repository: Path) -> None:
    (repository / "docs").mkdir()
    (repository / "docs" / "README.md").write_bytes(b"x")
    for number in range(SET_FILES.most + 1):
        (repository / "rules" / f"{number}.yaml").write_bytes(b"x")
    git(repository, "add", ".")
    git(repository, "commit", "--quiet", "--message", "many")
    with pytest.raises(UnknownRevision, match="HEAD: 1,005 rule files: a rule set has at most 1,000"):
        files_at("HEAD", "rules")
    with pytest.raises(UnknownRevision, match="HEAD:docs: no rule file there"):
        files_at("HEAD:docs", "rules")
