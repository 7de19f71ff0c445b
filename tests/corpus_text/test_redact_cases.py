"""Names of objectors are found as sentences change them, and nobody else's in their place."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from demur.corpus import mentions, redact_fold
from demur.corpus.mentions import saying
from demur.corpus.redact import redact
from demur.corpus.redact_cases import LAST, MEN, WOMEN
from demur.corpus.redact_names import name_finder

FOUND = {
    "Anna Nováková": "Anny Novákové; Anně Novákové; Annu Novákovou; Annou Novákovou; Anny Novákovej; anny novakove",
    "Marie Svobodová": "Marii Svobodové; Marií Svobodovou",
    "Jan Novák": "Jana Nováka; Janu Novákovi; Janem Novákem; Janovi Novákovi",
    "Petr Marek": "Petra Marka; Petrem Markem",
    "Tomáš Černý": "Tomáše Černého; Tomášem Černým",
    "Jan Svoboda": "Jana Svobody; Janem Svobodou",
    "Anna Kowalska": "Anny Kowalskiej; Annie Kowalskiej; Annę Kowalską; Anną Kowalską",
    "Jan Kowalski": "Jana Kowalskiego; Janowi Kowalskiemu; Janem Kowalskim",
    "Paweł Nowak": "Pawła Nowaka; Pawłem Nowakiem",
    "Monika Nowak-Kowalska": "Moniki Nowak-Kowalskiej",
    "Maria Müller": "Marii Müller; Marię Müller; Marią Müller",
    "Marko Horvat": "Marka Horvata; Markom Horvatom",
    "Luka Horvat": "Luke Horvata",
    "Ivan Horvatić": "Ivana Horvatića; Ivanom Horvatićem",
    "Jonas Petraitis": "Jono Petraičio; Jonui Petraičiui; Joną Petraitį",
    "Ona Petraitienė": "Onos Petraitienės; Onai Petraitienei; Oną Petraitienę",
    "Jānis Bērziņš": "Jāņa Bērziņa; Jānim Bērziņam",
    "Anna Bērziņa": "Annas Bērziņas; Annai Bērziņai; Annu Bērziņu",
    "Γιώργος Παπαδόπουλος": "Γιώργου Παπαδόπουλου; Γιώργο Παπαδόπουλο",
    "Μαρία Παπαδοπούλου": "Μαρίας Παπαδοπούλου",
    "Elena Popescu": "Elenei Popescu",
    "Maria Ionescu": "Mariei Ionescu",
    "Anna Virtanen": "Anna Virtasen; Anna Virtaselle; Anna Virtasesta",
    "Kari Koski": "Kari Kosken; Kari Koskelle",
    "Aino Mäkelä": "Aino Mäkelän; Aino Mäkelältä",
    "Anna Tamm": "Anna Tammele; Anna Tammega",
    "Kovács Anna": "Kovács Annának; Kovács Annát; Kovács Annával; Anna Kováccsal; Kovács Annáról",
    "Nagy Péter": "Nagy Péterrel; Péter Naggyal; Nagy Péternek",
    "Anna Müller": "Müller Anna; MÜLLER Anna; Müller, Anna; Müller,  Anna; Mueller Anna",
    "Anna Maria Berg": "Berg, Anna Maria; Berg Anna Maria",
    "Anna Ly": "Ly, Anna; Annou Ly",
    "Kis Pál": "Kis Pállal; Kis Pálnak",
    "Per Hansen": "Hansen, Per",
    "Mel Gibson": "Gibson, Mel",
    "Iga Świątek": "Igi Świątek; Świątek, Iga",
    "Ursula von der Leyen": "von der Leyen, Ursula; Leyen, Ursula von der",
    "Gabriel García Márquez": "García Márquez, Gabriel",
    "Anna Nowak-Kowalska": "Nowak-Kowalska, Anna",
    "Lech Wałęsa": "Lecha Wałęsy; Lechem Wałęsą; Lechowi Wałęsie",
    "Andrzej Duda": "Andrzeja Dudy; Andrzejem Dudą; Andrzejowi Dudzie",
    "Viktor Orbán": "Orbán Viktort; Orbán Viktoré; Orbán Viktornak; Viktor Orbánnal",
    "Szabó Éva": "Szabó Évával; Szabó Évát",
    "Petteri Orpo": "Petteri Orpon",
    "Pekka Lahti": "Pekka Lahden",
    "Ville Korhonen": "Ville Korhosta",
    "Γιώργος Παπανδρέου": "Γιώργου Παπανδρέου",
    "Gitanas Nausėda": "Gitano Nausėdos",
    "Andreea Popa": "Andreei Popa",
    "Ondřej Dvořák": "Ondřeji Dvořákovi; Ondřeje Dvořáka",
    "Honza Procházka": "Honzovi Procházkovi; Honzu Procházku",
    "Ivana Marić": "Ivanom Marić",
}
"""Names → what is said of the same people."""

OTHERS = {
    "Anna Maria": "Anne Marie; Ann Marie",
    "Maria Rossi": "Mario Rossi; Marie Rossi",
    "Martin Braun": "Martina Braun; Martin Brauner",
    "Marco Ross": "Marco Rossi; Marco Rossini",
    "Anna Schmid": "Anna Schmidt; Anna Schmitz",
    "Jan Nowak": "Jana Nowak; Jana Nowakowa; Jan Nowakowski",
    "Anna Müller": "Anne Müller; Annie Müller; Ann Müller; Hanna Müller; Anna, Müller; Müller. Anna; müller anna",
    "Sie Haben": "haben Sie; haben sie",
    "Carlo Conte": "Carla Conte; Carlo Conti",
    "Paul Ba": "Paul Bano",
    "محمد علي": "علي محمد",
    "Roberto Franco": "Roberta Franca",
    "Luis Fernando": "Luisa Fernanda",
    "Josep Cabré": "Josep Cabrera",
    "Pierre Roche": "Pierre Rochet",
    "Anna Nico": "Anna Nicole",
    "Peter Marti": "Peter Marten; Peter Martin",
    "Anna Berg": "Hans Berg, Anna Schmidt; Frau Berg, Anna und; Berg, Anna Schmidt; Berg\nAnna fragte; Berg -\nAnna",
}  # fmt: skip
"""Names → what is said of others."""


@pytest.mark.parametrize(("name", "said"), [(name, one) for name, told in FOUND.items() for one in told.split("; ")])
def test_a_name_goes_in_other_cases_and_turned(name: str, said: str) -> None:
    texts = pa.array([f"so {said}, řekl", f"{said}", f"({said})", f"_{said}_", f"{said}!\n{said}"])
    assert saying(texts, [name]).to_pylist() == [True] * len(texts)
    left = redact(texts, [name]).texts.to_pylist()
    assert left == ["so <NAME>, řekl", "<NAME>", "(<NAME>)", "_<NAME>_", "<NAME>!\n<NAME>"]


@pytest.mark.parametrize(
    ("names", "said", "left"),
    [
        (["Anna Müller", "Anna Schmidt"], "mit Hans Müller, Anna Schmidt und Tom", "mit Hans Müller, <NAME> und Tom"),
        (["Anna Müller", "Anna Schmidt Weiß"], "so Müller Anna Schmidt Weiß ja", "so Müller <NAME> ja"),
        (["Jan Novák", "Anna Maria Nováková"], "so Annou Mariou Novákovou ja", "so <NAME> ja"),
    ],
)
def test_a_name_as_it_is_called_goes_before_another_one(names: list[str], said: str, left: str) -> None:
    assert redact(pa.array([said]), names).texts.to_pylist() == [left]


def test_many_names_that_begin_alike_cost_as_one() -> None:
    many = [
        f"Maria Anna {chr(97 + one % 26)}{chr(97 + one // 26 % 26)}x{chr(97 + one // 676)}b" for one in range(3_000)
    ]
    finder = name_finder([*many, "Maria Anna Kowalska"])
    assert finder is not None
    text = "Maria Anna " * 200 + "Marii Annie Kowalskiej"
    assert len(finder.spans(text)) == 1
    assert len(list(finder.cases._at(redact_fold.RUN.findall(redact_fold.folded(text))))) == 1, "names compared whole"


@pytest.mark.parametrize(("name", "said"), [(name, one) for name, told in OTHERS.items() for one in told.split("; ")])
def test_names_of_others_stay(name: str, said: str) -> None:
    texts = pa.array([f"so {said}, ja", said])
    assert redact(texts, [name]).texts.to_pylist() == texts.to_pylist()


def test_the_tables_change_no_word_to_itself_and_know_what_stays() -> None:
    for table in (WOMEN, MEN, LAST):
        for word in ("anna", "jan", "marek", "novakova", "kowalski", "virtanen", "kovacs", "jonas", "μαρια", "ναγυ"):
            assert not table.ending(word, word)
            stays = word[: table.keeps(word)]
            assert not any(table.ending(word, f"{stays[:-1]}x{ending}") for ending in ("a", "u", "em"))


_WORDS = st.sampled_from("Anna Marek Weiß Jan Nováková Kowalski Γιώργος Straße Łuk Virtanen Kovács Hélène Nagy".split())  # noqa: SIM905
_ENDINGS = st.sampled_from(["", "a", "y", "ovi", "em", "\u0301", "ß", "sen", "csal", "t", "u\u0301", "ες", "\u0303a"])
_SAID = st.lists(
    st.tuples(_WORDS, st.integers(0, 3), _ENDINGS).map(lambda one: one[0][: len(one[0]) - one[1]] + one[2]), max_size=6
)


def test_what_is_left_says_nobody() -> None:
    names = ["Anna maria Müller", "Jana maria Novák", "صلى الله"]
    for text in ("Müller, Anna maria Novák, Jana maria " * 7, "Novák, Jana maria Jana maria Novák", "محمد ﷺ قال"):
        once = redact(pa.array([text]), names).texts
        assert redact(once, names).texts == once
        assert once[0].as_py().count("<NAME>") <= 14


@pytest.mark.parametrize("gap", [" ", " - ", " ------ ", "\n" * 6, " ______ ", "\u2013" * 9])
def test_a_name_between_two_that_were_taken_out_is_looked_at_again(gap: str) -> None:
    record = redact(pa.array([f"x Anna Maria{gap}Schmidt Weiß y"]), ["Anna Maria", "Schmidt Weiß"]).texts
    assert mentions._cut(record, mentions._Beside.of(["Anna Maria Schmidt"]))[0].as_py()


def test_a_run_longer_than_any_form_is_passed_over_and_many_names_are_all_found() -> None:
    finder = name_finder(["Anna Müller"])
    assert finder is not None
    assert len(finder.spans("Anna Müller " + "q" * 400_000)) == 1
    assert max(map(len, finder.cases._known)) < 100, "neither looked up beginning by beginning nor remembered"
    assert len(finder.spans("Anna Müller und Anny Müller, " * 5_000)) == 10_000


@settings(max_examples=500, deadline=None)
@given(
    names=st.lists(st.lists(_WORDS, min_size=2, max_size=3).map(" ".join), min_size=1, max_size=4),
    said=st.lists(st.tuples(_SAID, st.sampled_from([" ", "-", ", ", "'", " \u0301", "."])), max_size=5),
)
def test_all_texts_at_once_say_what_each_says(names: list[str], said: list[tuple[list[str], str]]) -> None:
    finder = name_finder(names)
    assert finder is not None
    texts = [gap.join(words) for words, gap in said]
    found = [bool(finder.spans(text)) for text in texts]
    assert saying(pa.array(texts, pa.string()), names).to_pylist() == found


@example(["Anna Marek", "Jan Weiß"], "Anna Marek Jan", ["Anna", "Marek", "Jan", "Weiß"], " ")
@settings(max_examples=500, deadline=None)
@given(
    first=st.lists(st.lists(_WORDS, min_size=2, max_size=3).map(" ".join), min_size=1, max_size=2),
    then=st.lists(_WORDS, min_size=2, max_size=3).map(" ".join),
    said=_SAID,
    gap=st.sampled_from([" ", "-", ", ", "'", "."]),
)
def test_a_record_that_a_new_name_changes_is_looked_at_again(
    first: list[str], then: str, said: list[str], gap: str
) -> None:
    text = pa.array([gap.join(said)], pa.string())
    record = redact(text, first).texts
    if redact(text, [*first, then]).texts != record:
        again = mentions._cut(record, mentions._Beside.of([then]))
        assert saying(record, [then])[0].as_py() or again[0].as_py()
