"""Who runs this installation and where its pages stand: what notices, pages and letters say about the platform."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class OidcProvider:
    """An OpenID Connect provider that people or staff log in with (OpenID Connect Core 1.0)."""

    issuer: str
    client_id: str
    client_secret: str
    person_claim: str = "sub"
    """Claim that names the person: a person id, or an account id with ``account_prefix`` before it."""
    account_prefix: str = ""


@dataclass(frozen=True, slots=True)
class Relay:
    """The SMTP relay that signs (DKIM) and delivers; demur never talks to MX hosts itself."""

    host: str = ""
    """Empty = no relay: mails go to the file outbox."""
    port: int = 25
    connections: int = 8
    user: str = ""
    password: str = ""
    starttls: bool = False
    rate: float = 0.0
    """Notices a second and process, all together; 0 = as fast as the relay takes them."""
    destination_rate: float = 0.0
    """Notices a second and process for each mail domain; 0 = no limit."""
    destination_rates: Mapping[str, float] = field(default_factory=dict)
    """Mail domain → its own limit."""


@dataclass(frozen=True, slots=True)
class Retention:
    """How long versions of a corpus are kept (GDPR art. 5(1)(e)); see docs/expiry.md."""

    keep_days: int = 0
    """Days since its people and content were looked at (``known_at``); 0 = no limit."""
    keep_versions: int = 0
    """How many versions, newest first, the current one among them; 0 = no limit."""
    served: str = "keep"
    """What happens to a version that the served model was trained from: ``keep``, or ``expire`` with the model."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a new version of the corpus is built by itself, and how."""

    every_hours: int = 0
    """Since the newest version looked at people and content; 0 = never."""
    policy: str = ""
    """File or preset; empty = that of the current corpus."""


@dataclass(frozen=True, slots=True)
class OpenLineage:
    """Where events about builds go (openlineage.io); see docs/openlineage.md."""

    namespace: str = "demur"
    """Of jobs and data sets."""
    url: str = ""
    """Each event is posted there too; empty = only the file in the workspace."""
    api_key: str = ""
    """Bearer token; better as ``env:NAME``."""


@dataclass(frozen=True, slots=True)
class Site:
    """What ``site.toml`` says; every member has a default that works on one machine."""

    platform: str = "Agora"
    """Name of the platform, as its members know it."""
    controller: str = "Agora Ltd"
    """Legal name of the controller (GDPR art. 4(7))."""
    address: str = "1 Example Street, Dublin"
    contact: str = "privacy@agora.example"
    """Where people write to: the data protection officer's mailbox."""
    country: str = "IE"
    """ISO 3166-1 alpha-2 of the controller's main establishment: its clock, its public holidays and its authority count
    for legal time limits."""
    origin: str = "http://127.0.0.1:8350"
    """Scheme, host and port of demur's pages, without a slash at the end."""
    privacy_url: str = "https://agora.example/privacy"
    settings_url: str = "https://agora.example/settings/audience"
    """Where members make public items non-public."""
    mail_from: str = "notices@agora.example"
    bounce_domain: str = "bounces.agora.example"
    """Domain of the VERP return paths."""
    languages: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Country → official languages in order, over the shipped table."""
    trusted_proxies: tuple[str, ...] = ()
    """Networks (CIDR) whose ``X-Forwarded-For`` is believed."""
    honour_gpc: bool = False
    """Whether ``Sec-GPC: 1`` of a logged-in person counts as an objection (OBJ-10)."""
    relay: Relay = field(default_factory=Relay)
    members: OidcProvider | None = None
    """Provider that members log in with; ``None`` = links only."""
    staff: OidcProvider | None = None
    """Provider that staff log in with; ``None`` = local accounts."""
    in_app_webhook: str = ""
    """URL that in-app notices are posted to; empty = the app pulls them."""
    undo_days: int = 14
    """How long the person may take back with one click what somebody else's click on a link did (OBJ-08)."""
    retention: Retention = field(default_factory=Retention)
    schedule: Schedule = field(default_factory=Schedule)
    openlineage: OpenLineage = field(default_factory=OpenLineage)
