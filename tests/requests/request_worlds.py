"""The hand-made platform of the flow tests with people in other people's posts, and what tests do with it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import sqlalchemy as sa
from flow_worlds import AS_OF, LATER, POLICY, Platform, in_process, item, items, sentence, write_dump

from demur.corpus import mentions, similarity
from demur.flows import request as flow
from demur.flows.matching import match_all
from demur.flows.service import Service
from demur.requests import Matcher, Reason, Similarity, Wanted
from demur.requests.matcher import COLUMNS
from demur.store import Workspace
from demur.terms.tables import ITEMS
from demur.wiring import open_parts

__all__ = ["AS_OF", "LATER", "POLICY", "in_process"]

RARE = "Xaverine Quistorp-Blumentritt"
COMMON = "Anna Müller"
WORDS = "the grey heron waited by the frozen mill while my grandmother counted seven silver buttons"
SAME = Similarity(similarity.jaccard_pairs, similarity.words, mentions.said_in)


class Watch:
    def __init__(self, at: datetime = AS_OF + timedelta(days=2)) -> None:
        self.at = at

    def __call__(self) -> datetime:
        return self.at

    def pass_(self, **spans: float) -> datetime:
        self.at += timedelta(**spans)
        return self.at


def more_items() -> list[dict[str, Any]]:
    """Somebody without an account in the posts of others: named, copied, reshared, called, tagged."""
    rows = [
        item("fred-names-her", "fred", f"we met {RARE} near {sentence('fred', 10)}"),
        item("gil-names-her", "gil", f"and then XAVERINE  quistorp-blumentritt came {sentence('gil', 10)}"),
        item("hana-copies", "hana", WORDS),
        item("ivo-reshares", "ivo", WORDS, "reshare", original_id="agora:hana-copies"),
        item("jana-quotes", "jana", f"so true {sentence('jana q', 9)}", "quote", original_id="agora:ivo-reshares"),
        item("mia-copies-freely", "mia", WORDS.replace("grey", "old grey")),
        item("nils-calls", "nils", f"call her on +353 (0)86 123-4567 or 086 1234567 {sentence('nils', 9)}"),
        item("ana-tags", "ana", f"thanks @xaverine_q {sentence('ana t', 10)}", mentions=["xaverine_q"]),
        item("ana-tags-bare", "ana", f"thanks xaverine_q {sentence('ana b', 10)}"),
    ]
    rows += [
        item(f"common-{name}", name, f"{COMMON} said {sentence(f'{name} common', 10)}")
        for name in ("ben", "cleo", "dora", "eli", "kurt", "lena")
    ]
    return rows


def make(root: Path) -> None:
    with open_parts(Workspace(root)) as parts:
        platform = Platform(parts)
        platform.populate(write_dump(root / "dump", items() + more_items()))
        platform.build()


@dataclass
class Scene:
    service: Service
    watch: Watch

    @property
    def platform(self) -> Platform:
        return Platform(self.service.parts)

    def ask(self, picture: bytes | None = None, **form: str) -> int:
        return flow.receive(self.service, {"contact": "asker@elsewhere.example", **form}, picture, language="en")

    def searched(self, picture: bytes | None = None, **form: str) -> int:
        number = self.ask(picture, **form)
        match_all(self.service)
        return number

    def found(self, number: int) -> dict[str, Any]:
        return {one.item_id.removeprefix("agora:"): one for one in self.service.requests.proposals(number)}

    def confirm(self, number: int, *items_: str, reason: Reason = Reason.ABOUT_YOU) -> None:
        flow.decide(self.service, number, [f"agora:{one}" for one in items_] or None, reason, by="staff")

    def answered(self, number: int) -> str:
        flow.answer(self.service, number, by="staff")
        return self.service.requests.answer_text(number) or ""

    def letters(self) -> list[Any]:
        with self.service.notice.database.reading() as connection:
            return list(connection.execute(sa.text("SELECT kind, person_id, address, facts FROM notice_letters")))


def table(*texts: str, **columns: list[Any]) -> Any:
    """Return items of some texts as the matcher reads them."""
    rows = [{**dict.fromkeys(COLUMNS), "item_id": f"s:{number}", "account_id": "s:a", "text": text, "state": "live"}
            for number, text in enumerate(texts)]  # fmt: skip
    for name, values in columns.items():
        for row, value in zip(rows, values, strict=True):
            row[name] = value
    return pa.Table.from_pylist(rows, schema=pa.schema([ITEMS.field(name) for name in COLUMNS]))


def hits(items_: Any, *, rare: bool = True, pictures: Any = None, **wanted: Any) -> dict[str, Any]:
    """Return item → hit."""
    told = Wanted(contact="a@b.example", **wanted)
    matcher = Matcher(told, SAME, lambda _name: rare, (pictures or {}).get)
    return {found.item_id: found for found, _ in matcher.batch(items_)}
