"""The grammar writes languages that others can tell apart, and dialects that differ from their base by rule."""

from collections import Counter

import py3langid
import pytest

from demur.testing.dice import Dice
from demur.testing.grammar import TOPICS, dialects, languages, lexicon, passage

CLOSE = {"nb": {"nb", "no", "da"}, "da": {"da", "nb", "no"}, "pt": {"pt", "gl"}, "cs": {"cs", "sk"}, "bg": {"bg", "mk"}}
"""Languages that a recogniser of short texts may take for a neighbour."""


def texts(tag, count=60):
    words = lexicon(tag)
    dice = Dice("test", tag)
    return [passage(words, dice.pick(TOPICS), dice, dice.between(1, 4)) for _ in range(count)]


def test_there_are_enough_of_them():
    assert len(languages()) >= 12
    assert len(dialects()) >= 3
    assert set(dialects().values()) <= set(languages())


@pytest.mark.parametrize("tag", languages())
def test_a_recogniser_agrees_about_a_standard_language(tag):
    found = Counter(py3langid.classify(text)[0] for text in texts(tag))
    right = sum(found[code] for code in CLOSE.get(tag, {tag}))
    assert right / sum(found.values()) >= 0.85, found


@pytest.mark.parametrize("tag", [*languages(), *dialects()])
def test_texts_vary_and_have_the_length_of_posts(tag):
    made = texts(tag, 200)
    assert len(set(made)) > 190
    lengths = sorted(len(text.split()) for text in made)
    assert lengths[0] >= 3
    assert 8 <= lengths[len(lengths) // 2] <= 40
    assert not any("{" in text or "  " in text for text in made)


@pytest.mark.parametrize("tag", dialects())
def test_a_dialect_differs_from_its_base_by_rule(tag):
    base, dialect = lexicon(dialects()[tag]), lexicon(tag)
    pairs = [
        (one, other)
        for topic in TOPICS
        for part in ("thing", "does", "act")
        for one, other in zip(base.topics[topic][part], dialect.topics[topic][part], strict=True)
    ]
    differing = [pair for pair in pairs if pair[0] != pair[1]]
    assert len(differing) / len(pairs) >= (0.15 if tag in {"es-AR", "pt-BR"} else 0.6)


@pytest.mark.parametrize("tag", [*languages(), *dialects()])
def test_every_phrase_of_a_slot_can_be_filled(tag):
    slots = lexicon(tag).slots
    for slot, blank in {"hello": "{name}", "reach": "{value}", "number": "{value}"}.items():
        assert all(phrase.count(blank) == 1 for phrase in slots[slot])
    for slot in ("time", "place", "with", "feel", "ask", "and", "look", "please", "answer"):
        assert slots[slot]
        assert not any("{" in phrase for phrase in slots[slot])
