"""The texts of a campaign: a folder per language with four parts, logic-less slots, kept under their digest.

Does not judge what a text says: that is lint.py. Does not fill slots: that is slots.py and render.py.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import sqlalchemy as sa

from demur.errors import InputError
from demur.notice.book import NoticeBook
from demur.notice.schema import TEXTS
from demur.store.files import digest_json

PARTS = ("subject.txt", "body.txt", "body.html", "inapp.txt")
SLOT = re.compile(r"\{\{([a-z_]+)\}\}")
_TAG = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*", re.ASCII)
MAX_BYTES = 64 * 1024
"""Of one part. A notice is a page, not a book; mail programs cut longer ones."""


@dataclass(frozen=True, slots=True)
class Text:
    """What people of one language get, before the slots are filled."""

    language: str
    subject: str
    body_txt: str
    body_html: str
    """Inner part of the page; the frame around it is render.py's."""
    inapp: str

    @property
    def parts(self) -> dict[str, str]:
        """File name → text."""
        return dict(zip(PARTS, (self.subject, self.body_txt, self.body_html, self.inapp), strict=True))

    @property
    def digest(self) -> str:
        """SHA-256 over the four parts (NOT-08)."""
        return digest_json(self.parts)


def default_texts() -> Path:
    """Return the folder of the texts that demur ships."""
    return Path(str(resources.files("demur.notice").joinpath("default_texts")))


def copy_default_texts(folder: Path) -> Path:
    """Copy the shipped texts into a campaign's folder, where nothing of that language lies yet; return the folder."""
    for language in sorted(default_texts().iterdir()):
        if language.is_dir() and not (folder / language.name).exists():
            shutil.copytree(language, folder / language.name)
    return folder


def read_texts(folder: Path) -> dict[str, Text]:
    """Read a campaign's texts: ``<language>/<part>``; a language with no folder is simply missing.

    Raises:
        InputError: a part is missing, too long or not UTF-8, or a folder is no language; all faults are listed.
    """
    faults: list[str] = []
    found: dict[str, Text] = {}
    if not folder.is_dir():
        raise InputError(f"expected a folder of texts at {folder}, found none; `demur campaign draft` makes one")
    for home in sorted(one for one in folder.iterdir() if one.is_dir() and not one.name.startswith((".", "_"))):
        if not _TAG.fullmatch(home.name):
            faults.append(f"{home.name}/: expected the tag of a language such as de or nb; rename the folder")
            continue
        parts = [_part(home / name, faults) for name in PARTS]
        found[home.name] = Text(home.name, parts[0].strip(), *parts[1:])
    if faults:
        raise InputError(f"the texts in {folder} cannot be read", faults)
    return found


def _part(path: Path, faults: list[str]) -> str:
    name = f"{path.parent.name}/{path.name}"
    try:
        raw = path.read_bytes()
        text = raw.decode("utf-8-sig")
    except FileNotFoundError:
        faults.append(f"{name}: missing; write it, or remove the folder {path.parent.name}")
        return ""
    except UnicodeDecodeError:
        faults.append(f"{name}: expected UTF-8; save it as UTF-8")
        return ""
    if len(raw) > MAX_BYTES:
        faults.append(f"{name}: expected at most {MAX_BYTES} bytes, found {len(raw)}; shorten it")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def keep_texts(book: NoticeBook, campaign_id: str, texts: Mapping[str, Text]) -> None:
    """Keep the texts of a campaign as they are now; earlier ones of that campaign are replaced (before approval)."""
    with book.database.writing() as connection:
        connection.execute(sa.delete(TEXTS).where(TEXTS.c.campaign_id == campaign_id))
        if texts:
            rows = [
                {
                    "campaign_id": campaign_id,
                    "language": text.language,
                    "digest": text.digest,
                    "subject": text.subject,
                    "body_txt": text.body_txt,
                    "body_html": text.body_html,
                    "inapp": text.inapp,
                }
                for text in texts.values()
            ]
            connection.execute(sa.insert(TEXTS), rows)


def kept_texts(book: NoticeBook, campaign_id: str) -> dict[str, Text]:
    """Return the texts of a campaign as they were approved."""
    columns = (TEXTS.c.language, TEXTS.c.subject, TEXTS.c.body_txt, TEXTS.c.body_html, TEXTS.c.inapp)
    with book.database.reading() as connection:
        rows = connection.execute(sa.select(*columns).where(TEXTS.c.campaign_id == campaign_id)).all()
    return {row[0]: Text(*row) for row in rows}
