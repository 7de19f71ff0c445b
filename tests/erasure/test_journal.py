"""An erasure that is killed anywhere goes on where it was, and does nothing twice."""

from __future__ import annotations

import pytest

from demur.erasure import STEPS, Journal, unfinished
from demur.errors import BrokenError, RefusedError
from demur.store import read_json, write_json


class Killed(BaseException):
    pass


def run(journal: Journal, log: list[str], die_in: str | None = None) -> None:
    for name in STEPS:

        def work(folder, name=name):
            log.append(name)
            (folder / "half").write_text("work")
            if name == die_in:
                raise Killed
            return {"did": name}

        assert journal.step(name, work) == {"did": name}


@pytest.mark.parametrize("die_in", STEPS)
def test_a_killed_erasure_goes_on_at_its_first_step_not_done(tmp_path, die_in):
    first = Journal.begin(tmp_path, restrictions=["o-2", "o-1"], model="m", facts={"known_at": "1"})
    log: list[str] = []
    with pytest.raises(Killed):
        run(first, log, die_in)
    assert [one.erasure_id for one in unfinished(tmp_path)] == [first.erasure_id]
    again = Journal.begin(tmp_path, restrictions=["o-1", "o-2", "o-1"], model="m", facts={"known_at": "2"})
    assert again.folder == first.folder
    assert again.request["facts"] == {"known_at": "1"}
    assert again.next_step() == die_in
    run(again, log)
    assert log == sorted([*STEPS, die_in], key=STEPS.index)
    assert again.next_step() is None
    assert unfinished(tmp_path) == []
    run(again, log)
    assert len(log) == len(STEPS) + 1


def test_other_restrictions_or_another_model_are_another_erasure(tmp_path):
    ids = {
        Journal.begin(tmp_path, restrictions=restrictions, model=model).erasure_id
        for restrictions, model in ((["a"], "m"), (["a", "b"], "m"), (["a"], "n"))
    }
    assert len(ids) == 3
    assert len(unfinished(tmp_path)) == 3


def test_steps_have_an_order_and_a_request(tmp_path):
    journal = Journal.begin(tmp_path, restrictions=["a"], model="m")
    with pytest.raises(BrokenError):
        journal.step("purge", lambda folder: {})
    with pytest.raises(RefusedError):
        Journal.begin(tmp_path, restrictions=[], model="m")


def test_a_changed_request_is_found(tmp_path):
    journal = Journal.begin(tmp_path, restrictions=["a"], model="m")
    request = read_json(journal.folder / "REQUEST.json")
    write_json(journal.folder / "REQUEST.json", {**request, "restrictions": ["b"]})
    with pytest.raises(BrokenError):
        Journal.load(journal.folder)
