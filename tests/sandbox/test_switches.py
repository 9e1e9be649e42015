"""Every switch of the fake Glopal is listed with all its settings, can be set by name, and changes what it says."""

from dataclasses import fields
from datetime import timedelta

import pytest

from orderflow.sandbox import SWITCHES, GlopalOptions, UnknownSwitch
from orderflow.sandbox.glopal_switches import FREE, options, word


def test_every_switch_is_listed_and_its_default_comes_first() -> None:
    assert set(SWITCHES) == {one.name for one in fields(GlopalOptions)} - set(FREE)
    plain = GlopalOptions()
    for name, settings in SWITCHES.items():
        assert len(settings) > 1, name
        assert getattr(plain, name) == settings[0], name
        assert len({word(setting) for setting in settings}) == len(settings), name


@pytest.mark.parametrize(("name", "setting"), [(name, one) for name, all_ in SWITCHES.items() for one in all_])
def test_every_setting_can_be_given_as_value_or_as_word(name: str, setting: object) -> None:
    assert getattr(options({name: setting}), name) == setting
    assert getattr(options({name: word(setting)}), name) == setting


def test_what_does_not_exist_is_named_with_what_does() -> None:
    with pytest.raises(UnknownSwitch, match=r"get_lagg: there is no such switch; there are routes, error_body"):
        options({"get_lagg": timedelta(0)})
    with pytest.raises(UnknownSwitch, match=r"pages = 'odd' is not possible; it takes plain \| overlapping"):
        options({"pages": "odd"})
    with pytest.raises(UnknownSwitch, match=r"takes off \| on"):
        options({"extra_members": 1})
