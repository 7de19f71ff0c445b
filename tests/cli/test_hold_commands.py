"""Commands about holds and orders: one after another, as a privacy office would."""

from __future__ import annotations

import orjson
import pytest

PLACE = ("hold", "place", "H-1", "--authority", "DPC", "--instrument", "letter")


def _facts(demur, *arguments):
    return orjson.loads(demur.done("--json", *arguments).stdout)


def _holds(demur, *options):
    """What was placed here: the made-up network has holds of its own, ``hold-1`` and ``hold-2``."""
    return [one for one in _facts(demur, "hold", "list", *options)["holds"] if not one["hold"].startswith("hold-")]


def test_a_hold_from_placing_to_evidence(copied, tmp_path):
    placed = _facts(copied, *PLACE, "--country", "EU27", "--business-days", "5", "--penalty", "a fine")
    assert placed["deadline_at"] > placed["in_force_from"]
    assert {row["what"] for row in placed["holders"]} == {"corpus"}
    assert placed["holders"][0]["items"] > 0
    (listed,) = _holds(copied)
    assert (listed["hold"], len(listed["countries"]), listed["penalty"]) == ("H-1", 27, "a fine")
    assert "DPC" in copied.done("hold", "list").stdout
    assert _facts(copied, "hold", "show", "H-1")["holders"] == placed["holders"]
    refused = copied("export", "--out", str(tmp_path / "tables"))
    assert refused.exit_code == 1
    assert "H-1" in refused.stderr
    one = copied("hold", "lift", "H-1", "--by", "Ann", "--reason", "done")
    assert one.exit_code == 1
    evidence = _facts(copied, "hold", "evidence", "H-1", "--out", str(tmp_path / "evidence"))
    assert evidence["used"] == 0
    assert (tmp_path / "evidence" / "evidence.txt").exists()
    assert _facts(copied, "hold", "lift", "H-1", "--by", "Ann", "--by", "Bea", "--reason", "done", "--new-notice")[
        "lifted"
    ]
    assert _holds(copied) == []
    assert len(_holds(copied, "--all")) == 1
    assert copied("export", "--out", str(tmp_path / "tables")).exit_code == 1  # the made-up network's own holds stand
    copied.done("export", "--for-audit", "DPC checks the hold", "--out", str(tmp_path / "tables"))


def test_placing_waits_for_no_other_command(copied):
    from demur.store import Workspace

    with Workspace(copied.home).lock():
        copied.done(*PLACE, "--no-count")
    assert copied("hold", "show", "H-2").exit_code == 2


def test_a_drill_prints_the_seconds_to_a_full_stop(copied):
    facts = _facts(copied, "hold", "drill", "d-1", "--country", "DE", "--by", "dpo")
    assert [one["stage"] for one in facts["stages"]] == [
        "sending",
        "builds",
        "training",
        "export",
        "release",
        "serving",
    ]
    assert all(one["stopped"] for one in facts["stages"])
    assert facts["full_stop_seconds"] < 60
    assert "full stop after" in copied.done("hold", "drill", "d-2", "--country", "DE", "--by", "dpo").stdout
    assert _holds(copied) == []


def test_an_order_erases_a_slice_and_writes_the_pack(copied):
    told = ("--authority", "BfDI", "--instrument", "order 7", "--country", "DE", "--before", "2027-01-01")
    facts = _facts(copied, "order", "erase", "O-1", *told)
    assert facts["before"][0]["items"] > 0
    assert all(row["items"] == 0 for row in facts["after"])
    assert facts["erasure"]
    assert copied("hold", "lift", "O-1", "--by", "Ann", "--by", "Bea", "--reason", "x").exit_code == 1


@pytest.mark.parametrize("wrong", [("--country", "Germany"), ("--stage", "breathing")])
def test_what_cannot_be_read_is_wrong_use_and_nothing_is_placed(copied, wrong):
    assert copied(*PLACE, *wrong).exit_code == 2
    assert _holds(copied, "--all") == []
