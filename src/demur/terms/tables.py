"""The tables that rooms hand to each other, as Arrow schemas with a sentence for every column.

All instants are ``timestamp[us, UTC]``; dates are ``date32``; ids are strings chosen by the source, prefixed by the
service so that they are unique across services. A null always means *unknown*, and unknown never means yes.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa

INSTANT = pa.timestamp("us", tz="UTC")
TEXTS = pa.list_(pa.string())


def _field(name: str, kind: Any, meaning: str, *, required: bool = False) -> Any:
    return pa.field(name, kind, nullable=not required, metadata={"meaning": meaning})


ITEMS: Any = pa.schema(
    [
        _field("item_id", pa.string(), "service-prefixed id of the item", required=True),
        _field(
            "version_id",
            pa.string(),
            "digest of this row without imported_at; equal rows are one version",
            required=True,
        ),
        _field(
            "version_at", INSTANT, "when this version began at the source: creation, edit, deletion, audience change"
        ),
        _field("state", pa.string(), "live or deleted", required=True),
        _field("service", pa.string(), "service that the item was made on", required=True),
        _field("kind", pa.string(), "one of Kind", required=True),
        _field("account_id", pa.string(), "account that made it; null = unknown author"),
        _field("co_account_ids", TEXTS, "further authors' accounts"),
        _field("created_at", INSTANT, "when it was first made"),
        _field("audience", pa.string(), "the item's own audience: one of Audience", required=True),
        _field("container_id", pa.string(), "group, page or channel that holds it"),
        _field("container_audience", pa.string(), "audience of the container; null = no container or public by nature"),
        _field("parent_id", pa.string(), "item that it answers"),
        _field(
            "parent_audience",
            pa.string(),
            "audience of the parent as the source knows it, used when the parent was not imported",
        ),
        _field("original_id", pa.string(), "item whose content it carries (reshare, quote)"),
        _field("expires_at", INSTANT, "stories: when it stopped being public"),
        _field("public_since", INSTANT, "since when its audience is public without a break; null = since creation"),
        _field(
            "addressed_to_ai",
            pa.bool_(),
            "ai_chat only: a person's turn to the platform's own AI, or the AI's answer to it",
        ),
        _field("text", pa.string(), "title and body in plain text, caption, transcript; null = none"),
        _field("language", pa.string(), "BCP 47 tag that the platform gave, a hint only"),
        _field("rating", pa.float64(), "review or rating, in the source's scale"),
        _field("mentions", TEXTS, "account ids or handles that the source marks as mentioned"),
        _field("signal", pa.string(), "machine-readable preference: y, n or null"),
        _field("signal_origin", pa.string(), "where the preference was found"),
        _field("special_category", pa.bool_(), "flagged as art. 9 GDPR content by the platform; null = not looked at"),
        _field("media_path", pa.string(), "file of the photo, voice or video, relative to the import"),
        _field("media_type", pa.string(), "its media type"),
        _field("source", pa.string(), "source plugin that read it", required=True),
        _field("imported_at", INSTANT, "when demur read it", required=True),
    ]
)

PEOPLE: Any = pa.schema(
    [
        _field("account_id", pa.string(), "service-prefixed id of the account", required=True),
        _field("version_id", pa.string(), "digest of this row without imported_at", required=True),
        _field("version_at", INSTANT, "since when this row describes the account"),
        _field("service", pa.string(), "service of the account", required=True),
        _field(
            "person_hint",
            pa.string(),
            "platform's id of the human behind it, shared by linked accounts; null = the account alone",
        ),
        _field("handle", pa.string(), "handle now"),
        _field("former_handles", TEXTS, "earlier handles"),
        _field("display_name", pa.string(), "name shown"),
        _field("contact", pa.string(), "e-mail address for notices"),
        _field("place", pa.string(), "free text, often false"),
        _field("country", pa.string(), "ISO 3166-1 alpha-2, only when certain"),
        _field("residence_source", pa.string(), "registration, declared, place_text …"),
        _field("born_on", pa.date32(), "birth date as evidenced; the youngest reading when only a year is known"),
        _field("age_source", pa.string(), "one of AgeSource"),
        _field("status", pa.string(), "one of Status; null = unknown"),
        _field("private", pa.bool_(), "the account is private (protected, locked)"),
        _field("created_at", INSTANT, "registration"),
        _field("last_active_at", INSTANT, "last sign of life"),
        _field("language", pa.string(), "language of the interface, BCP 47"),
        _field("signal", pa.string(), "machine-readable preference of the whole account: y, n or null"),
        _field("signal_origin", pa.string(), "where it was found"),
        _field("source", pa.string(), "source plugin", required=True),
        _field("imported_at", INSTANT, "when demur read it", required=True),
    ]
)

QUARANTINE: Any = pa.schema(
    [
        _field("source", pa.string(), "source plugin", required=True),
        _field("path", pa.string(), "file, relative to the import", required=True),
        _field("position", pa.string(), "line, byte or member inside the file", required=True),
        _field("reason", pa.string(), "stable code of what is wrong", required=True),
        _field("expected", pa.string(), "what was expected there", required=True),
        _field("digest", pa.string(), "SHA-256 of the unreadable record; its bytes are not kept", required=True),
        _field("imported_at", INSTANT, "when demur met it", required=True),
    ]
)

KIND_CLOCK: Any = pa.struct(
    [
        pa.field("kind", pa.string(), nullable=False),
        pa.field("first_delivered_at", INSTANT),
        pa.field("last_delivered_at", INSTANT),
        pa.field("effective_at", INSTANT),
    ]
)
"""The clock of one kind of content that a notice of its own announced (NOT-07)."""

STANDING: Any = pa.schema(
    [
        _field("person_id", pa.string(), "one row a person", required=True),
        _field(
            "born_on", pa.date32(), "youngest birth date that the evidence allows; null = unknown or only estimated"
        ),
        _field("age_conflict", pa.bool_(), "evidence disagrees about being an adult", required=True),
        _field(
            "countries_now", TEXTS, "residences valid now or within the grace period; empty = unknown", required=True
        ),
        _field("countries_at_notice", TEXTS, "residences when the counting notice was delivered", required=True),
        _field("arrived_at", INSTANT, "last arrival in another country; a notice must be later to count (§4)"),
        _field("objected", pa.bool_(), "an objection is in force", required=True),
        _field("objected_kinds", TEXTS, "kinds that it covers; null = everything"),
        _field("objected_services", TEXTS, "services that it covers; null = everything"),
        _field("withdrawn_at", INSTANT, "when the last objection was withdrawn; a notice must be later to count"),
        _field("consent_purposes", TEXTS, "purposes consented to and not revoked", required=True),
        _field(
            "first_delivered_at",
            INSTANT,
            "first delivery of a notice for every kind whose campaign starts clocks, for the purpose asked for",
        ),
        _field("last_delivered_at", INSTANT, "last such delivery"),
        _field("campaign_effective_at", INSTANT, "latest effective date among the campaigns that reached the person"),
        _field("campaigns", TEXTS, "campaigns that reached the person", required=True),
        _field(
            "kind_clocks",
            pa.list_(KIND_CLOCK),
            "kinds that notices of their own announced; their clocks stand instead of the general one (NOT-07)",
        ),
        _field("signal", pa.string(), "account-wide preference: any n wins, else any y, else null"),
        _field("language", pa.string(), "language for notices"),
        _field("last_active_at", INSTANT, "last sign of life over all accounts"),
    ]
)

ACCOUNTS: Any = pa.schema(
    [
        _field("account_id", pa.string(), "one row an ownership epoch", required=True),
        _field("service", pa.string(), "service of the account", required=True),
        _field("person_id", pa.string(), "owner in this epoch", required=True),
        _field("owned_from", INSTANT, "begin of the epoch; null = always"),
        _field("owned_until", INSTANT, "end of the epoch, exclusive; null = still"),
        _field("status", pa.string(), "one of Status; null = unknown"),
        _field("private", pa.bool_(), "private account; null = unknown, counts as private"),
        _field("compromised_from", INSTANT, "begin of a known compromise"),
        _field("compromised_until", INSTANT, "its end; null with a begin = still"),
        _field("handles", TEXTS, "handles ever, newest first"),
        _field("names", TEXTS, "display names ever, newest first"),
    ]
)

RESIDENCE: Any = pa.schema(
    [
        _field("person_id", pa.string(), "person", required=True),
        _field("country", pa.string(), "ISO 3166-1 alpha-2; null = known to be somewhere unknown"),
        _field("valid_from", INSTANT, "begin; null = always"),
        _field("valid_until", INSTANT, "end, exclusive; null = still"),
    ]
)

NOTICES: Any = pa.schema(
    [
        _field("person_id", pa.string(), "person", required=True),
        _field("campaign_id", pa.string(), "campaign", required=True),
        _field("channel", pa.string(), "email, in_app …", required=True),
        _field("state", pa.string(), "one of Delivery", required=True),
        _field("valid_at", INSTANT, "when that state was reached", required=True),
        _field("recorded_at", INSTANT, "when demur learned it", required=True),
    ]
)

CAMPAIGNS: Any = pa.schema(
    [
        _field("campaign_id", pa.string(), "campaign", required=True),
        _field("status", pa.string(), "one of CampaignStatus, as of T", required=True),
        _field("purpose", pa.string(), "purpose announced", required=True),
        _field("effective_at", INSTANT, "date before which nothing is used"),
        _field("notice_days", pa.int32(), "period promised in the text"),
        _field("countries", TEXTS, "countries addressed; null = all"),
        _field("kinds", TEXTS, "kinds announced, where a material change names only what is new; null = all"),
    ]
)

OBJECTIONS: Any = pa.schema(
    [
        _field("objection_id", pa.string(), "reference that the person gets", required=True),
        _field("person_id", pa.string(), "person", required=True),
        _field("act", pa.string(), "object or withdraw", required=True),
        _field("kinds", TEXTS, "kinds covered; null = everything"),
        _field("services", TEXTS, "services covered; null = everything"),
        _field("door", pa.string(), "web, link, one_click, api, staff, bulk, signal", required=True),
        _field("valid_at", INSTANT, "when it was said", required=True),
        _field("recorded_at", INSTANT, "when demur learned it", required=True),
    ]
)

HOLDS: Any = pa.schema(
    [
        _field("hold_id", pa.string(), "hold", required=True),
        _field("act", pa.string(), "place or lift", required=True),
        _field("countries", TEXTS, "countries; null = all"),
        _field("services", TEXTS, "services; null = all"),
        _field("kinds", TEXTS, "kinds; null = all"),
        _field("created_from", INSTANT, "items made from then on; null = any"),
        _field("created_until", INSTANT, "items made before then; null = any"),
        _field("purpose", pa.string(), "purpose; null = all"),
        _field("campaign_id", pa.string(), "campaign; null = all"),
        _field("authority", pa.string(), "who ordered it", required=True),
        _field("instrument", pa.string(), "act or letter", required=True),
        _field("valid_at", INSTANT, "from when it holds", required=True),
        _field("recorded_at", INSTANT, "when demur learned it", required=True),
    ]
)

SUPPRESSED: Any = pa.schema(
    [_field("item_id", pa.string(), "item that must not be used because of somebody else who is in it", required=True)]
)

SUPPRESSED_WORDS: Any = pa.schema(
    [_field("identifier_hash", pa.string(), "keyed hash of a name or handle that no text may hold", required=True)]
)

DECISIONS: Any = pa.schema(
    [
        _field("item_id", pa.string(), "item; every item has exactly one decision", required=True),
        _field("allowed", pa.bool_(), "may it be used", required=True),
        _field("primary_reason", pa.string(), "first reason that applies; null when allowed"),
        _field("reasons", TEXTS, "all reasons in their fixed order; empty when allowed", required=True),
        _field("reason_bits", pa.int64(), "the same as a mask", required=True),
        _field("person_id", pa.string(), "author, for joins inside the platform; never in training data"),
        _field("country", pa.string(), "countries that counted, sorted, joined by |; null = unknown"),
        _field("kind", pa.string(), "kind of the item", required=True),
        _field("audience", pa.string(), "effective audience", required=True),
    ]
)

RECORDS: Any = pa.schema(
    [
        _field(
            "record_id",
            pa.string(),
            "opaque keyed hash, 32 hex digits; says nothing about item or person",
            required=True,
        ),
        _field("text", pa.string(), "redacted text", required=True),
        _field("language", pa.string(), "BCP 47 language", required=True),
        _field("other_language", pa.string(), "second language of a text that mixes two; null = none or unknown"),
        _field("dialect", pa.string(), "dialect or region tag; null = standard or unknown"),
        _field("kind", pa.string(), "kind of the item", required=True),
    ]
)

LINEAGE: Any = pa.schema(
    [
        _field("record_id", pa.string(), "record", required=True),
        _field("region", pa.string(), "region of its shard", required=True),
        _field("shard", pa.int32(), "its shard", required=True),
        _field("slice", pa.int32(), "its slice", required=True),
        _field("item_id", pa.string(), "item it was made from, or that is a copy of it", required=True),
        _field("person_id", pa.string(), "person of that item", required=True),
        _field("role", pa.string(), "author, co_author, copy_owner, original_author, mentioned", required=True),
    ]
)
