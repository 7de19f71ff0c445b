"""What the matcher proposes, how sure it is, and what it leaves alone."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from request_worlds import RARE, WORDS, hits, table

from demur.requests import Names, Proposal, Rule, Verdict, Wanted, fold, lasting_handles, lasting_names
from demur.requests.matcher import digits_of, link_key


def test_tpd_02_exact_copies_are_all_found_whatever_their_spaces_and_case():
    texts = [WORDS, WORDS.upper(), WORDS.replace(" ", "\n  "), f"look: {WORDS} !", "something else entirely today"]
    found = hits(table(*texts), texts=(WORDS,))
    assert sorted(found) == ["s:0", "s:1", "s:2", "s:3"]
    assert all(one.rule is Rule.COPY and one.certain for one in found.values())


def test_tpd_02_most_edited_copies_are_found_and_their_likeness_is_verified():
    chance = random.Random(5)
    words = WORDS.split()
    edited = []
    for _ in range(200):  # one or two words of sixteen changed
        copy = list(words)
        for place in chance.sample(range(len(copy)), chance.choice([1, 2])):
            copy[place] = "otherwise"
        edited.append(" ".join(copy))
    found = hits(table(*edited), texts=(WORDS,))
    assert len(found) / len(edited) > 0.97
    assert all(one.score >= 0.5 for one in found.values())


def test_a_copy_of_a_few_words_is_looked_at_by_somebody():
    found = hits(table("thank you all so much", "good morning"), texts=("thank you all",))
    assert list(found) == ["s:0"]
    assert not found["s:0"].certain
    assert not hits(table("good morning", "good"), texts=("good",))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Zora Quorlova", "viděli jsme Zoru Quorlovou včera"),
        ("Zora Quorl", "Quorl, Zora: eine Notiz"),
        ("Zora Quörl", "gestern war Zora Quoerls Geburtstag"),
        ("Zora Quorl", "so schön #ZoraQuorl"),
        ("Kvorl Zóra", "Kvorl Zórának adtam"),
    ],
)
def test_a_name_in_another_case_order_or_spelling_is_looked_at_by_somebody(name, text):
    found = hits(table("nobody here", text, f"and {name} too"), names=(name,))
    assert {item: (one.rule, one.certain) for item, one in found.items()} == {
        "s:1": (Rule.NAME, False),
        "s:2": (Rule.NAME, True),
    }
    assert found["s:1"].snippet == text


@pytest.mark.parametrize("text", ["met @xav_q today", "(@XAV_Q)", "hello @xav_q!"])
def test_a_handle_is_found_with_its_borders(text):
    found = hits(table(text, "not @xav_quist", "xav_q", "mail me@xav_q2"), handles=("@Xav_Q",))
    assert list(found) == ["s:0"]
    assert found["s:0"].rule is Rule.HANDLE
    assert found["s:0"].certain


def test_a_mention_that_the_source_marks_is_a_handle_too():
    items = table("hello there", "hello there", "x", mentions=[["xav_q"], ["other:xav_q"], ["xav"]])
    assert sorted(hits(items, handles=("xav_q",))) == ["s:0", "s:1"]


@pytest.mark.parametrize(
    "written", ["+353 86 123 4567", "00353 86 1234567", "086 123-4567", "(086) 123.45.67", "+353 (0)86 123 4567"]
)
def test_a_phone_number_is_found_however_it_is_written(written):
    found = hits(table(f"call {written} now", "call 086 999 4567", "in 1861234567 years"), phones=("+353 86 1234567",))
    assert "s:0" in found
    assert found["s:0"].rule is Rule.PHONE
    assert "s:1" not in found


def test_links_name_items_and_are_found_in_texts():
    items = table("a", "see https://www.Blog.example/ana/1?x=2 there", "blog.example/ana/12")
    found = hits(items, links=("http://blog.example/ana/1/", "https://agora.example/@x/s0"))
    assert found["s:1"].rule is Rule.LINK_IN_TEXT
    assert "s:2" not in found
    longer = table("a", item_id=["agora:1122334455"])
    assert hits(longer, links=("https://agora.example/@ana/1122334455?utm=1",))["agora:1122334455"].certain
    short = table("a", item_id=["agora:17"])
    assert not hits(short, links=("https://elsewhere.example/17",))["agora:17"].certain  # may be another site's 17
    assert hits(short, links=("agora:17",))["agora:17"].rule is Rule.LINK


def test_names_are_found_whole_with_accents_and_case_folded():
    items = table(f"met {RARE}.", "XAVERINE   QUISTORP-BLUMENTRITT", "Xaverine Quistorp-Blumentrittson", "Xaverine")
    found = hits(items, names=(RARE, "Xaverine"))
    assert sorted(found) == ["s:0", "s:1"]
    assert RARE.casefold() in found["s:0"].snippet


def test_tpd_04_a_common_name_is_never_certain():
    names = Names([fold("Anna Müller"), fold(RARE), fold("Zora Vexley")])
    names.count([fold(f"Anna Müller {''}".strip())] * 40 + ["zora vexley", "zora vexley", None, "somebody else"])
    assert not names.is_rare(fold("Anna Müller"))
    assert not Names([]).is_rare("maria garcia")  # common whatever a small platform says
    assert not names.is_rare(fold("Zora Vexley"))  # two people show it
    assert names.is_rare(fold(RARE))
    assert not names.is_rare("xaverine")
    found = hits(table("Anna Müller was here"), rare=False, names=("Anna Müller",))
    assert not found["s:0"].certain


def test_pictures_are_compared_by_fingerprint_and_missing_files_are_counted():
    mine = {"pdq": "f" * 64, "quality": 90}
    near = {"pdq": "f" * 62 + "0f", "quality": 90}
    far = {"pdq": "0" * 64, "quality": 90}
    dull = {"pdq": "f" * 64, "quality": 10}
    items = table("a", "b", "c", "d", "e", media_path=["near", "far", "dull", "gone", None],
                  media_type=["image/png", "image/png", None, "image/jpeg", None])  # fmt: skip
    found = hits(items, pictures={"near": near, "far": far, "dull": dull}, picture=mine)
    assert sorted(found) == ["s:0", "s:2"]
    assert found["s:0"].certain
    assert not found["s:2"].certain


@settings(max_examples=30, deadline=None)
@given(texts=st.lists(st.text(max_size=60), min_size=1, max_size=6), wanted=st.text(max_size=30))
def test_no_text_and_no_wish_breaks_the_matcher(texts, wanted):
    told = (wanted,) if wanted.strip() else ()
    hits(table(*texts), names=told, handles=told, links=told, phones=told, emails=told, texts=told)


@given(st.text(max_size=40))
def test_keys_are_stable(text):
    assert link_key(link_key(text)) in {link_key(text), link_key(link_key(text))}
    assert digits_of(digits_of(text)) == digits_of(text) or not text.isascii()


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("5", {"agora:5": False}),
        ("agora:5", {"agora:5": True}),
        ("https://agora.example/", {}),
        ("https://agora.example/users/ana", {}),
        ("https://agora.example/users/ana/statuses/123456", {"https://agora.example/users/Ana/statuses/123456": True}),
        ("https://www.instagram.com/p/CxYz12abc/?igsh=abc", {"instagram:CxYz12abc": True}),
        ("https://instagram.com/p/CxYz12abc#comments", {"instagram:CxYz12abc": True}),
        ("https://facebook.com/permalink.php?story_fbid=998877665544&id=5", {"facebook:998877665544": False}),
    ],
)
def test_a_link_names_its_item_and_no_other_one(asked, found):
    ids = ["agora:5", "agora:15", "agora:2505", "instagram:CxYz12abc", "facebook:998877665544",
           *(f"https://agora.example/users/{name}/statuses/{number}"
             for name, number in (("Ana", 123456), ("ana", 1234567)))]  # fmt: skip
    hit = hits(table(*["a"] * len(ids), item_id=ids), links=(asked,))
    assert {name: one.certain for name, one in hit.items()} == found


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("https://blog.example/?p=123", {"https://blog.example/?p=123": True, "https://blog.example/": False}),
        ("http://www.blog.example/?p=7", {"https://blog.example/?p=7": True, "https://blog.example/": False}),
        ("https://blog.example/?p=8", {"https://blog.example/": False}),
        ("https://blog.example/?9", {"https://blog.example/?9": True, "https://blog.example/": False}),
        ("https://blog.example/", {"https://blog.example/": True}),
        ("https://x.example/view?id=1234567", {"https://x.example/view?id=1234567": True}),
        ("https://www.x.example/view?id=1234567", {"https://x.example/view?id=1234567": True}),
        ("www.x.example/view?id=1234567", {"https://x.example/view?id=1234567": True}),
        ("http://x.example/view?id=1234567", {"https://x.example/view?id=1234567": True}),
        ("https://x.example/view?id=1234567&utm_source=y", {"https://x.example/view?id=1234567": False}),
        ("https://x.example/view", {}),
        ("https://news.example/c/123456789", {"agora:https://news.example/c/123456789": True}),
        ("http://www.news.example/c/123456789/?utm=1", {"agora:https://news.example/c/123456789": False}),
        ("https://news.example/d/55", {"agora:news.example/d/55": True}),
        ("https://news.example/e/1234567", {"https://news.example/e/1234567?from=feed": False}),
        (
            "https://app.example/#!/post/5",
            {"https://app.example/#!/post/5": True, "https://app.example/#!/post/6": False},
        ),
    ],
)
def test_an_address_is_told_apart_by_its_parameters(asked, found):
    ids = [*(f"https://blog.example/{rest}" for rest in ("", "?p=123", "?p=456", "?p=7", "?9", "?10")),
           *(f"https://x.example/view?id={number}" for number in (1234567, 7654321, 5)),
           *(f"agora:https://news.example/c/{number}" for number in (123456789, 123456780)),
           "agora:news.example/d/55", "https://news.example/e/1234567?from=feed",
           *(f"https://app.example/#!/post/{number}" for number in (5, 6))]  # fmt: skip
    hit = hits(table(*["a"] * len(ids), item_id=ids), links=(asked,))
    assert {name: one.certain for name, one in hit.items()} == found


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        ("https://www.youtube.example/watch?v=dQw4w9WgXcQ", "see https://youtube.example/watch?v=dQw4w9WgXcQ"),
        ("https://www.youtube.example/watch?v=dQw4w9WgXcQ", "see youtube.example/watch?v=otherVideo1"),
        ("https://forum.example/viewtopic.php?t=13", "see forum.example/viewtopic.php?t=99"),
        ("https://app.example/a/#!/post/5", "see app.example/a/#!/post/6"),
    ],
)
def test_a_link_that_is_told_apart_by_its_parameters_makes_no_other_page_certain(asked, text):
    (found,) = hits(table(text), links=(asked,)).values()
    assert not found.certain


@pytest.mark.parametrize(
    ("wanted", "text", "certain"),
    [
        ({"emails": ("mueller@gmx.example",)}, "write to (mueller@gmx.example).", True),
        ({"emails": ("mueller@gmx.example",)}, "write to anna.mueller@gmx.example", False),
        ({"emails": ("mueller@gmx.example",)}, "write to mueller@gmx.example.com", False),
        ({"handles": ("ana",)}, "thanks @ana.", True),
        ({"handles": ("ana",)}, "thanks @ana.maria", False),
        ({"handles": ("ana",)}, "thanks @ana@elsewhere.example", False),
        ({"handles": ("ana@elsewhere.example",)}, "thanks @ana@elsewhere.example!", True),
        ({"handles": ("ana",)}, "thanks @ana.maria and @ana", True),
        ({"names": ("Xenia Quorl",)}, "met Xenia Quorl's dog", True),
        ({"names": ("Xenia Quorl",)}, "met Xenia Quorl-Smith", False),
        *(
            ({"names": ("Xenia Quorl",)}, f"l'article {before}Xenia Quorl", True)
            for before in ("d'", "d’", "D'", "qu'", "jusqu’", "l'", "dell'")
        ),
        ({"names": ("Xenia Quorl",)}, "c'est Xenia Quorl'ın", True),
        ({"names": ("Brien Quorl",)}, "met O'Brien Quorl", False),
        ({"names": ("Xenia O",)}, "met Xenia O'Quorl", False),
        ({"handles": ("ana",)}, "merci d'@ana", True),
        ({"names": ("Xenia Quorl",)}, "met Anna-Xenia Quorl", False),
        ({"links": ("blog.example/ana/1",)}, "at https://www.blog.example/ana/1?x=2", True),
        ({"links": ("blog.example/ana/1",)}, "at https://other.blog.example/ana/1", False),
    ],
)
def test_what_may_be_part_of_another_one_is_found_and_never_certain(wanted, text, certain):
    (found,) = hits(table(text), **wanted).values()
    assert found.certain is certain


def _confirmed(rule, words, certain):
    return Proposal("s:0", None, rule, 1.0, certain, words, Verdict.CONFIRMED, None, None, None)


@pytest.mark.parametrize(
    ("names", "found", "lasting"),
    [
        ([RARE], [(RARE, True)], [RARE]),
        ([RARE, "Maria Garcia"], [(f"{RARE} met Maria Garcia", True)], [RARE]),  # common whatever the platform says
        ([RARE, "Zora Vexley"], [(f"{RARE} met Zora Vexley", True), ("Zora Vexley", False)], [RARE]),
        ([f"{RARE} Zorn", RARE], [(f"{RARE} Zorn", True)], [f"{RARE} Zorn"]),
        ([RARE], [(RARE, False)], []),
    ],
)
def test_only_names_that_are_nobody_elses_stay_out_for_good(names, found, lasting):
    hit = [_confirmed(Rule.NAME, fold(words), certain) for words, certain in found]
    assert lasting_names(Wanted("a@b.example", names=tuple(names)), hit) == sorted(map(fold, lasting))


def test_only_user_names_that_led_to_something_stay_out_for_good():
    items = table("hello there", "thanks @xav_q", "nobody", mentions=[["agora:mia_k"], None, None])
    wanted = Wanted("a@b.example", handles=("@xav_q", "mia_k", "admin"))
    found = hits(items, handles=wanted.handles).values()
    hit = [_confirmed(one.rule, one.snippet, one.certain) for one in found]
    assert lasting_handles(wanted, hit) == ["@xav_q", "mia_k"]


@pytest.mark.parametrize(
    ("words", "certain", "lasting"),
    [
        ("thanks @ana.maria", False, []),
        ("thanks @ana.maria and @ana", True, ["ana"]),
        ("d'@ana", True, ["ana"]),
        ("", False, ["ana", "admin"]),
        ("a tag is not among its words", True, ["ana", "admin"]),
    ],
)
def test_a_user_name_that_is_part_of_another_one_led_nowhere(words, certain, lasting):
    hit = [_confirmed(Rule.HANDLE, words, certain)]
    assert lasting_handles(Wanted("a@b.example", handles=("ana", "admin")), hit) == lasting


@pytest.mark.parametrize("before", ["d'", "d’", "qu'"])
def test_a_name_after_an_elision_stays_out_for_good(before):
    hit = [_confirmed(Rule.NAME, fold(f"l'article {before}{RARE}"), True)]
    assert lasting_names(Wanted("a@b.example", names=(RARE,)), hit) == [fold(RARE)]
