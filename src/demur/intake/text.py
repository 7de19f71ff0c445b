"""HTML into plain text, and text whose bytes were read in the wrong encoding. Pure and linear in the input."""

from __future__ import annotations

import html
import re

BLOCKS = (
    ("</p>", "\n\n"),
    ("<br>", "\n"),
    ("<br/>", "\n"),
    ("<br />", "\n"),
    ("</li>", "\n"),
    ("<li>", "- "),
    ("</h1>", "\n\n"),
    ("</h2>", "\n\n"),
    ("</h3>", "\n\n"),
    ("</pre>", "\n\n"),
    ("</div>", "\n"),
    ("</tr>", "\n"),
    ("</td>", "\t"),
    ("</th>", "\t"),
)
_HIDDEN = re.compile(r"<(/?)(?:script|style|template|noscript)\b[^<>]*>", re.IGNORECASE)
_HIDDEN_BEGINS = ("<sc", "<st", "<te", "<no", "<SC", "<ST", "<TE", "<NO", "<Sc", "<St")
_TAG = re.compile(r"</?[A-Za-z][^<>]*>")
_QUOTE = re.compile(r"<(/?)blockquote\b[^<>]*>", re.IGNORECASE)
_BLANK_LINES = re.compile(r"\n[ \t]*\n[ \t\n]*")
_UNEVEN = re.compile(r"\n[ \t]+\n|\n\n[ \t\n]")
"""Blank lines that are not just one, and empty."""


def plain_text(markup: str) -> str:
    r"""Return what a reader of some HTML sees: tags gone, entities resolved, quoted lines marked with ``>``.

    >>> plain_text("<p>One &amp; <em>two</em></p><blockquote><p>said</p></blockquote><p>a &lt; b</p>")
    'One & two\n\n> said\n\na < b'
    """
    if "<" not in markup:
        return (html.unescape(markup) if "&" in markup else markup).strip()
    if "<!--" in markup:
        markup = _without_comments(markup)
    if any(begin in markup for begin in _HIDDEN_BEGINS):
        markup = _without_hidden(markup)
    if "<blockquote" in markup:
        return collapsed(_quoted(markup))
    return collapsed(_without_tags(markup))


def _without_comments(markup: str) -> str:
    parts = []
    at = 0
    while (begin := markup.find("<!--", at)) >= 0:
        parts.append(markup[at:begin])
        end = markup.find("-->", begin + 4)
        at = len(markup) if end < 0 else end + 3
    return "".join([*parts, markup[at:]])


def _without_hidden(markup: str) -> str:
    parts = []
    depth = at = 0
    for tag in _HIDDEN.finditer(markup):
        if depth == 0:
            parts.append(markup[at : tag.start()])
        depth = max(0, depth + (-1 if tag.group(1) else 1))
        at = tag.end()
    return "".join([*parts, markup[at:] if depth == 0 else ""])


def _without_tags(markup: str) -> str:
    for tag, text in BLOCKS:
        if tag in markup:
            markup = markup.replace(tag, text)
    markup = _TAG.sub("", markup)
    return html.unescape(markup) if "&" in markup else markup


def _quoted(markup: str) -> str:
    parts: list[str] = []
    depth = at = 0
    for tag in _QUOTE.finditer(markup):
        parts.append(marked(collapsed(_without_tags(markup[at : tag.start()])), depth))
        depth = max(0, depth + (-1 if tag.group(1) else 1))
        at = tag.end()
    parts.append(marked(collapsed(_without_tags(markup[at:])), depth))
    return "\n\n".join(part for part in parts if part)


def marked(text: str, depth: int) -> str:
    """Return text as it is quoted at a depth."""
    if not depth or not text:
        return text
    mark = "> " * min(depth, 8)
    return "\n".join((mark + line).rstrip() for line in text.split("\n"))


def collapsed(text: str) -> str:
    """Return text without blanks around it and with one blank line where there are several."""
    # most of the work at once: any number of line ends from two on becomes two
    text = text.replace("\r\n", "\n").strip().replace("\n\n\n\n", "\n\n")
    return _BLANK_LINES.sub("\n\n", text) if _UNEVEN.search(text) else text


def repaired(text: str) -> str:
    """Return text whose UTF-8 bytes had been read as Latin-1 (as Facebook's export writes it) as it was meant.

    Only where that is certain: all characters are Latin-1, the bytes are UTF-8, and going back gives the same text.

    >>> repaired("PatÃ© CrÃ¨me"), repaired("Paté Crème"), repaired("plain")
    ('Paté Crème', 'Paté Crème', 'plain')
    """
    if text.isascii():
        return text
    try:
        meant = text.encode("latin-1").decode("utf-8")
    except (UnicodeEncodeError, UnicodeDecodeError):
        return text
    return meant if meant.encode("utf-8").decode("latin-1") == text else text
