"""Say by its first bytes whether a file is a picture, a film or a voice. Looks at 64 bytes, decodes nothing."""

from __future__ import annotations

_PICTURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a")
_VOICES = (b"fLaC", b"OggS", b"ID3", b"\xff\xfb", b"\xff\xf3", b"\xff\xf2", b"\xff\xf1", b"\xff\xf9", b"#!AMR")
_PICTURE_BRANDS = (b"avif", b"avis", b"heic", b"heix", b"mif1", b"msf1", b"hevc", b"hevx")
_VOICE_BRANDS = (b"M4A ", b"M4B ", b"M4P ")


def kind_of(content: bytes) -> str | None:
    r"""Return ``picture``, ``film`` or ``voice``; ``None`` = none that we know.

    Source: the formats' own magic numbers; ISO/IEC 14496-12 §4.3 for ``ftyp``; RIFF and AIFF by their form types.

    >>> kind_of(b"GIF89a..."), kind_of(b"RIFF\x00\x00\x00\x00WAVEfmt "), kind_of(b"%PDF-1.7")
    ('picture', 'voice', None)
    """
    if content.startswith(_PICTURES):
        return "picture"
    if content.startswith(_VOICES):
        return "voice"
    form = content[8:12]
    if content[:4] in (b"RIFF", b"FORM"):
        return {b"WEBP": "picture", b"WAVE": "voice", b"AIFF": "voice", b"AIFC": "voice", b"AVI ": "film"}.get(form)
    if content[4:8] == b"ftyp":
        return "picture" if form in _PICTURE_BRANDS else "voice" if form in _VOICE_BRANDS else "film"
    return "film" if content.startswith(b"\x1a\x45\xdf\xa3") else None  # Matroska, WebM
