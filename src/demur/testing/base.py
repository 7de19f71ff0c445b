"""Text without any personal data, to train the small frozen base model and its tokenizer on.

The same grammar as the network's, another space of seeds, no names, no handles, no identifiers: nothing in it can ever
need to be erased (ERASURE.md). Half of the topics and all dialects are left out, so that experts have something to
learn from people.
"""

from __future__ import annotations

from collections.abc import Iterator

from demur.testing.dice import Dice
from demur.testing.grammar import TOPICS, languages, lexicon, passage


def base_text(seed: int, sentences: int) -> Iterator[tuple[str, str]]:
    """Yield (language, text) until that many sentences are out, the standard languages in turn.

    Args:
        seed: seed of the text; unrelated to networks of the same seed.
        sentences: how many in all; a text holds one to three.
    """
    tags, topics = languages(), TOPICS[: len(TOPICS) // 2]
    number = 0
    while sentences > 0:
        dice = Dice("base", seed, number)
        count = min(dice.between(1, 3), sentences)
        tag = tags[number % len(tags)]
        yield tag, passage(lexicon(tag), dice.pick(topics), dice, count)
        sentences -= count
        number += 1
