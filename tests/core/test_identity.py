"""One host has several spellings; other hosts have other names."""

from __future__ import annotations

import unicodedata

import pytest

from lea_fleet.core.identity import is_fuller, is_same, is_same_host

NFD = unicodedata.normalize("NFD", "café-03")


@pytest.mark.parametrize(
    "one, other",
    [
        ("COMPTABILITE-PA", "comptabilite-paris-03"),
        ("COMPTABILITE-PA", "comptabilite-paris-03.corp.example.com"),
        ("COMPTABILITE-PA", "comptabilite-pa.corp.example.com"),
        ("PC-7", "pc-7.corp.example.com"),
        ("PC-7", "pc-7."),
        ("pc-7.example.com", "PC-7.EXAMPLE.COM."),
        ("  PC-7\r\n", "pc-7"),
        ("pc-7. ", " PC-7"),
        (NFD, "CAFÉ-03"),
        (NFD, "café-03.example.com."),
        # 15 letters once they are composed, and before case folding makes "ss".
        (unicodedata.normalize("NFD", "GÉNÉRALITÉS-PAR"), "généralités-paris-3"),
        ("STRAßE-BERLIN-0", "straße-berlin-07"),
    ],
)
def test_spellings_of_one_name_are_one_host(one, other):
    assert is_same_host(one, other)
    assert is_same_host(other, one)
    assert is_same("hostname", one, other)


@pytest.mark.parametrize(
    "one, other",
    [
        ("PC-7", "PC-70"),
        ("COMPTABILITE-P", "comptabilite-paris-03"),  # 14 letters
        ("COMPTABILITE-PAR", "comptabilite-paris-03"),  # 16 letters
        ("comptabilite-paris-03", "comptabilite-paris-07"),
        ("pc-7.paris.example.com", "pc-7.lyon.example.com"),
        ("pc-7.paris", "pc-7.paris.example.com"),
        ("COMPTABILITE-PA.paris", "comptabilite-paris-03"),
        ("abc.example.com", "abc.example.community"),  # 15 letters, with a domain
        ("PC-7", None),
        ("PC-7", " . "),
        ("cafe-03", "café-03"),
    ],
)
def test_anything_else_is_compared_whole(one, other):
    assert not is_same_host(one, other)
    assert not is_same_host(other, one)


def test_only_a_hostname_has_short_spellings():
    assert is_same("user_name", " Zoé", "ZOÉ")
    assert not is_same("user_name", "zoe", "zoe.example")


def test_the_longer_spelling_says_more():
    assert is_fuller("pc-7.example.com", "PC-7")
    assert not is_fuller("PC-7", "pc-7.example.com")
    assert not is_fuller("PC-7.", "pc-7")
    assert not is_fuller("pc-8.example.com", "PC-7")
