"""Decidim's open data: every row is an item, a person, or counted; what was withdrawn is a tombstone."""

from __future__ import annotations

import zipfile

import pyarrow.parquet as pq
import pytest

from demur.clock import parse
from demur.errors import InputError
from demur.intake import intake
from demur.intake.decidim import Decidim

PROFILE = "https://city.example/profiles/"
COLUMNS = (
    "id;participatory_space/id;participatory_space/url;title/ca;title/es;body/ca;body/es;state;"
    "author/id;author/name;author/url;published_at;created_at"
)
ANN = f"7;Ann, A;{PROFILE}ann;2024-05-02 10:00:00 UTC;2024-05-01 10:00:00 UTC"
PROPOSALS = f"""{COLUMNS}
1;4;https://city.example/processes/water;Aigua;;<p>Més fonts</p>;;accepted;{ANN}
2;4;https://city.example/processes/water;Títol;Título;;"uno; dos
tres";;"7, 8";"Ann, Bob";"{PROFILE}ann, {PROFILE}bob";2024-05-02T10:00:00Z;
3;4;https://city.example/processes/water;Retirat;;x;;withdrawn;7;Ann;{PROFILE}ann;2024-05-02T10:00:00Z;
4;4;https://city.example/processes/water;Oficial;;x;;;1;City;https://city.example/;2024-05-02T10:00:00Z;
x;4;https://city.example/processes/water;Sense número;;x;;;7;Ann;{PROFILE}ann;2024-05-02T10:00:00Z;
5;4;massa;pocs
"""
COMMENTS = """id;created_at;body;locale;author/id;author/name;alignment;depth;commentable_id;commentable_type
10;2024-05-03 10:00:00 +0200;Hi ha raó;ca;9;Cyd;1;0;1;Decidim::Proposals::Proposal
11;2024-05-03 11:00:00 UTC;Sí;ca;7;Ann;0;1;10;Decidim::Comments::Comment
12;2024-05-99 11:00:00 UTC;Sí;ca;7;Ann;0;1;10;Decidim::Comments::Comment
"""
USERS = """id;name;nickname;deleted
7;Ann;ann;false
9;Cyd;cyd;true
"""
TABLES = {"open-data-proposals.csv": PROPOSALS, "city.example-open-data-proposal_comments.csv": COMMENTS,
          "users.csv": USERS, "open-data-results.csv": "id;title/ca\n1;x\n", "README.md": "hello"}  # fmt: skip


def take(folder, path):
    return intake(Decidim(), [path], store_folder=folder / "source", quarantine_folder=folder / "quarantine",
                  imported_at=parse("2026-11-22"), service="city")  # fmt: skip


def stored(folder, table):
    return [
        row for part in sorted((folder / "source" / table).glob("*.parquet")) for row in pq.read_table(part).to_pylist()
    ]


@pytest.fixture(params=["zip", "folder"])
def export(request, tmp_path):
    if request.param == "folder":
        (tmp_path / "export").mkdir()
        for name, text in TABLES.items():
            (tmp_path / "export" / name).write_text(text)
        return tmp_path / "export"
    with zipfile.ZipFile(tmp_path / "export.zip", "w") as made:
        for name, text in TABLES.items():
            made.writestr(name, text)
    return tmp_path / "export.zip"


def test_every_row_is_an_item_a_person_or_counted(tmp_path, export):
    report = take(tmp_path, export)
    assert report.quarantined == {"missing_id": 1, "malformed_table": 1, "not_a_date": 1}
    assert report.ignored == {"table results": 1}
    found = {row["item_id"]: row for row in stored(tmp_path, "items")}
    assert set(found) == {*(f"city:proposal:{n}" for n in (1, 2, 3, 4)), "city:comment:10", "city:comment:11"}
    one = found["city:proposal:1"]
    assert (one["text"], one["language"], one["account_id"]) == ("Aigua\n\nMés fonts", "ca", "city:user:7")
    assert (one["audience"], one["container_id"]) == ("public", "city:processes:4")
    assert (one["created_at"], one["version_at"]) == (parse("2024-05-01T10:00:00Z"), parse("2024-05-02T10:00:00Z"))
    two = found["city:proposal:2"]
    assert (two["text"], two["language"]) == ("Títol\n\nuno; dos\ntres", None)
    assert (two["account_id"], two["co_account_ids"]) == ("city:user:7", ["city:user:8"])
    assert (found["city:proposal:3"]["state"], found["city:proposal:3"]["text"]) == ("deleted", None)
    assert found["city:proposal:4"]["account_id"] is None, "the organisation's number is no participant's"
    answer, reply = found["city:comment:10"], found["city:comment:11"]
    assert (answer["kind"], answer["parent_id"], answer["account_id"]) == ("comment", "city:proposal:1", "city:user:9")
    assert (reply["kind"], reply["parent_id"]) == ("reply", "city:comment:10")
    assert answer["created_at"] == parse("2024-05-03T08:00:00Z")


def test_people_come_with_what_they_made_and_from_their_own_table(tmp_path, export):
    take(tmp_path, export)
    people = stored(tmp_path, "people")
    assert {row["account_id"] for row in people} == {f"city:user:{n}" for n in (7, 8, 9)}
    assert {row["status"] for row in people if row["account_id"] == "city:user:9"} == {None, "deleted"}
    assert {row["display_name"] for row in people if row["account_id"] == "city:user:7"} >= {"Ann, A"}
    assert {row["handle"] for row in people if row["account_id"] == "city:user:8"} == {"@bob"}


def test_a_folder_without_tables_and_a_table_of_another_kind_are_told(tmp_path):
    with pytest.raises(InputError, match="open data"):
        Decidim().inputs([tmp_path])
    (tmp_path / "proposals.csv").write_text("a;b\n1;2\n")
    assert take(tmp_path, tmp_path / "proposals.csv").quarantined == {"not_content": 1}
