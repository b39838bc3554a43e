"""Ids are known for as long as their instruction could be accepted again, and memory does not grow beyond that."""

from __future__ import annotations

from treasury_watch.engine.ids import GENERATIONS, Ids, fingerprint_in, seen_of, us_in

KEEP = 1_000


def test_what_is_kept_with_an_id_reads_back() -> None:
    seen = seen_of(b"0123456789abcdef", -5)
    assert (fingerprint_in(seen), us_in(seen)) == (b"0123456789abcdef", -5)


def test_an_id_is_known_until_its_instruction_would_be_too_late() -> None:
    ids = Ids()
    for watermark in range(0, 10 * KEEP, 7):
        ids.newest[f"I{watermark}"] = seen_of(bytes(16), watermark)
        ids.forget(watermark, KEEP)
        for still in range(max(0, (watermark - KEEP + 6) // 7 * 7), watermark + 1, 7):
            assert ids.find(f"I{still}") is not None, (still, watermark)


def test_ids_are_forgotten_a_generation_at_a_time() -> None:
    ids = Ids()
    for watermark in range(20 * KEEP):
        ids.newest[f"I{watermark}"] = seen_of(bytes(16), watermark)
        ids.forget(watermark, KEEP)
        assert len(ids) <= KEEP + 2 * KEEP // GENERATIONS + 2
    assert ids.find("I0") is None


def test_an_id_is_dropped_from_whichever_generation_holds_it() -> None:
    ids = Ids()
    ids.newest["old"] = seen_of(bytes(16), 0)
    ids.forget(0, KEEP)
    ids.forget(KEEP // 2, KEEP)
    ids.newest["new"] = seen_of(bytes(16), KEEP // 2)
    assert sorted(name for name, _ in ids.items()) == ["new", "old"]
    ids.drop("old")
    ids.drop("new")
    assert (len(ids), ids.find("old"), ids.find("new")) == (0, None, None)
