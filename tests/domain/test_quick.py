"""A value that is made quickly is the value that a frozen dataclass makes."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, dataclass, replace

import pytest

from orderflow.domain.events import Recorded, Reported, Sighting
from orderflow.domain.order import Hold, Mark, Parked, Slot, Total
from orderflow.domain.quick import quick
from orderflow.domain.shop import Shop


@dataclass(frozen=True, slots=True)
class Plain:
    first: int
    second: str = "x"
    third: tuple[int, ...] = ()


@quick
@dataclass(frozen=True, slots=True)
class Quick:
    first: int
    second: str = "x"
    third: tuple[int, ...] = ()


def test_it_is_made_of_the_same_arguments():
    for one in (Plain, Quick):
        assert one(1) == one(first=1, second="x", third=())
        assert one(1, third=(2,)) == one(1, "x", (2,))
        assert one(1) != one(2)
        assert hash(one(1)) == hash(one(1))
        assert replace(one(1), second="y") == one(1, "y")
        for wrong in ((), (1, "x", (), 4)):
            with pytest.raises(TypeError):
                one(*wrong)
        with pytest.raises(TypeError):
            one(1, fourth=4)
    assert repr(Quick(1, "y")) == repr(Plain(1, "y")).replace("Plain", "Quick")


@pytest.mark.parametrize("kind", [Quick, Sighting, Reported, Recorded, Mark, Hold, Parked, Total, Slot, Shop])
def test_what_was_made_is_of_its_class_and_frozen(kind):
    made = kind(*range(len(kind.__dataclass_fields__)))
    assert type(made) is kind
    assert [getattr(made, name) for name in kind.__dataclass_fields__] == [*range(len(kind.__dataclass_fields__))]
    for name in kind.__dataclass_fields__:
        with pytest.raises(FrozenInstanceError):
            setattr(made, name, 0)
        with pytest.raises(FrozenInstanceError):
            delattr(made, name)
