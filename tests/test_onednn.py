import platform

import pytest

from sedna_tinyms.onednn import KEEP_DEFAULT, LIMIT, limit_instruction_set

on_x86 = pytest.mark.skipif(
    platform.machine().lower() not in ("x86_64", "amd64"), reason="AVX is x86 only"
)


@on_x86
def test_the_limit_is_set_once_and_stays():
    environment = {}
    assert limit_instruction_set(environment)
    assert environment == {LIMIT: "AVX2"}
    assert limit_instruction_set(environment)


@on_x86
def test_the_users_own_value_wins():
    environment = {LIMIT: "AVX512_CORE"}
    assert not limit_instruction_set(environment)
    assert environment == {LIMIT: "AVX512_CORE"}


@on_x86
@pytest.mark.parametrize(
    ("value", "limited"), [("1", False), ("yes", False), ("0", True), ("", True)]
)
def test_it_can_be_turned_off(value, limited):
    environment = {KEEP_DEFAULT: value}
    assert limit_instruction_set(environment) is limited
    assert (LIMIT in environment) is limited


def test_other_processors_are_left_alone(monkeypatch):
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    environment = {}
    assert not limit_instruction_set(environment)
    assert environment == {}
