"""The linter finds whatever is missing or dangerous in a notice, and says where and what to do."""

from __future__ import annotations

from dataclasses import replace

import pytest
from notice_worlds import CAMPAIGN, POLICY, SITE, TEXTS

from demur.notice.lexicon import AI, TRAINING, names_ai_training
from demur.notice.lint import ONLY_MAIL, Fault, lint, missing
from demur.notice.slots import LINK, SENTENCES
from demur.notice.texts import Text
from demur.terms.content import Kind
from demur.terms.policy import Policy
from demur.wiring import LANGUAGES

EN = TEXTS["en"]
FILES = {"body_txt": "en/body.txt", "body_html": "en/body.html", "inapp": "en/inapp.txt"}


def faults(policy: Policy = POLICY, **changed: str) -> list[Fault]:
    return lint({"en": replace(EN, **changed)}, CAMPAIGN, SITE, policy)


def one(**changed: str) -> Fault:
    found = faults(**changed)
    assert len(found) == 1, [str(fault) for fault in found]
    return found[0]


@pytest.mark.parametrize("part", FILES)
@pytest.mark.parametrize("slot", [LINK, *SENTENCES])
def test_a_text_that_lacks_what_the_law_asks_for_is_refused(part: str, slot: str) -> None:
    if part == "inapp" and slot in ONLY_MAIL:
        assert f"{{{{{slot}}}}}" not in EN.inapp
        return
    found = faults(**{part: getattr(EN, part).replace(f"{{{{{slot}}}}}", "…")})
    assert FILES[part] in {fault.file for fault in found}
    assert any(slot in fault.text for fault in found)


@pytest.mark.parametrize("subject", ["News about your account", "How we use AI", "Our training plans", "", "a\nb"])
def test_a_vague_subject_is_refused(subject: str) -> None:
    assert "en/subject.txt" in {fault.file for fault in faults(subject=subject)}


def test_a_subject_is_short_once_its_slots_are_filled() -> None:
    assert one(subject="AI training: " + "x" * 120).text.startswith("expected at most 120 signs")
    assert "only short facts" in faults(subject="AI training {{one_click}}")[-1].text


@pytest.mark.parametrize(
    "text",
    [
        "{% if x %}",
        "{{ platform }}",
        "{{platform.__class__}}",
        "{{platform|safe}}",
        "{# x #}",
        "{{",
        "}}",
        "{{7*7}}",
        "{{law}}",
    ],
)
@pytest.mark.parametrize("part", FILES)
def test_a_template_is_data(part: str, text: str) -> None:
    found = faults(**{part: f"{getattr(EN, part)}\n{text}\n"})
    assert {fault.file for fault in found} == {FILES[part]}
    assert found[0].line == getattr(EN, part).count("\n") + 2


@pytest.mark.parametrize(
    "markup",
    [
        "<script>alert(1)</script>",
        '<img src="https://tracker.example/pixel.gif">',
        '<link rel="stylesheet" href="https://cdn.example/a.css">',
        "<style>p { background: url(https://tracker.example) }</style>",
        '<form action="https://elsewhere.example"><input></form>',
        '<iframe src="https://elsewhere.example"></iframe>',
        '<p onclick="x()">x</p>',
        '<p style="display:none">x</p>',
        '<a href="javascript:x()">x</a>',
        '<a href="http://insecure.example">x</a>',
        '<a href="{{object_url}}?utm_source=mail">x</a>',
        '<a href="data:text/html,x">x</a>',
        '<a lang="{{platform}}">x</a>',
        '<base href="https://elsewhere.example">',
        '<meta http-equiv="refresh" content="0">',
        "<svg><use/></svg>",
        "<!-- hidden -->",
        "<!doctype html>",
        "<?php x ?>",
        "<{{platform}}>",
        "<p>x",
        "</p>",
        "<b><i>x</b></i>",
    ],
)
def test_html_that_could_harm_or_track_is_refused(markup: str) -> None:
    found = faults(body_html=f"{EN.body_html}\n{markup}\n")
    assert {fault.file for fault in found} == {"en/body.html"}
    assert all(fault.line == EN.body_html.count("\n") + 2 for fault in found), found


def test_links_to_pages_and_mailboxes_are_welcome() -> None:
    more = '<p><a href="https://agora.example/help">Help</a> <a href="mailto:{{contact}}">Write</a></p>'
    assert faults(body_html=EN.body_html + more) == []


def test_the_link_stands_alone_on_the_first_screen() -> None:
    inside = EN.body_txt.replace("{{object_url}}", "here: {{object_url}}")
    assert "alone on its line" in one(body_txt=inside).text
    crowded = EN.body_txt.replace("\n\n{{object_url}}", "\n{{object_url}}")
    assert "blank lines" in one(body_txt=crowded).text
    late = "word " * 200 + "\n\n" + EN.body_txt
    assert "move it up" in one(body_txt=late).text
    filled = "{{what_data}} {{responsible}}\n\n" + EN.body_txt  # short as written, long as read
    assert "move it up" in one(body_txt=filled).text


def test_the_button_stands_alone_on_the_first_screen() -> None:
    inside = EN.body_html.replace('<p><a class="button"', '<p>Press <a class="button"')
    assert "alone in its block" in one(body_html=inside).text
    plain = EN.body_html.replace(' class="button"', "")
    assert "alone in its block" in one(body_html=plain).text
    late = f"<p>{'word ' * 200}</p>" + EN.body_html
    assert "move it up" in one(body_html=late).text


def test_hidden_signs_are_refused() -> None:
    fault = one(inapp=EN.inapp.replace("no", "n\u202eo", 1))
    assert (fault.file, fault.line) == ("en/inapp.txt", 1)
    assert "U+202E" in fault.text


def test_a_policy_of_consent_sends_no_notice_of_objection() -> None:
    found = faults(replace(POLICY, legal_basis="GDPR art. 6(1)(a): consent"))
    assert [fault.file for fault in found] == ["campaign"]


def test_a_campaign_for_nothing_is_refused() -> None:
    campaign = replace(CAMPAIGN, kinds=frozenset({Kind.PRIVATE_MESSAGE}))
    assert [fault.file for fault in lint(TEXTS, campaign, SITE, POLICY)] == ["campaign"]
    assert [fault.file for fault in lint({}, CAMPAIGN, SITE, POLICY)] == ["campaign"]


def test_a_language_without_its_standard_sentences_is_refused() -> None:
    text = Text("tlh", "AI training", EN.body_txt, EN.body_html, EN.inapp)
    found = lint({"tlh": text}, CAMPAIGN, SITE, POLICY)
    assert [fault.file for fault in found] == ["tlh/"]
    assert lint({"en-IE": replace(EN, language="en-IE")}, CAMPAIGN, SITE, POLICY) == []


def test_missing_translations_are_listed() -> None:
    assert missing(["en", "de"], ["de", "ga", "cy"]) == ["cy", "ga"]


def test_every_language_has_words_for_both() -> None:
    assert sorted(AI) == sorted(TRAINING) == sorted({*LANGUAGES, "cy"})


@pytest.mark.parametrize(
    ("language", "subject"),
    [
        ("de", "KI-Training mit Ihren Beiträgen"),
        ("fr", "Entraînement de l’IA avec vos publications"),
        ("el", "Εκπαίδευση τεχνητής νοημοσύνης με τις αναρτήσεις σας"),
        ("bg", "Обучение на ИИ с вашите публикации"),
        ("fi", "Tekoälyn koulutus julkaisuillasi"),
        ("hu", "MI-betanítás az Ön bejegyzéseivel"),
        ("pl", "Trenowanie AI na Twoich wpisach"),
        ("nn", "KI-trening med innlegga dine"),
        ("pt-BR", "Treinamento de IA com suas publicações"),
    ],
)
def test_good_subjects_are_told_from_vague_ones(language: str, subject: str) -> None:
    assert names_ai_training(subject, language)
    assert not names_ai_training("Agora: …", language)


def test_an_unknown_language_names_nothing() -> None:
    assert not names_ai_training("AI training", "tlh")
