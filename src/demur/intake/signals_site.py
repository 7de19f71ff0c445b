"""What the files of a site say about AI training: robots.txt, ai.txt, ai.json, tdmrep.json, captured headers (§5.8).

A folder holds a folder for each host or service, as they were fetched beside the content::

    signals/forum/robots.txt                 signals/forum/.well-known/tdmrep.json
    signals/forum/ai.txt                     signals/forum/.well-known/ai.txt, ai.json
    signals/forum/headers.txt                field lines of an answer; lines [/path] say for which paths

An item's path is that of the URL which its id is, else ``/``. Fetches nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, quote, unquote_to_bytes, urlsplit

import orjson

from demur.errors import InputError
from demur.intake.signals import NO, YES, Said, combined, page_signals, reserved, usage
from demur.store import digest_json

AGENT = "demur"
"""Our product token (RFC 9309 §2.2.1); a group that names it goes before the one for everybody."""
AI_AGENTS = frozenset({
    *("gptbot", "claudebot", "anthropic-ai", "claude-web", "ccbot", "google-extended", "applebot-extended"),
    *("meta-externalagent", "facebookbot", "amazonbot", "cohere-ai", "cohere-training-data-crawler", "ai2bot"),
    *("bytespider", "diffbot", "omgili", "omgilibot", "webzio-extended", "img2dataset", "imagesiftbot"),
    *("timpibot", "pangubot"),
})  # fmt: skip
"""Robots that gather for AI, in small letters. Refusing them is about acquisition, not about use."""
COUNTED = frozenset({"robots-agents", "gpc"})
"""Statements about something else, which only the operator's own file ``counts.txt`` makes a no to training."""
_FILE_BYTES = 512 * 1024
"""RFC 9309 §2.5 asks for 500 KiB at least."""
_SAMPLES = {
    "text": ("x.html", "x.htm", "x.txt", "x.md", "x.json", "x.xml", "x.pdf"),
    "image": ("x.jpg", "x.jpeg", "x.png", "x.gif", "x.webp"),
    "audio": ("x.mp3", "x.wav", "x.ogg", "x.flac", "x.m4a"),
    "video": ("x.mp4", "x.webm", "x.mov", "x.avi"),
}
"""Medium → names that a file of it may have: ai.txt of Spawning speaks of kinds of files."""


# robots.txt --------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Group:
    agents: set[str] = field(default_factory=set)
    rules: list[tuple[str, str]] = field(default_factory=list)


def _groups(text: str) -> list[_Group]:
    """Return the groups of a robots.txt (RFC 9309 §2.2): lines of user agents, then their rules.

    Records of other kinds, as of a sitemap, may stand anywhere and end nothing (RFC 9309 §2.2.4).
    """
    found: list[_Group] = []
    for line in text.removeprefix("\ufeff").splitlines():
        name, colon, value = line.partition("#")[0].partition(":")
        name, value = name.strip().lower(), value.strip()
        if not colon:
            continue
        if name == "user-agent":
            if not found or found[-1].rules:
                found.append(_Group())
            found[-1].agents.add(value.lower().partition("/")[0].strip())  # a version is no part of the token
        elif found and name in _RULES:
            found[-1].rules.append((name, value))
    return found


def _rules(groups: list[_Group], agent: str) -> list[tuple[str, str]]:
    """Return the rules for an agent: those that name it, else those for everybody (RFC 9309 §2.2.1)."""
    mine = [group for group in groups if agent in group.agents]
    chosen = mine or [group for group in groups if "*" in group.agents]
    return [rule for group in chosen for rule in group.rules]


def _normal(path: str) -> str:
    """Return a path with everything but the unreserved percent-encoded alike (RFC 9309 §2.2.2)."""
    return quote(unquote_to_bytes(path), safe="/*$?&=:@!'(),;+~-._")


def matches(pattern: str, path: str) -> bool:
    """Return whether a pattern with ``*`` and a final ``$`` matches the beginning of a path (RFC 9309 §2.2.3).

    >>> matches("/a/*.jpg$", "/a/b/c.jpg"), matches("/a", "/abc"), matches("/a$", "/ab")
    (True, True, False)
    """
    ends = pattern.endswith("$")
    first, *rest = _normal(pattern.removesuffix("$")).split("*")
    target = _normal(path)
    if not target.startswith(first):
        return False
    at = len(first)
    if not rest:
        return not ends or at == len(target)
    for part in rest[:-1]:
        at = target.find(part, at)
        if at < 0:
            return False
        at += len(part)
    last = rest[-1]
    return target.endswith(last) and len(target) - len(last) >= at if ends else target.find(last, at) >= 0


def _longest(rules: list[tuple[str, str]], path: str, names: tuple[str, ...]) -> list[tuple[str, str]]:
    """Return the rules of some names whose pattern matches, those with the longest pattern."""
    found = [rule for rule in rules if rule[0] in names and rule[1] and matches(rule[1], path)]
    length = max((len(_normal(pattern)) for _, pattern in found), default=0)
    return [rule for rule in found if len(_normal(rule[1])) == length]


def _allowed(rules: list[tuple[str, str]], path: str) -> bool:
    """Return whether a path may be crawled; of two rules of one length the one that allows counts (RFC 9309 §2.2.2)."""
    found = _longest(rules, path, ("allow", "disallow"))
    return not found or any(name == "allow" for name, _ in found)


def robots(text: str, path: str) -> list[Said]:
    """Return what a robots.txt says of the use of a path: ``Content-Usage`` (AIPREF) and ``Content-Signal`` rules.

    Rules with the longest path count, those with one and the same path together. A path that must not be crawled has
    no statement for a crawler (AIPREF attachment, Content-Usage Rule Semantics); here the platform has the content
    already, so a no that is written down for it counts. Without a path a rule is for all.
    """
    rules = _rules(_groups(text), AGENT)
    found: list[Said] = []
    for label, read in _PREFERENCES.items():
        here = [one for one in (_patterned(value) for name, value in rules if name == label) if matches(one[0], path)]
        longest = max((len(_normal(pattern)) for pattern, _ in here), default=0)
        found += [read(preference) for pattern, preference in here if len(_normal(pattern)) == longest]
    return found if _allowed(rules, path) else [one for one in found if one.value == NO]


def _patterned(value: str) -> tuple[str, str]:
    """Return pattern and preference of a rule.

    >>> _patterned("/a train-ai=n"), _patterned("*.jpg train-ai=n"), _patterned("search=y, train-ai=n")
    (('/a', 'train-ai=n'), ('/*.jpg', 'train-ai=n'), ('/', 'search=y, train-ai=n'))
    """
    if not value.startswith(("/", "*")):
        return "/", value
    pattern, *rest = value.split(None, 1)
    return _rooted(pattern), "".join(rest)


def _content_signal(text: str) -> Said:
    """Return what a ``Content-Signal`` says (contentsignals.org): ``ai-train=no``; of two that differ, no."""
    words = {"".join(part.lower().split()) for part in text.split(",")}
    value = NO if "ai-train=no" in words else YES if "ai-train=yes" in words else None
    return Said(value, "content-signal:robots.txt")


_PREFERENCES: Mapping[str, Callable[[str], Said]] = {
    "content-usage": lambda preference: usage(preference, "content-usage:robots.txt"),
    "content-signal": _content_signal,
}
"""Label of a rule → what reads its preference."""
_RULES = frozenset({"allow", "disallow", *_PREFERENCES})


def agents(text: str, path: str) -> Said:
    """Return a no where a robots.txt keeps robots that gather for AI from a path: acquisition, not use."""
    groups = _groups(text)
    named = AI_AGENTS & {agent for group in groups for agent in group.agents}
    refused = any(not _allowed(_rules(groups, agent), path) for agent in named)
    return Said(NO if refused else None, "robots.txt:ai-agents")


# ai.txt, ai.json, tdmrep.json --------------------------------------------------------------------------------------


def spawning(text: str, path: str) -> list[Said]:
    """Return what Spawning's ai.txt says of the media at a path: rules like those of robots.txt, by kind of file."""
    rules = _rules(_groups(text), AGENT)
    folder = path if path.endswith("/") else path + "/"
    found = []
    for medium, names in _SAMPLES.items():
        chosen = [_longest([(name, _rooted(value)) for name, value in rules], folder + sample, ("allow", "disallow"))
                  for sample in names]  # fmt: skip
        refused = any(any(name == "disallow" for name, _ in one) for one in chosen)
        agreed = all(chosen) and not refused
        found.append(Said(NO if refused else YES if agreed else None, "ai.txt:spawning", medium))
    return found


def _rooted(pattern: str) -> str:
    """Return a pattern such as ``*.jpg`` as one that begins at the root."""
    return pattern if pattern.startswith("/") or not pattern else f"/{pattern}"


_TRAINING = {"allow": YES, "deny": NO}


def declaration_text(text: str, path: str) -> Said:
    """Return what /.well-known/ai.txt says (draft-car-ai-txt-wellknown-00 §2); a file without ``Training`` denies."""
    site: dict[str, list[str]] = {}
    block: dict[str, dict[str, list[str]]] = {}
    here = site
    for line in text.removeprefix("\ufeff").splitlines():
        name, colon, value = line.partition(":")
        key, value = name.strip().lower(), value.strip()
        if not colon or key.startswith("#"):
            continue
        if not line[:1].isspace():
            here = block.setdefault(value.lower(), {}) if key == "agent" else site
        here.setdefault(key, []).append(value)
    if "site-name" not in site:
        return Said(None, "well-known/ai.txt")
    mine = (block.get(AGENT) or {}).get("training") or (block.get("*") or {}).get("training") or site.get("training")
    words = [one.lower() for one in mine or ["deny"]]
    word = "deny" if "deny" in words else words[-1]
    patterns = {NO: site.get("training-deny", []), YES: site.get("training-allow", [])}
    return Said(_by_path(word, patterns, path), "well-known/ai.txt")


def declaration_json(found: Any, path: str) -> Said:
    """Return what /.well-known/ai.json says (the same draft, §3)."""
    policies = found.get("policies") if isinstance(found, Mapping) else None
    if not isinstance(policies, Mapping):
        return Said(None, "well-known/ai.json")
    named = found.get("agents") if isinstance(found.get("agents"), Mapping) else {}
    mine = next((one["training"] for one in (named.get(AGENT), named.get("*"))
                 if isinstance(one, Mapping) and one.get("training")), None)  # fmt: skip
    word = str(mine or policies.get("training") or "deny").lower()
    patterns = {value: [str(one) for one in policies.get(key) or () if isinstance(policies.get(key), list)]
                for value, key in ((NO, "trainingDeny"), (YES, "trainingAllow"))}  # fmt: skip
    return Said(_by_path(word, patterns, path), "well-known/ai.json")


def _by_path(word: str, patterns: Mapping[str, list[str]], path: str) -> str | None:
    """Return what a word of the draft says of a path; a condition that nobody here can judge is a no."""
    if word != "conditional":
        return _TRAINING.get(word)
    rules = [(value, pattern) for value, given in patterns.items() for pattern in given]
    longest = [value for value, _ in _longest(rules, path, (YES, NO))]
    return NO if not longest or NO in longest else YES


def tdm_file(found: Any, path: str) -> bool | None:
    """Return whether a tdmrep.json reserves a path: of all locations that match, one that reserves is enough."""
    rules = [one for one in found if isinstance(one, Mapping)] if isinstance(found, list) else []
    here = [reserved(one.get("tdm-reservation")) for one in rules if matches(str(one.get("location") or ""), path)]
    known = [one for one in here if one is not None]
    return any(known) if known else None


# A folder of sites -------------------------------------------------------------------------------------------------


class SiteSignals:
    """The files of many hosts and services; each is read when it is first asked for.

    Args:
        folder: holds a folder for each host or service.

    Raises:
        InputError: there is no such folder, it holds none, or two for one host.
    """

    def __init__(self, folder: Path) -> None:
        names = sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
        if not names:
            raise InputError(f"expected a folder of sites with their robots.txt, ai.txt … in {folder}, found none")
        small = {name.lower(): name for name in names}
        if len(small) < len(names):
            alike = [name for name in names if small[name.lower()] != name]
            raise InputError("expected one folder a host, found names that differ in capitals only; join them", alike)
        self._folder, self._names = folder, small | {name: name for name in names}
        self._site = lru_cache(maxsize=1024)(lambda name: _Site(folder / name))

    @cached_property
    def digest(self) -> str:
        """Digest of everything in the folder: rows depend on it."""
        files = sorted(path for path in self._folder.rglob("*") if path.is_file())
        return digest_json([[str(path.relative_to(self._folder)), path.read_bytes().hex()] for path in files])

    def statements(self, item_id: str, service: str) -> tuple[Said, ...]:
        """Return what the site of an item says of it."""
        url = _url(item_id.partition(":")[2])
        host = url.hostname if url is not None and url.scheme in ("http", "https") else None
        mine = url is not None and host in self._names
        name = self._names.get(host if mine and host else service)
        if name is None:
            return ()
        found: tuple[Said, ...] = self._site(name).at(_path(url) if mine and url is not None else "/")
        return found


def _path(url: SplitResult) -> str:
    """Return what rules are compared with: the path, and the query, if there is one (RFC 9309 §2.2.2)."""
    return (url.path or "/") + (f"?{url.query}" if url.query else "")


def _url(text: str) -> SplitResult | None:
    """Return the URL that a text is, ``None`` where it is none: no site says anything of it."""
    try:
        return urlsplit(text) if "://" in text else None
    except ValueError:
        return None


class _Site:
    """The files of one host."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        counts = frozenset(self._text("counts.txt").split())
        unknown = sorted(counts - COUNTED)
        if unknown:
            raise InputError(f"expected {', '.join(sorted(COUNTED))} in counts.txt of {folder.name}", unknown)
        self._gpc = "gpc" in counts
        self._readers = list(self._parts("robots-agents" in counts))
        self._headers = list(_sections(self._text("headers.txt")))
        self._tdm = self._json(".well-known/tdmrep.json")
        self.at = lru_cache(maxsize=4096)(self._at)

    def _text(self, name: str) -> str:
        path = self._folder / name
        if not path.is_file():
            return ""
        with path.open("rb") as stream:
            return stream.read(_FILE_BYTES).decode("utf-8", "replace")

    def _json(self, name: str) -> Any:
        try:
            return orjson.loads(self._text(name))
        except orjson.JSONDecodeError:
            return None

    def _parts(self, acquisition: bool) -> Iterator[Callable[[str], list[Said]]]:
        rules, media, declared = self._text("robots.txt"), self._text("ai.txt"), self._text(".well-known/ai.txt")
        written = self._json(".well-known/ai.json")
        yield lambda path: robots(rules, path)
        yield lambda path: spawning(media, path)
        yield lambda path: [declaration_text(declared, path), declaration_json(written, path)]
        if acquisition:
            yield lambda path: [agents(rules, path)]

    def _at(self, path: str) -> tuple[Said, ...]:
        headers = [line for pattern, lines in self._headers if matches(pattern, path) for line in lines]
        found = page_signals(headers, file=tdm_file(self._tdm, path), gpc=self._gpc)
        found += [one for read in self._readers for one in read(path)]
        # few statements a path, each medium's together: rows are many
        media = dict.fromkeys(one.only for one in found if one.value)
        together = ((medium, combined(*(one for one in found if one.only == medium))) for medium in media)
        return tuple(Said(one.value, one.origin, medium) for medium, one in together)


def _sections(text: str) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Yield pattern and field lines of a file of captured headers; before the first [pattern] they are for all."""
    pattern, lines = "/", list[tuple[str, str]]()
    for line in text.splitlines():
        if line.startswith("[") and line.rstrip().endswith("]"):
            yield pattern, lines
            pattern, lines = line.strip()[1:-1], []
        elif ":" in line:
            name, _, value = line.partition(":")
            lines.append((name, value.strip()))
    yield pattern, lines
