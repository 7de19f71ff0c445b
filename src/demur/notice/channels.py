"""Ways to reach people, found by name: entry points ``demur.channels``; built-ins are registered like a stranger's.

A channel is made with one argument, ``Surroundings``. Does not send.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import entry_points
from ipaddress import ip_address
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


def channel_for_notices(name: str, around: Surroundings) -> Channel:
    """Return a channel whose results start clocks: the file outbox only on a machine to try demur on.

    Raises:
        ConfigError: no such channel is installed, or a site that people reach has no relay.
    """
    if name == EMAIL and not around.site.relay.host and not _is_loopback(around.site.origin):
        raise ConfigError(
            "expected the host of a relay in site.toml, found none: notices would become files that nobody gets, and "
            "count as delivered; add [relay], see docs/mail.md"
        )
    return channel_named(name, around)


def _is_loopback(origin: str) -> bool:
    name = urlsplit(origin).hostname or ""
    try:
        return name == "localhost" or ip_address(name).is_loopback
    except ValueError:
        return False


def email(around: Surroundings) -> Channel:
    """Return the mail channel to the relay that ``site.toml`` names."""
    from demur.notice.smtp import SmtpChannel

    return SmtpChannel(around.site.relay, name=urlsplit(around.site.origin).hostname or "localhost")
