"""Planted identifiers are what they claim to be."""

import ipaddress
import re

import pytest
from stdnum import iban as stdnum_iban
from stdnum import luhn

from demur.testing import Network
from demur.testing.dice import Dice
from demur.testing.identifiers import NATIONAL, TYPES, card, checker, iban, national, planted
from demur.testing.world import BEYOND, EEA3, EU27


def test_every_state_has_a_national_number():
    assert set(NATIONAL) >= {*EU27, *EEA3, *BEYOND}


@pytest.mark.parametrize("country", sorted(NATIONAL))
def test_a_national_number_validates_where_it_claims_to(country):
    kind = NATIONAL[country]
    dice = Dice("test", country)
    made = {national(country, dice) for _ in range(20)}
    assert len(made) > 15
    if kind.check is not None:
        valid = checker(kind.check)
        assert all(valid(number) for number in made)
        assert not all(valid(_turned(number)) for number in made)


def test_only_numbers_without_a_checksum_claim_none():
    assert {country for country, kind in NATIONAL.items() if not kind.checked} == {"LI", "MT", "US"}


@pytest.mark.parametrize("country", sorted({*EU27, *EEA3, "GB", "CH"}))
def test_an_iban_validates_with_its_national_check(country):
    dice = Dice("iban", country)
    for _ in range(10):
        number = iban(country, dice)
        assert stdnum_iban.is_valid(number)
        assert number.startswith(country)


def test_a_card_number_passes_luhn():
    dice = Dice("card")
    assert all(luhn.is_valid(card(dice).replace(" ", "")) for _ in range(50))


@pytest.mark.parametrize("type_", TYPES)
def test_every_type_is_made_and_differs(type_):
    dice = Dice("type", type_)
    values = {planted(type_, "FR", str(number), dice)[1] for number in range(30)}
    assert len(values) == 30


def test_addresses_lie_in_reserved_ranges():
    dice = Dice("ip")
    for _ in range(40):
        address = ipaddress.ip_address(planted("ip", "DE", "1", dice)[1])
        reserved = ("100.64.0.0/10", "2001:db8::/32")
        assert any(
            address in ipaddress.ip_network(net)
            for net in reserved
            if ipaddress.ip_network(net).version == address.version
        )
    assert re.fullmatch(r"\S+@mail-\d\d\.example", planted("email", "DE", "1", dice)[1])


def test_a_network_plants_national_numbers_of_every_eu_state():
    found = set()
    for person in Network(1, 700).stream():
        found |= {type_.split(":")[1] for work in person.works for type_, _ in work.planted if ":" in type_}
        if found >= set(EU27):
            break
    assert found >= set(EU27)


def _turned(number):
    at = max(place for place, sign in enumerate(number[:-1]) if sign.isdigit())
    return f"{number[:at]}{(int(number[at]) + 1) % 10}{number[at + 1 :]}"
