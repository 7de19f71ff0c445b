"""Signed notes and checkpoints are those of c2sp.org, and no changed one is believed."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from demur.errors import BrokenError, ConfigError
from demur.ledger import Checkpoint, VerifierKey, read_checkpoint, sign_checkpoint
from demur.ledger.note import open_note

# The example of Go's golang.org/x/mod/sumdb/note, signed by its own code.
GO_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_NOTE = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
    "\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
SIGNER = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
KEY = VerifierKey("example.org/log", SIGNER.public_key().public_bytes_raw())
NOTE = sign_checkpoint(Checkpoint("example.org/log", 17, bytes(range(32))), SIGNER)


def test_a_note_signed_by_gos_own_code_opens():
    key = VerifierKey.read(GO_KEY)
    assert open_note(GO_NOTE, key).startswith("If you think")
    assert str(key) == GO_KEY


def test_a_checkpoint_reads_back_and_repeats():
    assert read_checkpoint(NOTE, KEY) == Checkpoint("example.org/log", 17, bytes(range(32)))
    assert sign_checkpoint(Checkpoint("example.org/log", 17, bytes(range(32))), SIGNER) == NOTE
    assert NOTE.splitlines()[:2] == ["example.org/log", "17"]


def test_lines_of_unknown_keys_are_ignored():
    other = Ed25519PrivateKey.from_private_bytes(bytes(32))
    witness = sign_checkpoint(Checkpoint("witness.example", 17, bytes(range(32))), other).splitlines()[-1]
    assert read_checkpoint(NOTE + witness + "\n", KEY).size == 17
    with pytest.raises(BrokenError):
        read_checkpoint(NOTE.rpartition("\n\n")[0] + "\n\n" + witness + "\n", KEY)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(NOTE.encode()) - 1), st.integers(1, 255))
def test_any_changed_byte_of_a_checkpoint_is_found(position, change):
    raw = bytearray(NOTE.encode())
    raw[position] ^= change
    with pytest.raises((BrokenError, UnicodeDecodeError)):
        read_checkpoint(raw.decode(), KEY)


@pytest.mark.parametrize("origin", ["", "two words", "a+b", "line\nbreak"])
def test_an_origin_that_cannot_name_a_key_is_refused(origin):
    with pytest.raises(ConfigError):
        sign_checkpoint(Checkpoint(origin, 0, bytes(32)), SIGNER)


@pytest.mark.parametrize("text", ["", "a+b", GO_KEY.replace("c74f", "c74e"), GO_KEY.replace("+ARpc", "+ARpd")])
def test_a_damaged_verifier_key_is_refused(text):
    with pytest.raises(BrokenError):
        VerifierKey.read(text)
