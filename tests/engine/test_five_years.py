"""Five years of payments: what is remembered stays as much as the windows ask for, and so does what is written."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from tests.builders import make_instruction
from tests.rulesets import DAY, aggregate, leaf, make_rule, make_ruleset, ref, yuan
from treasury_watch.engine import Engine, Program
from treasury_watch.engine.journal import BEGIN, WHOLE, Journal, Restoring

START = datetime.fromisoformat("2024-12-30T09:00:00+08:00")  # two year ends with a leap day between, and three more
FEATURES = (
    aggregate("sum", "amount", "payee_account", window_us=365 * DAY),
    aggregate("distinct", "payee_account", "budget_unit", window_us=30 * DAY),
    aggregate("count", "instruction_id", "budget_unit", "purpose", period="month", population="attempted"),
    aggregate("sum", "amount", "budget_unit", period="fiscal_year"),
)
RULES = (
    make_rule("HELD", leaf("amount", "gte", yuan("900.00"))),
    *(make_rule(f"R{at}", leaf(ref(each), "lt", -1), action="warn") for at, each in enumerate(FEATURES)),
)
A_DAY = 6
DAYS = 5 * 365 + 2


@pytest.mark.no_cover
def test_memory_and_what_is_written_stay_flat_for_five_years() -> None:
    program = Program(make_ruleset(*RULES))
    engine = Engine(program)
    journal = Journal(engine)
    sizes: list[dict[str, int]] = []
    rotations: list[int] = []  # bytes from the begin of a rotation to its end
    written = 0
    for day in range(DAYS):
        engine.assess(
            [
                make_instruction(
                    instruction_id=f"I{day}-{number}",
                    event_time=(START + timedelta(days=day, minutes=number)).isoformat(),
                    amount=f"{100 * number + 400}.00",  # one in six is held
                    budget_unit=f"{number % 2}",
                    payee_account=f"62{day:05}{number}" if number < 4 else f"62{number}",
                    purpose=f"用途{day}",
                )
                for number in range(A_DAY)
            ]
        )
        engine.absorb()
        if day % 7 == 0:
            engine.dispose("420100", f"I{day}-5", f"D{day}", "release")
        for record in (*journal.effects((day + 1) * A_DAY), *journal.checkpoint(A_DAY * 6)):
            written = 0 if record.kind == BEGIN else written + len(record.data)
            if record.kind == WHOLE:
                rotations.append(written)
        sizes.append(
            engine.state.entries() | {"symbols": sum(len(each.symbols) for each in engine.state.scopes.values())}
        )

    fourth = {name: max(each[name] for each in sizes[3 * 365 : 4 * 365 + 1]) for name in sizes[0]}
    fifth = {name: max(each[name] for each in sizes[4 * 365 + 1 :]) for name in sizes[0]}
    assert fifth == {name: fifth[name] for name in fourth if fifth[name] <= 1.05 * fourth[name]}
    assert fifth["keys"] > 365 * 4  # a year of payees is held
    half = len(rotations) // 2
    assert max(rotations[half:]) <= 1.25 * max(rotations[half // 2 : half])

    records = journal.rotate()
    restoring = Restoring(program)
    for record in records:
        restoring.take(record.data)
    assert restoring.finished().dump() == engine.dump()
