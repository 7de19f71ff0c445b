"""Ways to reach people, found by name: entry points ``demur.channels``; built-ins are registered like a stranger's.

A channel is made with one argument, ``Surroundings``. Does not send.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from urllib.parse import urlsplit

from demur.errors import ConfigError
from demur.notice.book import NoticeBook
from demur.store.keys import KeyRing
from demur.terms.notice import Channel
from demur.terms.site import Site

GROUP = "demur.channels"
EMAIL, IN_APP, OUTBOX = "email", "inapp", "outbox"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a channel may need."""

    site: Site
    book: NoticeBook
    keys: KeyRing
    outbox: Path
    """Folder of the file outbox."""


def channels() -> tuple[str, ...]:
    """Return the names of all installed channels."""
    return tuple(sorted({point.name for point in entry_points(group=GROUP)}))


def channel_named(name: str, around: Surroundings) -> Channel:
    """Return a channel; ``email`` without a relay in ``site.toml`` is the file outbox.

    Raises:
        ConfigError: no such channel is installed.
    """
    if name == EMAIL and not around.site.relay.host:
        name = OUTBOX
    known = {point.name: point for point in entry_points(group=GROUP)}
    if name not in known:
        raise ConfigError(
            f"expected one of the channels {', '.join(sorted(known))}, found {name!r}; install its plugin or correct it"
        )
    made: Channel = known[name].load()(around)
    return made


def email(around: Surroundings) -> Channel:
    """Return the mail channel to the relay that ``site.toml`` names."""
    from demur.notice.smtp import SmtpChannel

    return SmtpChannel(around.site.relay, name=urlsplit(around.site.origin).hostname or "localhost")
