"""Models: what they were made from, and which would fall out of policy."""

from __future__ import annotations

from starlette.responses import Response

from demur.access import Action
from demur.flows import office
from demur.web.console.desk import Desk, Screen
from demur.web.console.table import Column, Table

_COLUMNS = (
    Column("model_id", "Model", "code"),
    Column("status", "Status", "tag"),
    Column("verdict", "Policy", "tag"),
    Column("policy", "Built under"),
    Column("as_of", "As of", "instant"),
    Column("known_at", "Knows until", "instant"),
    Column("records", "Records", "number"),
    Column("waiting", "Learned since", "number"),
    Column("corpus_id", "Corpus", "code"),
    Column("digest", "Digest", "code"),
)


def models(desk: Desk) -> Response:
    """Show all models."""
    rows = []
    for one in office.models(desk.service.parts, scope=desk.scope):
        out = bool(one.waiting) and one.status != "destroyed"
        verdict = one.status if one.status in {"destroyed", office.UNREADABLE} else "falls out" if out else "fits"
        rows.append({
            "model_id": one.model_id, "status": f"{one.status}{', in use' if one.current else ''}",
            "policy": one.policy, "as_of": one.as_of, "known_at": one.known_at, "records": one.records,
            "waiting": one.waiting, "corpus_id": one.corpus_id, "digest": one.digest[:16],
            "verdict": "–" if desk.scope is not None else verdict,
            "tone_verdict": {"falls out": "bad", office.UNREADABLE: "bad", "fits": "ok"}.get(verdict, ""),
            "tone_status": "ok" if one.current else "",
        })  # fmt: skip
    empty = "No model is here yet. The command “demur train” makes one from the current corpus."
    out_of_policy = sum(row["verdict"] == "falls out" for row in rows)
    return desk.list_(Table("models", _COLUMNS, rows, empty), "models.html", title="Models", falls_out=out_of_policy)


SCREENS = [Screen("/console/models", Action.MODELS_VIEW, models)]
