"""Names that no text may hold: whose they are, and which records of a corpus say one (TPD-03).

Names have no index on purpose: it would be one of everybody who was ever mentioned. Records are read for them, many
texts in one search.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from demur.corpus.manifest import read_manifest
from demur.corpus.measures import Before
from demur.corpus.redact_names import LETTERS, NameFinder, Names, folded, name_finder
from demur.lineage import Suppressed
from demur.store import KeyRing, digest_json

_TOGETHER = 32
"""Texts searched as one; only where that finds something each is looked at."""
_BETWEEN = " \uffff "
_BESIDE = 3
"""Signs on both sides of a name's first space that are looked for."""
_AT_ONCE, _MOST = 400, 2_400
"""So many different ones are looked for by one expression, and by several: what RE2 cannot hold in its 8 MiB (400 whole
names, or a thousand of these) takes it twenty times as long."""
_BLANKS, _WIDE_BLANKS = r"[\s._\-']*", r"(?:[\s._\-']|[^\x00-\x7f])*"
_ROWS = 100_000
"""Records that are searched at once: an expression of many names takes long to prepare."""
_WORD = re.compile(r"\w+")
NAMES: Any = pa.schema([("name_hash", pa.string())])
"""Keyed: the next build asks whether a name is new, and nobody needs to read one."""


def objector_names(standing: Path) -> list[str]:
    """Return every display name, now or before, of people with an objection in force, sorted."""
    people = pq.read_table(standing / "standing.parquet", columns=["person_id", "objected"])
    objectors = people.filter(people["objected"])["person_id"].combine_chunks()
    accounts = pq.read_table(standing / "accounts.parquet", columns=["person_id", "names"])
    found = accounts.filter(pc.is_in(accounts["person_id"], objectors))["names"].to_pylist()
    return sorted({name.strip() for names in found for name in names or [] if name and len(name.split()) >= 2})


def suppressed_words(standing: Path) -> list[str]:
    """Return the keyed hashes of what other people had taken out of everybody's texts, sorted."""
    stored: list[str] = pq.read_table(standing / "suppressed_words.parquet")["identifier_hash"].to_pylist()
    return sorted(set(stored))


def words_digest(standing: Path) -> str:
    """Return a digest of the suppressed words; it stands in the manifest."""
    return digest_json(suppressed_words(standing))


def mentioning(
    corpus: Path,
    standing: Path,
    *,
    fresh: list[str],
    over: bool,
    masked: bool,
    earlier: Before,
    keys: KeyRing,
) -> Any:
    """Return the ids of the records whose text another set of names may have changed.

    Those that say a name that is new; those that had a name taken out, if an objection is over, or if what is left of
    them says a word of a new name (which may begin or end in the one that was taken out); and, if the suppressed words
    are others than before, those that hold one now or had one taken out. With the same names and words: none, and
    nothing is read.

    Args:
        corpus: the corpus before.
        standing: folder of the people tables.
        fresh: names that are looked for now and were not when it was built.
        over: some that were looked for then are not any more.
        masked: what is taken out leaves its type in angle brackets.
        earlier: its sealed files.
        keys: the key ring.
    """
    stored = suppressed_words(standing)
    other = digest_json(stored) != read_manifest(corpus).inputs.get("suppressed_words")
    found = [pa.array([], pa.string())]
    if not (fresh or over or other):
        return found[0]
    cut = Suppressed(stored if other else (), keys.secret("suppression"))
    for texts, ids_of in _records(corpus):
        hits = pc.or_(saying(texts, fresh), _cut_by(texts, fresh, over=over, other=other))
        if cut:
            hits = pc.or_(hits, pc.not_equal(pa.array(cut.cut(texts.to_pylist()), pa.string()), texts))
        found += ids_of(hits)
    for _, fates in () if masked else earlier.rows("fates", range(earlier.parts)):
        spans = fates["spans"].combine_chunks()
        rows = pc.list_parent_indices(spans).filter(pc.equal(pc.struct_field(pc.list_flatten(spans), "kind"), "NAME"))
        found.append(fates["record_id"].combine_chunks().take(pc.unique(rows)).drop_null())
    return pa.concat_arrays(found)


def _cut_by(texts: Any, fresh: list[str], *, over: bool, other: bool) -> Any:
    """Say which texts had something taken out that another set of names may bring back, or may take out otherwise."""
    hits = pc.match_substring_regex(texts, "<NAME>|<HANDLE>")
    if over or other:
        return hits
    found = np.zeros(len(texts), bool)
    finder = name_finder(fresh)
    words = {word for name in finder.spelled for word in _WORD.findall(name)} if finder else set()
    words |= {f"{word}s" for word in words}
    rows = np.flatnonzero(hits.to_numpy(zero_copy_only=False))
    for row in rows[_holding(texts.take(pa.array(rows)), sorted(words))].tolist() if words else ():
        found[row] = not words.isdisjoint(_WORD.findall(folded(texts[row].as_py())))
    return pa.array(found)


def _holding(texts: Any, words: list[str]) -> Any:
    """Return the rows that may hold one of some case-folded words: a superset."""
    if not all(map(_plain, words)):
        return np.arange(len(texts))
    return _matching(texts, [_either_way([[word] for word in some]) for some in _batched(words)])


def saying(texts: Any, names: Names) -> Any:
    """Say which texts hold one of the names; an Arrow boolean array."""
    found = np.zeros(len(texts), bool)
    finder = name_finder(names)
    if finder is not None:
        for row in _likely(texts, finder.spelled).tolist():
            found[row] = bool(finder.spans(texts[row].as_py() or ""))
    return pa.array(found)


def _likely(texts: Any, spelled: Sequence[str]) -> Any:
    """Return the rows that may hold one of some case-folded names: a superset, found without Python looking at each."""
    expressions = _expressions(tuple(spelled))
    if not expressions:
        return _likely_together(texts, spelled)
    return _matching(texts, expressions)


def _matching(texts: Any, expressions: list[tuple[str, str]]) -> Any:
    """Return the rows that one of some expressions matches: the first of each in ASCII texts, the other elsewhere."""
    ascii_only = pc.string_is_ascii(texts).fill_null(True)
    found = np.zeros(len(texts), bool)
    for way, rows in enumerate((ascii_only, pc.invert(ascii_only))):
        some, places = texts.filter(rows), np.flatnonzero(rows.to_numpy(zero_copy_only=False))
        some = _without_accents(some) if way else some
        for expression in expressions:
            hits = pc.fill_null(pc.match_substring_regex(some, expression[way]), fill_value=False)
            found[places] |= hits.to_numpy(zero_copy_only=False)
    return np.flatnonzero(found)


def _without_accents(texts: Any) -> Any:
    """Return texts without the accents of their letters, as names are compared."""
    return pc.replace_substring_regex(pc.utf8_normalize(texts, form="NFKD"), r"\p{M}+", "")


@lru_cache(maxsize=4)
def _expressions(spelled: tuple[str, ...]) -> list[tuple[str, str]]:
    """Return what finds the names in ASCII texts, and in all others; nothing for too many or too rare signs."""
    if not all(_plain(name) for name in spelled):
        return []
    names = [name.split(" ")[:2] for name in spelled]
    pieces = sorted({(first[-_BESIDE:], *(word[:_BESIDE] for word in rest)) for first, *rest in names})
    if len(pieces) > _MOST:
        return []
    return [_either_way(some) for some in _batched(pieces)]


def _batched(pieces: list[Any]) -> Iterator[Any]:
    return (pieces[at : at + _AT_ONCE] for at in range(0, len(pieces), _AT_ONCE))


def _either_way(pieces: Sequence[Sequence[str]]) -> tuple[str, str]:
    """Return an expression for ASCII texts and one for all others; a piece is words with blanks between them."""
    quoted = [[_quoted(word) for word in words] for words in pieces]
    narrow, wide = ("|".join(map(blanks.join, quoted)) for blanks in (_BLANKS, _WIDE_BLANKS))
    return f"(?i){narrow}", f"(?i){_swelling()}|{wide}"


def _likely_together(texts: Any, spelled: Sequence[str]) -> Any:
    """Return the same for any names and however many: many texts are searched as one."""
    finder = NameFinder(spelled)
    strings = [text or "" for text in texts.to_pylist()]
    joined = [_BETWEEN.join(strings[at : at + _TOGETHER]) for at in range(0, len(strings), _TOGETHER)]
    pieces = np.flatnonzero(finder.rows(pa.array(joined, pa.string())))
    rows = (pieces[:, None] * _TOGETHER + np.arange(_TOGETHER)).reshape(-1)
    return rows[rows < len(strings)]


def _plain(name: str) -> bool:
    """Say whether two libraries surely fold all signs of a name alike; not if one is or holds a mark."""
    alike = (sign < "\u0590" or sign.upper() == sign.lower() for sign in name)
    marked = (unicodedata.category(sign)[0] == "M" for sign in name)
    return name.isascii() or (unicodedata.is_normalized("NFKD", name) and all(alike) and not any(marked))


def _quoted(word: str) -> str:
    """Return an expression for a folded word: an apostrophe has many signs, and in one word a name has none."""
    return "".join(sign if sign.isalnum() else _SIGNS.get(sign) or f"{re.escape(sign)}?" for sign in word)


_SIGNS = {"'": "['\u2019\u2018\u02bc`\u00b4\u2032\uff07]?"}


@cache
def _swelling() -> str:
    """Return the class of signs that names are compared without, as ß: texts with one are always looked at."""
    signs = {sign for sign in map(chr, range(0x80, 0x10000)) if len(sign.casefold()) > 1}
    signs |= {sign for letter in LETTERS for sign in (letter, letter.upper()) if sign > "\x7f"}
    return f"[{''.join(sorted(signs))}]"


def _records(corpus: Path) -> Iterator[tuple[Any, Callable[[Any], list[Any]]]]:
    """Yield the texts of all records, many slices at once, and what returns the ids of chosen ones."""
    waiting: list[Any] = []
    paths: list[Path] = []
    for one in read_manifest(corpus).slices:
        if one.records:
            paths.append(corpus / one.path)
            waiting.append(_column(paths[-1], "text"))
        if sum(map(len, waiting)) >= _ROWS:
            yield pa.concat_arrays(waiting), partial(_chosen, paths, [len(texts) for texts in waiting])
            waiting, paths = [], []
    if waiting:
        yield pa.concat_arrays(waiting), partial(_chosen, paths, [len(texts) for texts in waiting])


def _chosen(paths: list[Path], sizes: list[int], hits: Any) -> list[Any]:
    """Return the ids of chosen records; slices without any are not read for it."""
    begins = np.cumsum([0, *sizes[:-1]]).tolist()
    masks = [hits.slice(begin, size) for begin, size in zip(begins, sizes, strict=True)]
    chosen = ((path, mask) for path, mask in zip(paths, masks, strict=True) if pc.any(mask).as_py())
    return [_column(path, "record_id").filter(mask) for path, mask in chosen]


def _column(path: Path, name: str) -> Any:
    return pq.ParquetFile(path, pre_buffer=False).read(columns=[name], use_threads=False)[name].combine_chunks()
