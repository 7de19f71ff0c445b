"""Who is in a slice can be shown, and who is not, and neither can be forged."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from demur.erasure.verify_certificate import is_absent
from demur.errors import InputError, RefusedError
from demur.ledger import Absence, people_root, prove_absence, prove_member, verify_absence, verify_member

EXAMPLES = 500 if os.environ.get("DEMUR_NIGHTLY") else 40


def blind(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def crowd(count: int) -> list[str]:
    return sorted(blind(number) for number in range(count))


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.integers(0, 120), st.integers(1000, 1100))
def test_everybody_in_has_a_membership_and_everybody_else_an_absence(count, stranger):
    inside = crowd(count)
    root, leaves = people_root(inside)
    assert leaves == count
    for person in inside:
        assert verify_member(root, leaves, prove_member(inside, person))
        with pytest.raises(RefusedError):
            prove_absence(inside, person)
    proof = prove_absence(inside, blind(stranger))
    assert verify_absence(root, leaves, blind(stranger), proof)
    assert is_absent(root, leaves, blind(stranger), proof.as_json())
    for person in inside:
        assert not verify_absence(root, leaves, person, proof)
        assert not is_absent(root, leaves, person, proof.as_json())


@pytest.mark.parametrize("person", ["0" * 64, "f" * 64])
@pytest.mark.parametrize("count", [0, 1, 2, 7, 8])
def test_ends_and_empty_slices_have_proofs(count, person):
    inside = crowd(count)
    root, leaves = people_root(inside)
    proof = prove_absence(inside, person)
    assert verify_absence(root, leaves, person, proof)
    assert (proof.left is None) == (count == 0 or person < inside[0])
    assert (proof.right is None) == (count == 0 or person > inside[-1])


def test_neighbours_that_are_not_adjacent_prove_nothing():
    inside = crowd(20)
    root, leaves = people_root(inside)
    victim = inside[10]
    forged = Absence(leaves, prove_member(inside, inside[9]), prove_member(inside, inside[11]))
    assert not verify_absence(root, leaves, victim, forged)
    assert not is_absent(root, leaves, victim, forged.as_json())
    assert forged.left is not None
    assert forged.right is not None
    lying = replace(forged, right=replace(forged.right, index=10))
    assert not verify_absence(root, leaves, victim, lying)
    shrunk = Absence(10, forged.left, None)
    assert not verify_absence(root, 10, victim, shrunk)
    assert not is_absent(root, 10, victim, shrunk.as_json())
    assert not verify_absence(root, leaves, victim, Absence(leaves, None, None))
    assert not verify_absence(root, 0, victim, Absence(0, None, None))


def test_the_root_commits_to_the_number_of_people():
    one, two = crowd(1), crowd(2)
    assert people_root(one)[0] != people_root(two)[0]
    assert people_root([])[0] != hashlib.sha256(b"").hexdigest()


def test_ids_that_are_not_blinded_sorted_and_unique_are_refused():
    for wrong in (["so:anna"], [blind(1), blind(1)], sorted([blind(1), blind(2)], reverse=True), [blind(1).upper()]):
        with pytest.raises(InputError):
            people_root(wrong)
