"""Facts for pages: a full one as the demo makes it, an empty one, and one with too much of everything."""

from __future__ import annotations

from dataclasses import replace

from demur.disclosure import ErasureRow, LossRow, RegionRow, ReportFacts, Share, Step, WhatIf, WhatIfRow
from demur.i18n import sentence
from demur.terms.reasons import Exclusion, Reason

DIGEST = "330ff6ca18777d082592d6eb93d7b3bb085716808c69c02ddbb59939b0767a50"
COUNTRIES = ("CZ", "GB", "FR", "DE", "IT", "ES", "AT", "SE", "US", "LU", "BR", "CH", "PT")
LANGUAGES = ("cs", "en", "fr", "pt", "de", "es", "it", "nl", "sv", "nb", "nn", "da", "pl", "bar", "gsw", "pt-BR")


def _steps(codes: list[str], counts: list[int], *, is_right: bool) -> tuple[Step, ...]:
    return tuple(Step(code, sentence(code, "en"), count, is_right) for code, count in zip(codes, counts, strict=True))


def full() -> ReportFacts:
    codes = [reason.value for reason in Reason][:28]
    rights = _steps(codes, [300 - 10 * place for place in range(28)], is_right=True)
    filters = _steps([one.value for one in Exclusion][:5], [120, 50, 21, 18, 1], is_right=False)
    items = 12_000
    allowed = items - sum(one.count for one in rights)
    return ReportFacts(
        title="A made-up network of 2\u202f000 people",
        made_at="2026-11-15T00:47:25Z",
        policy="demur-strict",
        as_of="2026-09-01T00:00:00Z",
        people=2005,
        items=items,
        quarantined=4,
        quarantine=(("unknown_kind", 2), ("not a date", 2)),
        steps=rights,
        allowed=allowed,
        filters=filters,
        records=allowed - sum(one.count for one in filters),
        countries=(
            *(Share(name, 900 - 60 * place, 400 - 30 * place) for place, name in enumerate(COUNTRIES)),
            Share("28 others", 509, 110),
        ),
        languages=tuple(Share(name, 700 - 40 * place, 200) for place, name in enumerate(("unknown", *LANGUAGES[:12]))),
        kinds=(Share("post", 5410, 2981), Share("private_message", 2000, 0), Share("group_activity", 700, 300)),
        regions=tuple(RegionRow(name, 2750 - 200 * n, 135_700, 16, 16) for n, name in enumerate(LANGUAGES[:11])),
        corpus_digest=DIGEST,
        verdict=tuple((f"allowed_although_{code}", True, "0 violations") for code in codes),
        model_digest=DIGEST[::-1],
        model_parameters=291_136,
        model_tokens=622_920,
        losses=tuple(
            LossRow(tag, 6.1 - n / 20, 5.9 - n / 20, 5.8 - n / 25, 5.81 - n / 25) for n, tag in enumerate(LANGUAGES)
        ),
        erasures=(
            ErasureRow(
                "ef834e60fb6850b6", "2026-11-15T00:47:25Z", 1, 45, 9, 424, 622_920, 0.496, 33.9, DIGEST, DIGEST,
                "/srv/demur/workspaces/forum-2026/erasures/ef834e60fb6850b6/certificate.json",
            ),
        ),
        what_if=WhatIf(
            "demur-strict", "noyb-opt-in", 0, 122, 0, 1503, 0, 33_570,
            tuple(WhatIfRow(name, 0, 100) for name in ("CZ", "FR", "ES")),
        ),
        ledger_size=10,
        ledger_root="Hc5EhVjsi3g+EUuicMVIi7dSXgQC/oCs3qdhqlS5WOQ=",
        seconds=(("intake", 0.5), ("train", 73.6)),
        peak_rss_mib=705.7,
    )  # fmt: skip


def empty() -> ReportFacts:
    """Return a page of a workspace into which nothing came."""
    return ReportFacts(
        title="Nothing yet", made_at="2026-11-15T00:47:25Z", policy="demur-strict", as_of="2026-09-01T00:00:00Z",
        people=0, items=0, quarantined=0, quarantine=(), steps=(), allowed=0, filters=(), records=0, countries=(),
        languages=(), kinds=(), regions=(), corpus_digest=DIGEST, verdict=(),
    )  # fmt: skip


def crowded() -> ReportFacts:
    """Return a page with too much of everything: sixty regions, long names, billions, a failed check."""
    base = full()
    return replace(
        base,
        title="Wortungetüm" * 12,
        items=12_345_678_901,
        allowed=12_345_678_901 - sum(one.count for one in base.steps),
        records=7_345_678_901,
        filters=(Step("no_text", "it contains no text", 4_999_995_780, False),),
        regions=tuple(RegionRow(f"region-with-quite-a-name-{n}", 10**9 - n, 10**12, 4096, 4096) for n in range(60)),
        verdict=(("record_of_no_allowed_item", False, "3 violations"), *base.verdict),
        erasures=base.erasures * 3,
        kinds=(Share("a_kind_with_a_very_long_name_indeed_of_a_plugin", 10**9, 10**8),),
    )


PAGES = {"full": full, "empty": empty, "crowded": crowded}
