"""What a person's page says about corpora, models and certificates, before and after they leave."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from flow_worlds import LATER, Platform

from demur.flows import mine, mine_papers
from demur.flows.mine import State, Verdict
from demur.flows.parts import current
from demur.wiring import open_service

LEAVER, STAYER = "agora:p-olga", "agora:p-ana"


def test_who_leaves_is_shown_gone_everywhere_with_a_certificate(copies: Callable[..., Platform]) -> None:
    here = copies()
    with open_service(here.space) as opened:
        service = replace(opened, clock=lambda: LATER)
        before = mine.inventory_of(service, LEAVER)
        model = current(here.space).model
        assert before.counts[Verdict.USED] > 0
        assert [one.name for one in before.models] == [model]
        assert before.models[0].records == before.corpora[0].records
        assert any(line.models == (model,) for line in before.lines)
        assert mine_papers.certificates_of(service, LEAVER) == []

        here.object("olga")
        waits = mine.inventory_of(service, LEAVER)
        assert mine.standing_of(service, LEAVER).state is State.OBJECTED
        assert waits.counts == before.counts  # shown as it is until it is gone

        here.erase()
        after = mine.inventory_of(service, LEAVER)
        assert after.counts[Verdict.USED] == 0
        assert after.corpora == ()
        assert after.models == ()
        assert {line.code for line in after.lines} == {"objected"}
        (certificate,) = mine_papers.certificates_of(service, LEAVER)
        assert certificate["at"]
        assert mine_papers.everything(service, LEAVER)["certificates"] == [certificate]

        assert mine_papers.certificates_of(service, STAYER) == []
        assert mine.inventory_of(service, STAYER).models
