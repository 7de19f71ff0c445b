"""What a private account shows in public, row by row: REQUIREMENTS §4 "Private account's name, username, …" and X6."""

from __future__ import annotations

from typing import Any

import pytest
from policy_worlds import AS_OF, account, item, simple

from demur.policy import parse_policy, read, rulebook
from demur.policy.judge import Judge
from demur.terms.reasons import reasons_of

OUT = {"private_account_profile"}
IN_GROUP = {"container_id": "g", "container_audience": "public"}
IN_CLOSED_GROUP = {"container_id": "g", "container_audience": "group"}
ADMITTED = parse_policy(
    """
name = "shown"
purpose = "train-generative-ai"
profile_fields_of_private_accounts = true
[defaults]
effective_at = 2025-01-01
notice_days = 30
[[jurisdiction]]
name = "EU"
countries = ["EU27"]
regime = "opt_out"
"""
)

CASES: list[tuple[str, dict[str, Any], bool | None, set[str], set[str]]] = [
    ("username", {}, True, OUT, set()),
    ("username", {}, None, OUT, OUT),
    ("username", {}, False, set(), set()),
    ("group_activity", IN_GROUP, True, OUT, set()),
    ("group_activity", IN_GROUP, None, OUT, OUT),
    ("group_activity", IN_GROUP, False, set(), set()),
    ("page_activity", IN_GROUP, True, OUT, set()),
    ("channel_activity", IN_GROUP, True, OUT, set()),
    ("post", IN_GROUP, True, OUT, set()),
    ("comment", IN_GROUP, None, OUT, OUT),
    ("post", IN_GROUP, False, set(), set()),
    ("group_activity", {}, True, OUT | {"not_public"}, {"not_public"}),
    ("group_activity", IN_CLOSED_GROUP, True, OUT | {"not_public"}, {"not_public"}),
    ("post", {}, True, {"not_public"}, {"not_public"}),
]
"""Kind, where it stands, private or not, reasons by default, reasons when the policy admits it."""


@pytest.mark.parametrize(("kind", "place", "private", "default", "admitted"), CASES)
def test_x6(kind: str, place: dict[str, Any], private: bool | None, default: set[str], admitted: set[str]) -> None:
    world = simple(item("i", kind=kind, **place), accounts=[account(private=private)])
    for policy, reasons in ((read("demur-strict"), default), (ADMITTED, admitted)):
        judged = Judge(world.index(), rulebook(policy, as_of=AS_OF)).judge("i")
        assert {reason.value for reason in reasons_of(judged.mask)} == reasons


def test_x6_a_private_co_author_in_a_public_group() -> None:
    world = simple(item("i", co_account_ids=["b"], **IN_GROUP), accounts=[account(), account("b", private=True)])
    judged = Judge(world.index(), rulebook(read("demur-strict"), as_of=AS_OF)).judge("i")
    assert {reason.value for reason in reasons_of(judged.mask)} == OUT
