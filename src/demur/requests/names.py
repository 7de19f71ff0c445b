"""How common a name is: a rare one may be proposed, a common one needs somebody to look (TPD-04).

Estimated from the platform's own people, and from a short list of names that are common in Europe whatever a small
platform says. Knows nobody: counts in, verdict out.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

_WORD = re.compile(r"[^\W\d_]+(?:['’\-][^\W\d_]+)*")
RARE_EXPECTED = 0.5
"""Bearers that chance alone would give among the platform's people."""

COMMON = frozenset(
    (  # noqa: SIM905  (a list of two hundred quoted words would be unreadable)
        "maria anna ana eva elena laura julia sara sarah marie sofia sophie emma lena lisa nina petra "
        "katarina christine michael thomas peter martin andreas stefan daniel david alexander paul john jean "
        "jan josef jose juan antonio francisco manuel carlos luis pedro joao mario marco andrea luca giuseppe "
        "giovanni francesco piotr krzysztof andrzej tomasz pavel petr jiri ivan dimitar georgi nikolaos "
        "georgios lars anders johan erik hans karl mary james robert william jack sean patrick liam pierre "
        "michel philippe nicolas agnieszka katarzyna barbara monika smith jones murphy kelly brown taylor "
        "wilson walsh muller mueller schmidt schneider fischer weber meyer maier wagner becker schulz "
        "hoffmann koch bauer richter klein wolf gruber huber bernard dubois durand moreau laurent simon "
        "garcia fernandez gonzalez rodriguez lopez martinez sanchez perez gomez rossi russo ferrari esposito "
        "bianchi romano silva santos ferreira pereira costa oliveira nowak kowalski kowalska wisniewski novak "
        "novakova svoboda dvorak horvath kovacs nagy toth szabo popescu ionescu popa ivanov ivanova petrov "
        "dimitrov papadopoulos georgiou jansen devries bakker visser peeters janssens hansen johansen olsen "
        "larsen andersen nielsen jensen pedersen johansson andersson karlsson nilsson eriksson larsson "
        "korhonen virtanen jonsdottir kazlauskas berzins tamm borg camilleri"
    ).split()
)


def words_of(folded: str) -> tuple[str, ...]:
    """Return the words of a folded name.

    >>> words_of("jean-paul o'neil 3")
    ('jean-paul', "o'neil")
    """
    return tuple(_WORD.findall(folded))


class Names:
    """Counts the people of a platform by the words of their names.

    Args:
        asked: folded full names that are asked about.
    """

    def __init__(self, asked: Sequence[str]) -> None:
        self._asked = {words_of(name) for name in asked}
        self._words = {word for name in self._asked for word in name}
        self._single: Counter[str] = Counter()
        self._bearers: Counter[tuple[str, ...]] = Counter()
        self._people = 0

    def count(self, names: Iterable[str | None]) -> None:
        """Count some people's folded display names."""
        for name in names:
            if not name:
                continue
            self._people += 1
            found = words_of(name)
            if self._words.isdisjoint(found):
                continue
            self._single.update(self._words.intersection(found))
            if found in self._asked:
                self._bearers[found] += 1

    def bearers(self, name: str) -> int:
        """Return how many people of the platform show exactly that name."""
        return self._bearers[words_of(name)]

    def is_rare(self, name: str) -> bool:
        """Return whether a full name points at one human being: so rare that chance would hardly make another one."""
        found = words_of(name)
        if len(found) < 2 or all(word in COMMON for word in found):
            return False
        expected = float(self._people)
        for word in found:
            expected *= max(self._single[word], 0.5) / max(self._people, 1)
        return self.bearers(name) <= 1 and expected < RARE_EXPECTED
