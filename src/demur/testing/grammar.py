"""Sentences in many languages from small lexicons of our own (``languages/*.txt``); no corpus was copied.

A lexicon holds whole phrases that fit together in any combination: a thing, what it does, what I do, when, where, with
whom. A dialect file (``dialects/*.txt``) names its base language and how words and spelling differ, systematically.
Does not know people or items.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from demur.errors import BrokenError
from demur.testing.dice import Dice

_FOLDER = Path(__file__).parent
TOPICS = ("weather", "football", "food", "trains", "garden", "music", "film", "vote", "pets", "home")
_FRAMES = (
    "{thing} {does} {time}",
    "{thing} {does}, {and} {act}",
    "{act} {time} {place}",
    "{act} {place} {with}",
    "{thing} {does} {place}",
    "{act} {time}, {and} {thing} {does}",
    "{thing} {does}, {and} {feel}",
    "{act} {with} {time}",
)
_EMOJI = ("🙂", "🌧️", "⚽", "🍲", "🚆", "🌱", "🎶", "🎬", "🗳️", "🐈", "❤️", "😂", "👍", "🤔")


@dataclass(frozen=True, slots=True)
class Lexicon:
    """The phrases of one language or dialect."""

    tag: str
    """BCP 47 tag: ``de``, ``gsw``, ``pt-BR`` …"""
    language: str
    """The standard language: the tag itself, or the base of a dialect."""
    slots: dict[str, tuple[str, ...]]
    topics: dict[str, dict[str, tuple[str, ...]]]


@cache
def languages() -> tuple[str, ...]:
    """Return the tags of the standard languages, sorted."""
    return tuple(sorted(path.stem for path in (_FOLDER / "languages").glob("*.txt")))


@cache
def dialects() -> dict[str, str]:
    """Return dialect tag → tag of its base language."""
    found = sorted((_FOLDER / "dialects").glob("*.txt"))
    bases = {path.stem: _read(path)["base"][0] for path in found}
    return {tag: base for tag, base in bases.items() if base in languages()}


@cache
def lexicon(tag: str) -> Lexicon:
    """Return the lexicon of a language or dialect; built once.

    Raises:
        BrokenError: a file of ours lacks a slot.
    """
    base = dialects().get(tag)
    rows = _read(_FOLDER / "languages" / f"{base or tag}.txt")
    if base is not None:
        rows = _turn(rows, _read(_FOLDER / "dialects" / f"{tag}.txt"))
    slots = {name: phrases for name, phrases in rows.items() if "." not in name}
    topics = {topic: {part: rows.get(f"{topic}.{part}", ()) for part in ("thing", "does", "act")} for topic in TOPICS}
    if not all(phrases for topic in topics.values() for phrases in topic.values()):
        raise BrokenError(f"expected thing, does and act for every topic in the lexicon {tag}; complete the file")
    return Lexicon(tag, base or tag, slots, topics)


def sentence(words: Lexicon, topic: str, dice: Dice) -> str:
    """Return one sentence on a topic, with a capital and a full stop, without any personal data."""
    parts = words.topics[topic]
    slots = words.slots
    made = dice.pick(_FRAMES).format(
        thing=dice.pick(parts["thing"]),
        does=dice.pick(parts["does"]),
        act=dice.pick(parts["act"]),
        time=dice.pick(slots["time"]),
        place=dice.pick(slots["place"]),
        feel=dice.pick(slots["feel"]),
        **{"with": dice.pick(slots["with"]), "and": dice.pick(slots["and"])},
    )
    return f"{capital(made)}."


def passage(words: Lexicon, topic: str, dice: Dice, sentences: int) -> str:
    """Return some sentences on one topic; now and then a feeling or a question between them."""
    made = [sentence(words, topic, dice)]
    for _ in range(sentences - 1):
        roll = dice.unit()
        if roll < 0.15:
            made.append(f"{capital(dice.pick(words.slots['feel']))}.")
        elif roll < 0.25:
            made.append(capital(dice.pick(words.slots["ask"])))
        else:
            made.append(sentence(words, topic, dice))
    return " ".join(made)


def decorate(text: str, topic: str, dice: Dice) -> str:
    """Return the text as people post it: sometimes with an emoji or a hashtag."""
    roll = dice.unit()
    if roll < 0.12:
        return f"{text} {dice.pick(_EMOJI)}"
    return f"{text} #{topic}" if roll < 0.2 else text


def say(words: Lexicon, slot: str, dice: Dice, **fill: str) -> str:
    """Return one phrase of a slot, capitalised, with its blanks filled."""
    return capital(dice.pick(words.slots[slot])).format(**fill)


def capital(text: str) -> str:
    """Return the text with a capital first letter, also after ``¿``."""
    first = 1 if text[:1] in "¿¡" else 0
    return text[:first] + text[first : first + 1].upper() + text[first + 1 :]


def _read(path: Path) -> dict[str, tuple[str, ...]]:
    rows: dict[str, tuple[str, ...]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.strip():
            name, _, phrases = line.partition(": ")
            rows[name] = tuple(phrase.strip() for phrase in phrases.split(" | "))
    return rows


def _turn(rows: dict[str, tuple[str, ...]], rules: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    words = dict(pair.split("=", 1) for pair in rules["words"])
    spelling = [
        (re.compile(left), right) for left, _, right in (pair.rpartition("=") for pair in rules.get("spelling", ()))
    ]
    whole = re.compile(r"(?<![\w{])(" + "|".join(sorted(map(re.escape, words), key=len, reverse=True)) + r")(?![\w}])")

    def turn(phrase: str) -> str:
        pieces: list[str] = []
        at = 0
        for found in whole.finditer(phrase):
            pieces += [_spell(phrase[at : found.start()], spelling), words[found[0]]]
            at = found.end()
        return "".join([*pieces, _spell(phrase[at:], spelling)])

    return {name: tuple(turn(phrase) for phrase in phrases) for name, phrases in rows.items()}


def _spell(text: str, spelling: list[tuple[re.Pattern[str], str]]) -> str:
    for piece in re.findall(r"\{\w+\}|[^{}]+", text):
        if not piece.startswith("{"):
            turned = piece
            for left, right in spelling:
                turned = left.sub(right, turned)
            text = text.replace(piece, turned, 1)
    return text
