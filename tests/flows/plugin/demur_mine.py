"""A source and a recogniser of somebody else's: read by the tests, shown in docs/contributing-plugins.md."""

import re
from datetime import datetime
from pathlib import Path

from demur.intake.source import Input, ItemRow, PersonRow

LINE = re.compile(r"(\S+Z) \[(public|members)\] (\w+): (.+)")


class Board:
    """Reads the log of a bulletin board: ``2025-05-05T10:00:00Z [public] ana: words``, one post a line."""

    name = "board"

    def inputs(self, paths):
        return [Input((file,)) for path in paths for file in ([path] if path.is_file() else sorted(path.glob("*.log")))]

    def read(self, given, context):
        with Path(given.path).open(encoding="utf-8", newline="\n") as lines:
            for number, line in enumerate(lines, 1):
                context.at(given.path.name, f"line {number}")
                if line.startswith("#"):
                    context.ignore("comment")
                    continue
                found = LINE.fullmatch(line.rstrip("\n"))
                if found is None:
                    yield context.unreadable("malformed_table", "an instant, an audience, a name and words", line)
                    continue
                at, audience, member, words = found.groups()
                account = f"{context.service}:{member}"
                yield PersonRow(account_id=account, handle=member, status="active", private=False)
                yield ItemRow(
                    item_id=f"{context.service}:{given.path.stem}-{number}",
                    kind="post",
                    account_id=account,
                    created_at=datetime.fromisoformat(at),
                    audience="public" if audience == "public" else "group",
                    text=words,
                )


class Members:
    """Finds membership numbers such as ``M-12345``."""

    version = "members-1"

    def find(self, texts):
        return [[(one.start(), one.end(), "MEMBER") for one in re.finditer(r"M-[0-9]{5}", text)] for text in texts]
