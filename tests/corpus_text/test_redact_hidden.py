# ruff: noqa: E501 (tables read better whole)
"""Identifiers as people hide them, glue them and dress them up; and ordinary texts that only look like it."""

from __future__ import annotations

import random
import time

import pyarrow as pa
import pytest

from demur.corpus.redact import redact, redact_text
from demur.corpus.redact_names import name_finder, redact_names
from demur.corpus.redact_normal import normalise
from demur.corpus.redact_render import fake

from .planted_countries import NATIONALS


def only(text: str) -> str:
    """Return a text redacted, by both readings."""
    (whole,) = redact(pa.array([text])).texts.to_pylist()
    assert whole == redact_text(text)
    return whole


MAIL = [
    "anna84 arroba gmail punto com", "anna.perez arroba gmail.com", "anna.rossi chiocciola libero punto it", "anna chiocciola libero.it",
    "anna.kowalska małpa wp.pl", "anna malpa wp kropka pl", "anna.novakova zavinac seznam tecka cz", "anna zavináč seznam.cz", "anna.nagy kukac freemail.hu",
    "anna.mueller Klammeraffe web punkt de", "anna apenstaartje ziggo punt nl", "anna snabel-a mail punktum dk", "anna snabela telia.se",
    "anna arobase orange point fr", "anna afna siol pika net", "анна маймуна abv.bg", "anna.papa παπάκι gmail τελεία com", "anna ät luukku piste com",
    "anna et inbox punkts lv", "anna eta mail taškas lt", "anna hjá mail punktur is", "anna dot mueller at example dot org", "anna -at- example -dot- org",
    "anna |at| example.org", "anna „at“ web.de", "anna.mueller at example.org", "anna.mueller at пример.рф", "anna_m84 at web.de", "annaATweb.de", "anna (at) gmail", "anna at sign web dot de",
    "anna&#64;example.org", "anna&commat;example&period;org", "anna&#x40;example.org", "anna%40example.org", "anna\\@example.org", "anna\\_mueller@example.org",
    "anna@ gmail.com", "anna@ gmail. Com", "anna @gmail.com", "stack [at] anna dotcom",
]  # fmt: skip


@pytest.mark.parametrize("text", MAIL)
def test_hidden_mail_goes(text: str) -> None:
    assert only(f"schreib mir: {text}, danke") == "schreib mir: <EMAIL>, danke"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("_+49 151 23456789_", "_<PHONE>_"),
        ("_DE89370400440532013000_", "_<IBAN>_"),
        ("_192.0.2.17_", "_<IP>_"),
        ("電話0151 23456789です", "電話<PHONE>です"),
        ("Tel0151 23456789", "Tel<PHONE>"),
        ("+4915123456789Anna", "<PHONE>Anna"),
        ("4915123456789", "<PHONE>"),
        ("11912345678", "<PHONE>"),
        ("0️⃣1️⃣5️⃣1️⃣2️⃣3️⃣4️⃣5️⃣6️⃣7️⃣8️⃣9️⃣", "<PHONE>"),
        ("0\u03361\u03365\u03361\u0336 2\u03363\u03364\u03365\u03366\u0336", "<PHONE>"),
        ("0151•234•56789", "<PHONE>"),
        ("0 1 5 1 2 3 4 5 6 7 8 9", "<PHONE>"),
        ("+49&nbsp;151&nbsp;23456789", "<PHONE>"),
        ("DE89/3704/0044/0532/0130/00", "<IBAN>"),
        ("DE8 937 040 044 053 201 300 0", "<IBAN>"),
        ("DE89 3704 0044\n0532 0130 00", "<IBAN>"),
        ("DE89_3704_0044_0532_0130_00", "<IBAN>"),
        ("IBANDE89370400440532013000", "IBAN<IBAN>"),
        ("iban DE8937040044053201300", "iban <IBAN>"),
        ("KZ86125KZT5004100100", "<IBAN>"),
        ("61109010140000071219812874", "<ID>"),
        ("61 1090 1014 0000 0712 1981 2874", "<ID>"),
        ("11773016-11111018-00000000", "<ID>"),
        ("19-2000145399/0800", "<ID>"),
        ("0123456M", "<ID>"),
        ("12345678z", "<ID>"),
        ("x1234567l", "<ID>"),
        ("6433435f", "<ID>"),
        ("131052-308t", "<ID>"),
        ("ab 12 34 56 c", "<ID>"),
        ("811228+9874", "<ID>"),
        ("15 070649 C 103", "<ID>"),
        ("2 55 08 14 168 025", "<ID>"),
        ("898 0000 0004 3208", "<ID>"),
        ("MG-12.345.678", "<ID>"),
        ("P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<", "<ID>"),
        ("L898902C36UTO7408122F1204159ZE184226B<<<<<10", "<ID>"),
        ("0474/25.16.04", "<PHONE>"),
        ("192[.]0[.]2[.]17", "<IP>"),
        ("001B.4411.3AB7", "<MAC>"),
        ("u/some\\_body", "<HANDLE>"),
        ("insta: anna.mueller", "insta: <HANDLE>"),
        ("insta: anna.84", "insta: <HANDLE>"),
        ("insta=anna84", "insta=<HANDLE>"),
        ("Insta is: annam12", "Insta is: <HANDLE>"),
        ("Snapchat anna_m12", "Snapchat <HANDLE>"),
        ("instagram è anna_m", "instagram è <HANDLE>"),
        ("instagram username ist anna_m", "instagram username ist <HANDLE>"),
        ("instagram ist anna._m", "instagram ist <HANDLE>"),
        ("skype live:anna", "skype <HANDLE>"),
        ("skype: live:anna", "skype: <HANDLE>"),
        ("anna.bandcamp.com", "<HANDLE>"),
        ("ask.fm/anna", "<URL>"),
        ("example.com.br/anna", "<URL>"),
        ("müller.de/anna?x=1", "<URL_ID>"),
        ("пример.рф/анна", "<URL>"),
        ("Hauptstr.5", "<ADDRESS>"),
        ("Hauptstraße Nr. 5", "<ADDRESS>"),
        ("12 rue des lilas", "<ADDRESS>"),
        ("12 bis, avenue de la gare", "<ADDRESS>"),
        ("5b place Vendôme", "<ADDRESS>"),
        ("Herengracht 12, 1015 BK Amsterdam", "<ADDRESS>"),
        ("Prinsenhof 12, 1015 BK Amsterdam", "<ADDRESS>"),
        ("ul. marszałkowska 10/12", "<ADDRESS>"),
        ("Kossuth Lajos utca 5/B", "<ADDRESS>"),
        ("Karlova 123/5, 110 00 Praha", "<ADDRESS>"),
        ("An der Alster 12, 20099 Hamburg", "<ADDRESS>"),
        ("221B Baker Street, London NW1 6XE", "<ADDRESS> <ADDRESS>"),
        ("10 Downing Street, London SW1A 2AA", "<ADDRESS> <ADDRESS>"),
        ("Keizersgracht 123A 1015CJ Amsterdam", "<ADDRESS>"),
        ("ul. Marszałkowska 1 m. 5, 00-624 Warszawa", "<ADDRESS>"),
        ("Mannerheimintie 10 A 5, 00100 Helsinki", "<ADDRESS>"),
        ("Vestergade 12, 2. tv, 1456 København", "<ADDRESS>"),
        ("Ilica 10, 10000 Zagreb", "<ADDRESS>"),
        ("Postfach 12 34", "<ADDRESS>"),
        ("Hauptstraße 5, 10 Uhr", "<ADDRESS>, 10 Uhr"),
    ],
)
def test_what_is_dressed_up_goes(text: str, expected: str) -> None:
    assert only(f"so: {text} – ja") == f"so: {expected} – ja"


@pytest.mark.parametrize("country", sorted(NATIONALS))
def test_national_numbers_go_in_emphasis_and_within_other_scripts(country: str) -> None:
    chance = random.Random(country)
    for value in [NATIONALS[country](chance) for _ in range(10)]:
        for before, after in (("_", "_"), ("**", "**"), ("我的", "号码"), ("🙂", "🙂"), ("(", ")")):
            left = only(f"so {before}{value}{after} ja")
            assert sum(sign.isdigit() for sign in left) == 0, left


ORDINARY = (
    "Wien (AT) ist schön", "Graz (AT) 2019, Bern (CH) 2020", "look *at* me", "this is *a* test", "Artikel 6 (a) DSGVO gilt", "Vitamin (A) und (E)",
    "seu namorado(a) não deve", "either (a) do this or (b) that", "at some point in the future", "but at this point no one knows", "look at the dot com bubble",
    "See you @ work. Bye then", "lui et moi point de vue", "chez moi point de salut", "the bug#1234 and PR#4521", "Kapitel 3.2.1.4 lesen", "CVE-2021-44228",
    "ISBN-10 0306406152", "a repeating 0.00011001100 then", "42949672960 bytes", "react@18.2.0, python@3.11", "5 Äpfel @ 2 €", "stay_at_home", "DE/AT/CH sind dabei",
    "Insta: neue Story", "Twitter: heute viel los", "Instagram 2023 trends", "via Zoom 5 persone", "12.345.678 A", "20230101 A", "apesar • de ser", "col·legi de Girona",
    "snake_case_1 and __init__", "Band 3, 12 Wörter", "Mai 5, 2024 Berlin", "__12__", "Object.method at app.js:12", "egy kukac ott pont az almában", "std::cout << x << endl 12345", "&amp; &#8217; &quot;",
    "In Halle 3, 1500 Besucher", "Platz 3, 4500 Punkte", "Kapitel 5, 1300 Seiten", "Windows 11 4096 Megabyte", "Bundesliga 3 1500 Zuschauer",
    "Google Pixel 7 5000 Fotos", "Die Grünen 12, 1500 Stimmen", "Mai 12, 3500 Leute", "la 3e place du classement général mondial", "il reste 1 place de parking",
    "En 2e place du podium", "5 chemin de fer", "ligne 3 quai direction nord", "3 impasse totale", "le 4 rue barrée", "la 5e avenue de mes rêves",
    "Twitter COVID19 debate", "Xbox FIFA23", "Steam: CS2", "Facebook: Q4 results", "YouTube: Teil2", "Facebook is web3", "Discord is v2", "Twitter: Nein.Doch",
    "Twitter covid19", "Xbox: FIFA23", "Telegram: www.bbc.co.uk", "Facebook: spiegel.de", "Facebook is spiegel.de", "see www.medium.com", "https://www.medium.com",
    "www.bandcamp.com", "api.medium.com", "1500000L Wasser",
)  # fmt: skip


@pytest.mark.parametrize("text", ORDINARY)
def test_ordinary_texts_stay(text: str) -> None:
    assert only(text) == text


def test_a_handle_behind_a_word_takes_the_word_not_along() -> None:
    assert only("sagte @dpa. Auch er") == "sagte <HANDLE>. Auch er"


LONG = {
    "digits": "7" * 100_000,
    "at signs": "@" * 100_000,
    "a word before (at)": "a" * 100_000 + " x(at)y",
    "dotted before (at)": "a." * 50_000 + " x(at)y.de",
    "a word before at": "a" * 100_000 + " at b dot com",
    "a word before a colon": "a" * 100_000 + ":b@c.de",
    "brackets": "http://x/" + ")" * 100_000,
    "bare addresses": "a.com/" * 16_000,
    "phones like amounts": "21 345 678, " * 8_000,
    "boxes": "box 1 " * 16_000,
    "marks": "a" + "\u0301\u0316" * 50_000,
    "joiners": "\u200d" * 100_000,
    "numbers in a row": "1-" * 50_000,
    "ids": "44051401359 " * 8_000,
    "dates": "01.02.2020 " * 9_000,
    "tokens cut by hyphens": "x1---" * 20_000,
    "addresses without an end": "www." * 25_000,
    "accounts without a mark": "insta a1 insta " + "a" * 100_000,
}


@pytest.mark.parametrize("kind", sorted(LONG))
def test_time_grows_with_the_length_and_not_its_square(kind: str) -> None:
    begun = time.process_time()
    redact(pa.array([LONG[kind]]), ["Anna Müller"])
    assert time.process_time() - begun < 6


@pytest.mark.parametrize(
    "text", ["a" + "\u0301" * 90, "1\u20e3" * 9, "a&#64;b", "1\u20e3 2\u20e3  3\u20e34\u20e35\u20e3", "&#0006\u20e34;"]
)
def test_a_text_has_one_spelling(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text)


NAMES = [
    "🌸 Dr. Anna Müller 🌱 (sie/ihr)",
    "Sinéad O'Connor",
    "José Groß",
    "Anna-Maria Nováková",
    "Łukasz Żak",
    "Άννα Παπαδοπούλου",
    "𝐉𝐚𝐧 𝐁𝐞𝐫𝐠",
]


@pytest.mark.parametrize(
    "said",
    [
        "Anna Müller", "Anna Müllers", "anna mueller", "Anna Muller", "ANNA MÜLLER", "anna_müller", "anna.müller", "AnnaMüller", "Anna\u00a0Müller",
        "Sinéad O\u2019Connor", "sinead oconnor", "Jose Gross", "Anna Maria Novakova", "Anna\u2011Maria Nováková", "lukasz zak", "ΑΝΝΑ ΠΑΠΑΔΟΠΟΥΛΟΥ", "Jan Berg",
    ],
)  # fmt: skip
def test_names_of_objectors_go_however_they_are_spelled(said: str) -> None:
    finder = name_finder(NAMES)
    for before, after in (("", ""), ("#", ""), ("von ", "'s Buch"), ("_", "_")):
        (left,) = redact_names(pa.array([f"so {before}{said}{after} ja"]), finder).to_pylist()
        assert left.startswith(f"so {before.rstrip('_')}".rstrip(), 0)
        assert "<NAME>" in left


def test_a_profile_of_common_words_or_one_name_takes_nothing_along() -> None:
    said = ["I am in the house", "Anna kam. Müller ging", "Team Berlin", "anna müllerin"]
    names = ["in the ✨", "Anna | Team Berlin", "Anna Müller"]
    assert redact_names(pa.array(said), names).to_pylist() == said


@pytest.mark.parametrize(
    "value", ["@anna_12", "anna.bsky.social", "did:plc:ewvi7nxzyoun6zhxrhs64oiz", "anna#1234", "anna.m"]
)
def test_made_up_accounts_are_of_a_host_that_is_none(value: str) -> None:
    assert fake(value, "HANDLE", b"0123456789abcdef").endswith("@social.example")


def test_made_up_accounts_of_reddit_are_longer_than_any() -> None:
    made = fake("u/anna", "HANDLE", b"0123456789abcdef")
    assert made.startswith("u/")
    assert len(made) > 2 + 20
