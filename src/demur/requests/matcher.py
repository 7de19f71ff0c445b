"""Finds items that somebody else is in: by link, handle, number, address, name, copied text, picture (TPD-02 … TPD-04).

One batch of items at a time; keeps nothing between batches but what it looks for. Every comparison is made on folded
text (case, accents, blanks), first for a whole column, then again with borders where the column said yes.

Does not decide: it proposes, and says how sure it is. Does not read files or know where items come from.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from demur.requests.words import Found, Rule, Wanted

NEAR = 0.5
"""Jaccard similarity of words and pairs of words from which a text is proposed."""
SURE = 0.8
"""From here on it is the same text but for a word or two."""
OTHERWISE = 0.9
"""Score of a name in another case, order or spelling."""
COPY_WORDS = 6
"""Shorter texts belong to nobody: a copy of one is looked at by somebody."""
PHONE_DIGITS, SURE_DIGITS = 7, 9
SEGMENT = 6
"""Signs of the last part of a link that name an item by themselves."""
_AROUND = 80
_PHONE = re.compile(r"\+?\d[\d\s().\-/]{5,}\d")
_SCHEME = re.compile(r"^([a-z][a-z0-9+.\-]*://)?(www\.)?")
_SERVICE = re.compile(r"^[^:/]+:(?!//)")
"""What an import puts before ids, also before those that are links."""
_LOOSE = r"(?<!\w){}(?!\w)"
_TIGHT = rf"(?:(?<=www\.)|(?<!\w[-.+])(?<!\bo['’])){_LOOSE}(?![-.+@]\w)(?!(?<=\b\w)['’]\w)"
"""Borders in folded text: by themselves, and as no part of a longer name, address or handle (Quorl-Smith, x.y@…).

An apostrophe joins what many languages put before and after a name (d'Ana, Ana'nın); only O'Quorl is a longer name.
"""


@dataclass(frozen=True, slots=True)
class Similarity:
    """How copied text and names are found; the flow hands in the corpus' own measures, so that both mean the same."""

    pairs: Callable[[Any, Sequence[int], Sequence[int]], npt.NDArray[np.float64]]
    """Similarity of pairs of rows of a text column: words and pairs of neighbours shared, over all of both."""
    words: Callable[[str], Sequence[str]]
    names: Callable[[Any, Sequence[str]], Iterator[tuple[int, int, int]]]
    """Row, start and end where texts say a name in whatever case, order or spelling."""


@dataclass(slots=True)
class Searched:
    """What was looked at."""

    items: int = 0
    unseen_pictures: int = 0
    """Pictures whose files are not here."""


COLUMNS = ["item_id", "account_id", "text", "mentions", "media_path", "media_type", "state"]
Hit = tuple[Found, str | None]


def folded(texts: Any) -> Any:
    r"""Return a text column without case, accents and runs of blanks.

    >>> folded(pa.array(["José\n MÜLLER"])).to_pylist()
    ['jose muller']
    """
    plain = pc.utf8_normalize(pc.utf8_lower(texts), form="NFKD")
    return pc.replace_substring_regex(pc.replace_substring_regex(plain, r"\p{M}+", ""), r"\s+", " ")


def fold(text: str) -> str:
    """Return one text folded the same way."""
    found: str = folded(pa.array([text], pa.string()))[0].as_py()
    return found.strip()


def link_key(link: str) -> str:
    """Return a link without scheme, ``www.``, query and last slash.

    >>> link_key("https://www.Agora.example/@ana/12345/?x=1#y")
    'agora.example/@ana/12345'
    """
    bare = _SCHEME.sub("", link.strip().casefold())
    return bare.split("#", 1)[0].split("?", 1)[0].rstrip("/")


def page_of(asked: str, item: str) -> bool | None:
    """Say whether an address names the same page as the one that was asked for; ``None`` = it may, ``False`` = no.

    Parameters may tell pages apart, or say nothing (``utm_source``): the same page for certain has the same ones. Where
    the path ends in what names an item, with a figure in it, other ones may still be the same page.

    >>> page_of("http://www.blog.example/?p=1", "blog:https://blog.example/?p=1")
    True
    >>> page_of("https://blog.example/?p=1&utm_source=x", "https://blog.example/?p=1") is None
    True
    >>> page_of("https://blog.example/?p=1", "https://blog.example/?p=2")
    False
    """
    bare = _SERVICE.sub("", item)
    if link_key(asked) not in (link_key(item), link_key(bare)):
        return False
    (wanted, place), (told, other) = _told_apart(asked), _told_apart(bare)
    if told == wanted and other in ("", place):
        return True
    last, _ = names_in(asked)
    names_it = len(last) >= SEGMENT and any(sign.isdigit() for sign in last)
    return None if told <= wanted or names_it else False


def _told_apart(link: str) -> tuple[set[tuple[str, str]], str]:
    """Return the parameters of a link, and the place in the page."""
    page, _, place = link.strip().partition("#")
    return set(parse_qsl(page.partition("?")[2], keep_blank_values=True)), place


def names_in(link: str) -> tuple[str, list[str]]:
    """Return the last part of a link's path, and what its parameters say that is long enough to name an item.

    >>> names_in("https://www.instagram.com/p/CxYz12/?igsh=abc#top")
    ('CxYz12', [])
    >>> names_in("https://facebook.example/permalink.php?story_fbid=998877&id=100")
    ('permalink.php', ['998877'])
    """
    path, _, query = link.strip().split("#", 1)[0].partition("?")
    return path.rstrip("/").rsplit("/", 1)[-1], [told for _, told in parse_qsl(query) if len(told) >= SEGMENT]


def stands_alone(needle: str, text: str) -> re.Match[str] | None:
    """Return where a folded text holds a folded needle that is no part of something longer.

    >>> bool(stands_alone("ana rara", "met ana rara's dog.")), bool(stands_alone("ana rara", "met ana rara-smith"))
    (True, False)
    """
    return re.search(_TIGHT.format(re.escape(needle)), text)


def digits_of(phone: str) -> str:
    """Return the digits of a number without what countries put before it to dial out.

    >>> digits_of("+353 (0)86 123-4567"), digits_of("0049 170 1234567")
    ('353861234567', '491701234567')
    """
    return re.sub(r"\D", "", phone.replace("(0)", "")).lstrip("0")


@dataclass(slots=True)
class Matcher:
    """Looks for one request's wishes.

    Args:
        wanted: what to look for.
        similarity: how copied text is found.
        rare: whether a folded full name points at one human being.
        picture: fingerprint and quality of an item's picture file, by its path; ``None`` = the file is not here.
    """

    wanted: Wanted
    similarity: Similarity
    rare: Callable[[str], bool]
    picture: Callable[[str], dict[str, Any] | None]
    searched: Searched = field(default_factory=Searched)

    def batch(self, items: Any) -> list[Hit]:
        """Return the hits among some items (record batch or table of COLUMNS), with the account that made each."""
        table = pa.table(items) if isinstance(items, pa.RecordBatch) else items
        self.searched.items += table.num_rows
        ids, accounts = table["item_id"].to_pylist(), table["account_id"].to_pylist()
        texts = pc.fill_null(table["text"].combine_chunks(), "")
        seen = _Texts(texts, folded(texts))
        hits: dict[int, Found] = {}
        for place, rule, score, certain, snippet in self._all(table, seen):
            known = hits.get(place)
            found = Found(ids[place], rule, score, certain, snippet)
            if known is None or (found.certain, found.score) > (known.certain, known.score):
                hits[place] = found
        return [(hits[place], accounts[place]) for place in sorted(hits)]

    def _all(self, table: Any, seen: _Texts) -> Iterator[_Row]:
        yield from self._links(table, seen)
        yield from self._handles(table, seen)
        yield from self._phones(seen)
        for address in self.wanted.emails:
            yield from seen.bordered(fold(address), Rule.EMAIL, certain=True)
        for name in self.wanted.names:
            yield from self._named(name, seen)
        for text in self._texts():
            yield from self._copies(text, seen)
        if self.wanted.picture:
            yield from self._pictures(table, self.wanted.picture)

    def _texts(self) -> tuple[str, ...]:
        claim = self.wanted.claim
        return (*self.wanted.texts, *((claim.output,) if claim and claim.output else ()))

    def _links(self, table: Any, seen: _Texts) -> Iterator[_Row]:
        ids = table["item_id"].combine_chunks()
        local, small = pc.replace_substring_regex(ids, "^[^:]*:", ""), pc.utf8_lower(ids)
        for link in self.wanted.links:
            key, asked = link_key(link), link.strip()
            last, others = names_in(link)
            if not key:
                continue
            is_address = "/" in key or "." in key
            named = pc.is_in(local, pa.array([one for one in (last, *others) if one], pa.string()))
            inside = pc.match_substring(small, key) if is_address else pc.equal(ids, asked)
            for place in _places(pc.or_(pc.or_(named, pc.equal(ids, asked)), inside)):
                whole = ids[place].as_py()
                same = whole == asked or (is_address and page_of(asked, whole))
                by_name = bool(named[place].as_py())
                if same or same is None or by_name:
                    sure = same or (by_name and local[place].as_py() == last and len(last) >= SEGMENT)
                    yield place, Rule.LINK, 1.0, bool(sure), seen.beginning(place)
            if is_address:
                told_apart = "?" in asked or "#" in asked
                yield from seen.bordered(fold(key), Rule.LINK_IN_TEXT, certain="/" in key and not told_apart)

    def _handles(self, table: Any, seen: _Texts) -> Iterator[_Row]:
        mentions = table["mentions"].combine_chunks()
        rows = pc.list_parent_indices(mentions)
        named = pc.replace_substring_regex(pc.utf8_lower(mentions.flatten()), "^(@|[^:@]*:)", "")
        for handle in self.wanted.handles:
            bare = fold(handle).lstrip("@")
            if not bare:
                continue
            for place in sorted(set(rows.filter(pc.equal(named, bare)).to_pylist())):
                yield place, Rule.HANDLE, 1.0, True, f"@{bare}: {seen.beginning(place)}"
            yield from seen.bordered(f"@{bare}", Rule.HANDLE, certain=True)

    def _phones(self, seen: _Texts) -> Iterator[_Row]:
        asked = [digits for digits in map(digits_of, self.wanted.phones) if len(digits) >= PHONE_DIGITS]
        if not asked:
            return
        digits = pc.replace_substring_regex(seen.texts, r"\D+", "")
        for number in asked:
            tail = number[-PHONE_DIGITS:]
            for place in _places(pc.match_substring(digits, tail)):
                text = seen.texts[place].as_py()
                for hit in _PHONE.finditer(text):
                    found = digits_of(hit.group())
                    shared = min(len(found), len(number))
                    if shared >= PHONE_DIGITS and found[-shared:] == number[-shared:]:
                        yield place, Rule.PHONE, 1.0, shared >= SURE_DIGITS, _around(text, *hit.span())
                        break

    def _named(self, name: str, seen: _Texts) -> Iterator[_Row]:
        """A single word is anybody's and is not looked for; the answer says so.

        In another case, order or spelling it may be another person's: somebody looks at that.
        """
        asked, found = fold(name), set()
        if len(asked.split()) < 2:
            return
        for hit in seen.bordered(asked, Rule.NAME, certain=self.rare(asked)):
            found.add(hit[0])
            yield hit
        for place, start, end in self.similarity.names(seen.texts, [name]):
            if place not in found:
                yield place, Rule.NAME, OTHERWISE, False, _around(seen.texts[place].as_py(), start, end)

    def _copies(self, text: str, seen: _Texts) -> Iterator[_Row]:
        needle, size = fold(text), len(self.similarity.words(text))
        if size < 3:
            return
        exact = set()
        for place in _places(pc.match_substring(seen.folded, needle)):
            exact.add(place)
            yield place, Rule.COPY, 1.0, size >= COPY_WORDS, seen.beginning(place)
        lengths = pc.utf8_length(seen.folded)
        near = pc.and_(pc.greater(lengths, len(needle) // 2), pc.less(lengths, len(needle) * 2))
        rows = [place for place in _places(near) if place not in exact]
        if not rows:
            return
        candidates = pa.concat_arrays([seen.texts.take(pa.array(rows)), pa.array([text], pa.string())])
        scores = self.similarity.pairs(candidates, range(len(rows)), [len(rows)] * len(rows))
        for at in np.flatnonzero(scores >= NEAR).tolist():
            sure = scores[at] >= SURE and size >= COPY_WORDS
            yield rows[at], Rule.NEAR_COPY, round(float(scores[at]), 3), bool(sure), seen.beginning(rows[at])

    def _pictures(self, table: Any, asked: Any) -> Iterator[_Row]:
        from demur.requests.pictures import GOOD_QUALITY, SAME_BITS, distance

        paths, kinds = table["media_path"].to_pylist(), table["media_type"].to_pylist()
        for place, (path, kind) in enumerate(zip(paths, kinds, strict=True)):
            if path is None or not (kind or "image/").startswith("image/"):
                continue
            found = self.picture(path)
            if found is None:
                self.searched.unseen_pictures += 1
                continue
            bits = distance(found["pdq"], asked["pdq"])
            if bits <= SAME_BITS:
                good = min(found["quality"], asked["quality"]) >= GOOD_QUALITY
                yield place, Rule.PICTURE, round(1 - bits / 256, 3), good, ""


_Row = tuple[int, Rule, float, bool, str]


@dataclass(slots=True)
class _Texts:
    """A batch's texts as written and folded."""

    texts: Any
    folded: Any

    def bordered(self, needle: str, rule: Rule, *, certain: bool) -> Iterator[_Row]:
        """Yield the rows where a folded needle stands; inside something longer by hyphen or dot it is never certain."""
        if len(needle) < 2:
            return
        loose = re.compile(_LOOSE.format(re.escape(needle)))
        for place in _places(pc.match_substring(self.folded, needle)):
            text = self.folded[place].as_py()
            alone = stands_alone(needle, text)
            hit = alone or loose.search(text)
            if hit:
                yield place, rule, 1.0, certain and alone is not None, _around(text, *hit.span())

    def beginning(self, place: int) -> str:
        """Return the first words of a text."""
        return _around(self.texts[place].as_py(), 0, 0)


def _places(mask: Any) -> list[int]:
    found: list[int] = np.flatnonzero(pc.fill_null(mask, False).to_numpy(zero_copy_only=False)).tolist()
    return found


def _around(text: str, start: int, end: int) -> str:
    return " ".join(text[max(0, start - _AROUND) : end + _AROUND].split())


def reshares(batch: Any, carriers: frozenset[str]) -> Iterator[tuple[str, str | None, str]]:
    """Yield items that reshare or quote one of some items, with their account and the one that they carry.

    Args:
        batch: record batch with ``item_id``, ``account_id``, ``original_id``.
        carriers: item ids.
    """
    values = pa.array(sorted(carriers), pa.string())
    found = batch.filter(pc.is_in(batch.column("original_id"), value_set=values, skip_nulls=True))
    columns = (found.column(name).to_pylist() for name in ("item_id", "account_id", "original_id"))
    yield from zip(*columns, strict=True)
