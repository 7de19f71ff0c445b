"""Each signal says what its standard says; any no wins, whatever the order; what cannot be read says nothing."""

from __future__ import annotations

import os

import orjson
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from demur.clock import parse
from demur.errors import InputError
from demur.intake import SiteSignals, intake, read_mapping
from demur.intake import signals as inline
from demur.intake import signals_site as site
from demur.intake.signals import NOTHING, Said, combined
from demur.intake.stackexchange import StackExchange
from demur.terms.content import Kind

EXAMPLES = 2_000 if os.environ.get("DEMUR_NIGHTLY") == "1" else 200


def said(*statements):
    found = combined(*statements)
    return found.value, found.origin


# One fixture each ----------------------------------------------------------------------------------------------------

HEADERS = {
    ("Content-Usage", "train-ai=n"): ("n", "content-usage:header"),
    ("content-usage", "search=n, train-ai=y"): ("y", "content-usage:header"),
    ("Content-Usage", 'train-ai=n;why="x", ai-use=y'): ("n", "content-usage:header"),
    ("tdm-reservation", "1"): ("n", "tdmrep:header"),
    ("tdm-reservation", "0, 1"): ("n", "tdmrep:header"),
    ("tdm-reservation", "0"): (None, ""),
    ("tdm-reservation", "yes"): (None, ""),
    ("X-Robots-Tag", "noindex, noai"): ("n", "x-robots-tag:noai"),
    ("X-Robots-Tag", "noindex noai"): ("n", "x-robots-tag:noai"),
    ("X-Robots-Tag", "BotX: NoAI"): ("n", "x-robots-tag:noai"),
    ("X-Robots-Tag", "noindex"): (None, ""),
    ("Sec-GPC", "1"): (None, ""),
}


@pytest.mark.parametrize("field", HEADERS, ids=str)
def test_headers(field):
    assert said(*inline.page_signals([field])) == HEADERS[field]


def test_gpc_is_a_no_only_where_the_policy_says_so():
    assert said(*inline.page_signals([("Sec-GPC", "1")], gpc=True)) == ("n", "sec-gpc")
    assert said(*inline.page_signals([("Sec-GPC", "0")], gpc=True)) == (None, "")


PAGES = {
    '<meta name="robots" content="noai">': ("n", "meta-robots:noai"),
    "<META NAME=Robots CONTENT='index,noai,noimageai'><p>x": ("n", "meta-robots:noai meta-robots:noimageai"),
    '<meta name="tdm-reservation" content="1">': ("n", "tdmrep:meta"),
    '<meta name="robots" content="noindex"><!-- <meta name="robots" content="noai"> -->': (None, ""),
    '<meta name="robots" content="noai" content="all">': ("n", "meta-robots:noai"),
    "<p>the word noai in a text</p>": (None, ""),
}


@pytest.mark.parametrize("markup", PAGES)
def test_pages(markup):
    assert said(*inline.page_signals((), markup)) == PAGES[markup]


def test_noimageai_is_about_pictures():
    (one,) = inline.page_signals([("x-robots-tag", "noimageai")])
    assert [kind for kind in Kind if one.covers(kind)] == [
        Kind.PHOTO, Kind.STORY, Kind.HIGHLIGHT, Kind.PROFILE_PICTURE, Kind.AVATAR]  # fmt: skip
    row = {"kind": "post", "signal": "y", "signal_origin": "a"}
    assert inline.joined(row, [one]) == {"signal": "y", "signal_origin": "a"}
    assert inline.joined(row | {"kind": "photo"}, [one])["signal"] == "n"


@pytest.mark.parametrize(
    ("file", "header", "meta", "value"),
    [(True, None, None, "n"), (True, False, None, None), (False, True, None, "n"), (False, False, True, "n"),
     (True, True, False, None), (None, None, None, None), (True, None, False, None)],
)  # fmt: skip
def test_tdmrep_precedence(file, header, meta, value):
    assert inline.tdmrep(file=file, header=header, page=meta).value == value


def cawg(use, name="ai_generative_training", family="cawg"):
    return {"entries": {f"{family}.{name}": {"use": use}}}


CREDENTIALS = [
    (cawg("notAllowed"), "n"),
    (cawg("constrained"), "n"),
    (cawg("allowed"), "y"),
    (cawg("maybe"), None),
    (cawg("notAllowed", "ai_inference"), None),
    (cawg("notAllowed", "data_mining"), "n"),
    (cawg("allowed", "ai_training"), None),
    (cawg("notAllowed", family="c2pa"), "n"),
    ([{"label": "c2pa.actions", "data": {}}, {"label": "cawg.training-mining", "data": cawg("notAllowed")}], "n"),
    ({"manifests": {"a": {"assertions": [{"label": "c2pa.training-mining__1",
                                          "data": cawg("notAllowed", family="c2pa")}]}}}, "n"),
    ({"label": "stds.exif", "data": {"entries": {"cawg.ai_training": {"use": "notAllowed"}}}}, None),
    ({"entries": {"cawg.ai_training": "notAllowed"}}, None),
]  # fmt: skip


@pytest.mark.parametrize(("found", "value"), CREDENTIALS, ids=str)
def test_content_credentials(found, value):
    assert inline.content_credentials(found).value == value


@pytest.mark.parametrize(
    ("record", "value"),
    [
        ({"syntheticContentGeneration": {"allow": False, "updatedAt": "2025-02-20T21:37:20.362Z"}}, "n"),
        ({"syntheticContentGeneration": {"allow": True}}, "y"),
        ({"syntheticContentGeneration": {"updatedAt": "2019-02-20T22:44:20.000Z"}}, None),
        ({"syntheticContentGeneration": {"allow": "false"}}, None),
        ({"bulkDataset": {"allow": False}}, None),
        ({"preferences": {"syntheticContentGeneration": {"allow": False}}}, "n"),
        (None, None),
    ],
)
def test_at_declarations(record, value):
    assert inline.at_declaration(record).value == value


@pytest.mark.parametrize(
    ("actor", "origin"),
    [
        ({"indexable": False, "discoverable": True}, "activitypub:indexable"),
        ({"indexable": False, "discoverable": False}, "activitypub:discoverable activitypub:indexable"),
        ({"indexable": True, "discoverable": True}, ""),
        ({"searchableBy": ["as:Public"]}, ""),
        ({"searchableBy": "https://a.example/users/b/followers"}, "activitypub:searchableBy"),
        ({"searchableBy": []}, "activitypub:searchableBy"),
        ({"searchability": "private"}, "activitypub:searchability"),
        ({"noindex": True}, "activitypub:noindex"),
        ({}, ""),
    ],
)
def test_fediverse(actor, origin):
    found = inline.fediverse(actor, "activitypub")
    assert (found.value, found.origin) == ("n" if origin else None, origin)


ROBOTS = """
User-Agent: *
Allow: /
Disallow: /never/
Content-Usage: / train-ai=n
Content-Usage: /ai-ok/ train-ai=y
Content-Usage: /twice train-ai=y
Content-Usage: /twice train-ai=n
Content-Usage: /broken Train-AI=y
Content-Usage: /*.html$ train-ai=y # a remark

User-Agent: ExampleBot
Content-Usage: / train-ai=y
"""


@pytest.mark.parametrize(
    ("path", "value"),
    [("/test", "n"), ("/never/test", "n"), ("/ai-ok/test", "y"), ("/twice", "n"), ("/broken", None),
     ("/a.html", "y"), ("/a.html?x", "n"), ("/%61i-ok/x", "y")],
)  # fmt: skip
def test_content_usage_in_robots_txt(path, value):
    assert combined(*site.robots(ROBOTS, path)).value == value


@pytest.mark.parametrize(
    ("text", "path", "value"),
    [
        ("User-agent: *\nDisallow: /\nContent-Usage: train-ai=n\n", "/a", "n"),
        ("User-agent: *\nDisallow: /\nContent-Usage: train-ai=y\n", "/a", None),
        ("User-agent: *\nSitemap: https://a.example/s.xml\nUser-agent: GPTBot\nContent-Usage: train-ai=n\n", "/a", "n"),
        ("User-agent: Demur/2.1\nContent-Usage: train-ai=n\n", "/a", "n"),
        ("User-agent: *\nContent-Usage: *.jpg train-ai=n\n", "/a/b.jpg", "n"),
        ("User-agent: *\nContent-Usage: *.jpg train-ai=n\n", "/a/b.png", None),
        ("User-agent: *\nContent-Signal: ai-train=no, ai-train=yes\n", "/", "n"),
        ("User-agent: *\nContent-Signal: ai-train = no\n", "/", "n"),
        ("User-agent: *\nContent-Usage: /*?by=ann train-ai=n\n", "/a?by=ann", "n"),
    ],
)  # fmt: skip
def test_no_written_no_of_a_robots_txt_is_lost(text, path, value):
    assert combined(*site.robots(text, path)).value == value


def test_a_group_that_names_us_goes_before_the_one_for_all():
    text = (
        "User-agent: *\nContent-Usage: train-ai=n\n\nUser-agent: other\nUser-agent: Demur\nContent-Usage: train-ai=y\n"
    )
    assert said(*site.robots(text, "/")) == ("y", "content-usage:robots.txt")
    assert said(*site.robots("User-agent: *\nContent-Signal: search=yes, ai-train=no\n", "/")) == (
        "n", "content-signal:robots.txt")  # fmt: skip


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("User-agent: GPTBot\nDisallow: /", "n"),
        ("User-agent: gptbot\nUser-agent: CCBot\nDisallow: /private/", None),
        ("User-agent: *\nDisallow: /", None),
        ("User-agent: Googlebot\nDisallow: /", None),
        ("User-agent: ClaudeBot\nDisallow:", None),
    ],
)
def test_robots_that_gather_for_ai(text, value):
    assert site.agents(text, "/posts").value == value


SPAWNING = "# Spawning AI\nUser-Agent: *\nDisallow: *.jpg\nDisallow: *.png\nAllow: *.txt\nDisallow: /drafts/\n"


def test_ai_txt_of_spawning_speaks_of_kinds_of_files():
    found = {one.only: one.value for one in site.spawning(SPAWNING, "/")}
    assert found == {"text": None, "image": "n", "audio": None, "video": None}
    assert {one.value for one in site.spawning(SPAWNING, "/drafts/x")} == {"n"}
    assert {one.value for one in site.spawning("User-agent: *\nAllow: /\n", "/")} == {"y"}
    assert {one.value for one in site.spawning("<html>not found</html>", "/")} == {None}


DECLARED = """# ai.txt
Site-Name: News
Training: conditional
Training-Allow: /free/*
Training-Deny: /free/paid/*

Agent: GPTBot
  Training: allow
"""


@pytest.mark.parametrize(
    ("text", "path", "value"),
    [
        (DECLARED, "/free/a", "y"),
        (DECLARED, "/free/paid/a", "n"),
        (DECLARED, "/other", "n"),
        ("Site-Name: x\nTraining: deny\n", "/", "n"),
        ("Site-Name: x\nTraining: allow\n", "/", "y"),
        ("Site-Name: x\n", "/", "n"),
        ("Site-Name: x\nTraining: deny\nAgent: *\n  Training: allow\n", "/", "y"),
        ("Site-Name: x\nTraining: perhaps\n", "/", None),
        ("<html>", "/", None),
    ],
)
def test_the_well_known_ai_txt(text, path, value):
    assert site.declaration_text(text, path).value == value


@pytest.mark.parametrize(
    ("found", "value"),
    [
        ({"specVersion": "1.0", "policies": {"training": "deny"}}, "n"),
        ({"policies": {"training": "allow"}, "agents": {"*": {}}}, "y"),
        ({"policies": {}}, "n"),
        ({"policies": {"training": "allow"}, "agents": {"demur": {"training": "deny"}}}, "n"),
        ({"policies": {"training": "conditional"}}, "n"),
        ({"name": "a manifest of another kind"}, None),
        ([], None),
    ],
)
def test_the_well_known_ai_json(found, value):
    assert site.declaration_json(found, "/").value == value


def test_tdmrep_json_by_location():
    rules = [{"location": "/", "tdm-reservation": 0}, {"location": "/pay/*.html", "tdm-reservation": 1}, "odd"]
    assert [site.tdm_file(rules, path) for path in ("/a", "/pay/x.html", "b")] == [False, True, None]
    assert site.tdm_file({}, "/") is None


# Laws ----------------------------------------------------------------------------------------------------------------

STATEMENTS = st.lists(
    st.builds(Said, st.sampled_from(["y", "n", None]), st.sampled_from(["a", "b", "c d"])), max_size=6
)


@given(STATEMENTS, st.randoms(use_true_random=False))
def test_order_and_grouping_do_not_matter(statements, chance):
    mixed = [*statements, *statements]
    chance.shuffle(mixed)
    assert combined(*mixed) == combined(*statements)
    cut = len(statements) // 2
    assert combined(combined(*statements[:cut]), combined(*statements[cut:])) == combined(*statements)


@given(STATEMENTS, STATEMENTS)
def test_a_further_signal_never_turns_a_no_into_anything_else(statements, more):
    before, after = combined(*statements), combined(*statements, *more)
    assert before.value != "n" or after.value == "n"
    assert before.value is None or after.value is not None


READERS = [
    lambda text: inline.usage(text, "x"),
    lambda text: combined(*inline.page_signals([("tdm-reservation", text)])),
    lambda text: combined(*site.robots(text, "/a")),
    lambda text: site.declaration_text(text, "/a"),
    lambda text: combined(*site.spawning(text, "/a")),
    lambda text: combined(*inline.page_signals((), text)),
]
NOISE = st.text(st.sampled_from('train-ai=yn;,"()?:%* \t\nTdm<meta /\\@1é\0'), max_size=40)


@settings(max_examples=EXAMPLES, deadline=None)
@given(noise=NOISE | st.text(max_size=40), reader=st.sampled_from(READERS))
def test_noise_is_never_an_error(noise, reader):
    assert reader(noise).value in ("y", "n", None)


@settings(max_examples=EXAMPLES, deadline=None)
@given(
    st.text(st.sampled_from('train-ai=y,; "A()'), max_size=16).filter(lambda text: not text.startswith("train-ai=y"))
)
def test_a_bad_parse_is_never_a_yes(text):
    broken = f"train-ai=y, {text}\x01"
    assert inline.usage(broken, "x") == Said(None, "x")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("train-ai=y, train-ai, search=n", None),
        ("train-ai;allow=n, train-ai=y", "y"),
        ('train-ai;has;parameters="?"', None),
        ('train-ai="n"', None),
        ("train-ai=(n y)", None),
        ('a=(x;b=?0 "y"  :aGk=:), train-ai=n', "n"),
        ('a=-1.25, b=@1700000000, c=%"f%c3%bc", train-ai=n', "n"),
        ("a=1.2345, train-ai=n", None),
        ("train-ai=n,", None),
        (",train-ai=n", None),
        ("TRAIN-AI=n", None),
        ("train-ai=N", None),
        ("  train-ai=n  ", "n"),
        ("a=(x, train-ai=n", None),
        ("a=(x(, train-ai=n", None),
        ("", None),
    ],
)
def test_structured_fields(field, value):
    """From RFC 9651 and the AIPREF vocabulary's own examples."""
    assert inline.usage(field, "x").value == value


def test_a_long_field_is_read_in_linear_time():
    for field in ("a=(" + " " * 50_000, 'a="' + '\\"' * 50_000, "a;" * 50_000, "a=(" + "b;c " * 20_000, "a," * 50_000):
        assert inline.usage(field, "x").value is None
    pattern = "/" + "*a" * 5_000
    assert not site.matches(pattern + "b$", "/" + "a" * 20_000)


# A folder of sites given to an import -------------------------------------------------------------------------------

MAPPING = """
service = "forum"
[[tables]]
files = "posts.csv"
rows = "items"
[tables.columns]
item_id = { from = "id" }
kind = { from = "kind", map = { post = "post", photo = "photo" } }
audience = { value = "public" }
signal = { from = "said", null = [""] }
signal_origin = { value = "own-flag" }
"""


def put(folder, files):
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def rows(folder):
    found = [
        row
        for part in sorted((folder / "source" / "items").glob("*.parquet"))
        for row in pq.read_table(part).to_pylist()
    ]
    return {row["item_id"]: (row["signal"], row["signal_origin"]) for row in found}


def take(folder, signals=None, source="table", path=None, mapping=True):
    return intake(source, [path or folder / "posts.csv"], store_folder=folder / "source",
                  quarantine_folder=folder / "quarantine", imported_at=parse("2026-11-22"), signals=signals,
                  mapping=read_mapping(folder / "map.toml") if mapping else None)  # fmt: skip


def test_files_of_a_site_reach_its_items(tmp_path):
    put(tmp_path, {"map.toml": MAPPING, "posts.csv": "id,kind,said\n1,post,\n2,photo,y\n3,post,y\n"})
    folder = put(tmp_path / "signals", {"forum/ai.txt": "User-agent: *\nDisallow: *.jpg\n",
                                        "forum/robots.txt": "User-agent: GPTBot\nDisallow: /\n"})  # fmt: skip
    take(tmp_path, SiteSignals(folder))
    assert rows(tmp_path) == {
        "forum:1": (None, None), "forum:2": ("n", "ai.txt:spawning"), "forum:3": ("y", "own-flag")
    }  # fmt: skip
    put(folder, {"forum/counts.txt": "robots-agents\n", "forum/.well-known/tdmrep.json":
                 orjson.dumps([{"location": "/", "tdm-reservation": 1}]).decode()})  # fmt: skip
    report = take(tmp_path, SiteSignals(folder))
    assert report.items == 3, "other signals are another unit"
    assert take(tmp_path, SiteSignals(folder)).files == []


def test_an_item_asks_its_own_host_and_path(tmp_path):
    folder = put(tmp_path, {
        "a.example/robots.txt": "User-agent: *\nContent-Usage: /users/ann train-ai=n\n",
        "a.example/headers.txt": "content-type: text/html\n[/users/bob]\nContent-Usage: train-ai=n\nSec-GPC: 1\n",
        "activitypub/counts.txt": "gpc\n", "activitypub/headers.txt": "Sec-GPC: 1\n",
    })  # fmt: skip
    found = SiteSignals(folder)
    ids = (
        "https://a.example/users/ann/1",
        "https://a.example/users/bob/1",
        "https://a.example/x",
        "https://b.example/1",
    )
    assert [combined(*found.statements(f"activitypub:{one}", "activitypub")).origin for one in ids] == [
        "content-usage:robots.txt", "content-usage:header", "", "sec-gpc"]  # fmt: skip
    assert found.statements("other:1", "other") == ()


def test_hosts_have_no_case_and_paths_have_queries(tmp_path):
    folder = put(tmp_path, {"A.Example/robots.txt": "User-agent: *\nContent-Usage: /*?by=ann train-ai=n\n"})
    found = SiteSignals(folder)
    for one, value in (("https://a.EXAMPLE/x?by=ann", "n"), ("https://a.example/x?by=bob", None)):
        assert combined(*found.statements(f"activitypub:{one}", "activitypub")).value == value


def test_a_batch_of_rows_takes_the_same_way(tmp_path):
    dump = put(tmp_path / "dump", {"Comments.xml":
        '<?xml version="1.0"?>\n<comments>\n<row Id="1" PostId="2" Text="a" CreationDate="2020-01-01T00:00:00.000" '
        'UserId="3" />\n</comments>\n'})  # fmt: skip
    folder = put(tmp_path / "signals", {"stackexchange/.well-known/ai.txt": "Site-Name: x\nTraining: deny\n",
                                        "dump/.well-known/ai.txt": "Site-Name: x\nTraining: deny\n"})  # fmt: skip
    take(tmp_path, SiteSignals(folder), source=StackExchange(), path=dump, mapping=False)
    assert set(rows(tmp_path).values()) == {("n", "well-known/ai.txt")}


def test_a_folder_without_sites_and_an_unknown_count_are_told(tmp_path):
    with pytest.raises(InputError, match="folder of sites"):
        SiteSignals(tmp_path / "none")
    folder = put(tmp_path, {"forum/counts.txt": "everything\n"})
    with pytest.raises(InputError, match=r"counts\.txt"):
        SiteSignals(folder).statements("forum:1", "forum")
    put(tmp_path, {"Forum/robots.txt": ""})
    with pytest.raises(InputError, match="capitals only"):
        SiteSignals(folder)


def test_a_row_with_an_odd_signal_is_still_quarantined(tmp_path):
    put(tmp_path, {"map.toml": MAPPING, "posts.csv": "id,kind,said\n1,post,perhaps\n"})
    folder = put(tmp_path / "signals", {"forum/.well-known/ai.txt": "Site-Name: x\nTraining: deny\n"})
    assert take(tmp_path, SiteSignals(folder)).quarantined == {"unknown_value": 1}
    assert NOTHING.columns() == {"signal": None, "signal_origin": None}
