"""Signed notes and checkpoints (c2sp.org/signed-note, c2sp.org/tlog-checkpoint), pure. Ed25519 only (type 0x01).

Not handled here: witnesses' cosignatures (lines of other keys are ignored, as the specification asks), files.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from demur.errors import BrokenError, ConfigError

_ED25519 = b"\x01"
_NAME = re.compile(r"[^\s+\x00-\x1f]+")
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A named public key, written ``name+hash+key`` as Go's sumdb and the witnesses do."""

    name: str
    public: bytes
    """32 bytes (RFC 8032)."""

    @classmethod
    def read(cls, text: str) -> VerifierKey:
        """Read the text form.

        Raises:
            BrokenError: it is no Ed25519 verifier key, or its hash is not that of the key.
        """
        name, _, rest = text.strip().partition("+")
        digest, _, encoded = rest.partition("+")
        raw = decode_base64(encoded)
        if raw is None or len(raw) != 33 or raw[:1] != _ED25519 or not _NAME.fullmatch(name):
            raise BrokenError("expected a verifier key name+hash+key of an Ed25519 key, found another text")
        key = cls(name, raw[1:])
        if digest != key.key_id.hex():
            raise BrokenError("expected the verifier key's own hash, found another; get the key again from its owner")
        return key

    def __str__(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{base64.b64encode(_ED25519 + self.public).decode()}"

    @property
    def key_id(self) -> bytes:
        """First four bytes of SHA-256(name ‖ 0x0A ‖ 0x01 ‖ public key)."""
        return sha256(self.name.encode() + b"\n" + _ED25519 + self.public).digest()[:4]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The head of a log at one size."""

    origin: str
    size: int
    root: bytes

    @property
    def body(self) -> str:
        """The text that is signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


def sign_checkpoint(checkpoint: Checkpoint, signer: Ed25519PrivateKey) -> str:
    """Return a checkpoint as signed note; the key's name is the log's origin.

    Raises:
        ConfigError: the origin cannot be a key name.
    """
    if not _NAME.fullmatch(checkpoint.origin):
        raise ConfigError("expected an origin such as example.org/demur, without blanks or plus, found another text")
    key = VerifierKey(checkpoint.origin, signer.public_key().public_bytes_raw())
    signature = key.key_id + signer.sign(checkpoint.body.encode())
    return f"{checkpoint.body}\n— {key.name} {base64.b64encode(signature).decode()}\n"


def open_note(note: str, key: VerifierKey) -> str:
    """Return the text of a signed note after checking the key's signature.

    Raises:
        BrokenError: the note is malformed, not signed by the key, or a signature of the key is wrong.
    """
    text, blank, lines = note.rpartition("\n\n")
    if not blank or not lines.endswith("\n") or re.search(r"[\x00-\x09\x0b-\x1f]", note):
        raise BrokenError("expected a signed note (text, blank line, signatures), found another text")
    text += "\n"
    verified = False
    for line in lines[:-1].split("\n"):
        verified |= _signed_by(line, text, key)
    if not verified:
        raise BrokenError(f"expected a signature of the key {key.name}, found none; it is not this log's note")
    return text


def _signed_by(line: str, text: str, key: VerifierKey) -> bool:
    """Check one signature line; ``False`` when it is of another key."""
    dash, _, rest = line.partition(" ")
    name, _, encoded = rest.partition(" ")
    raw = decode_base64(encoded)
    if dash != "—" or not _NAME.fullmatch(name) or raw is None or len(raw) < 5:
        raise BrokenError("expected signature lines '— name base64', found another line")
    if (name, raw[:4]) != (key.name, key.key_id):
        return False
    try:
        Ed25519PublicKey.from_public_bytes(key.public).verify(raw[4:], text.encode())
    except InvalidSignature as error:
        raise BrokenError(f"the signature of the key {key.name} does not fit the note: the note was changed") from error
    return True


def read_checkpoint(note: str, key: VerifierKey) -> Checkpoint:
    """Return a checkpoint after checking its signature.

    Raises:
        BrokenError: as ``open_note``, or the text is no checkpoint of the key's log.
    """
    lines = open_note(note, key).split("\n")
    root = decode_base64(lines[2]) if len(lines) > 3 else None
    if len(lines) != 4 or lines[0] != key.name or not _SIZE.fullmatch(lines[1]) or root is None or len(root) != 32:
        raise BrokenError("expected a checkpoint (origin, size, root), found another text")
    return Checkpoint(lines[0], int(lines[1]), root)


def decode_base64(text: str) -> bytes | None:
    """Decode standard base64 in its one canonical form; ``None`` for anything else."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return raw if base64.b64encode(raw).decode() == text else None
