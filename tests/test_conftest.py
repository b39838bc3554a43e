"""`make test-all` accepts no skips; `make test` does."""

from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

SKIPS = """
import pytest

def test_that_passes(): pass
def test_that_skips(): pytest.skip("no Java")
@pytest.mark.skipif(True, reason="not today")
def test_that_is_marked(): pass
@pytest.mark.xfail
def test_that_is_known_to_fail(): assert False
"""
SKIPS_THE_MODULE = "import pytest; pytest.skip('not on this machine', allow_module_level=True)"


@pytest.fixture(autouse=True)
def same_conftest(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    pytester.makeconftest(Path(__file__).with_name("conftest.py").read_text(encoding="utf-8"))


def test_a_skip_is_a_skip_in_an_ordinary_run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TREASURY_WATCH_TEST_ALL", raising=False)
    pytester.makepyfile(SKIPS)
    pytester.runpytest_inprocess().assert_outcomes(passed=1, skipped=2, xfailed=1)


def test_a_skip_is_a_failure_when_all_tests_are_asked_for(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TREASURY_WATCH_TEST_ALL", "1")
    pytester.makepyfile(SKIPS)
    result = pytester.runpytest_inprocess()
    result.assert_outcomes(passed=1, failed=1, errors=1, xfailed=1)
    result.stdout.fnmatch_lines(["*no Java*", "*accepts no skips*"])


def test_a_skipped_module_is_an_error_when_all_tests_are_asked_for(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TREASURY_WATCH_TEST_ALL", "1")
    pytester.makepyfile(SKIPS_THE_MODULE)
    pytester.runpytest_inprocess().assert_outcomes(errors=1)
