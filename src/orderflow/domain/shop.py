"""What is known of an order's counterparts in the shop: the recorded one, and strays.

It never forgets a shop id, never moves one backwards (begun < draft < order < gone), and never changes the real order's
id once it is known.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from orderflow.domain.events import ShopState, Sighting
from orderflow.domain.quick import quick

# Named once: on Python 3.11 each look at a member of an enumeration is a function call, and these are looked at often.
_BEGUN, _DRAFT, _ORDER, _GONE = ShopState.BEGUN, ShopState.DRAFT, ShopState.ORDER, ShopState.GONE
_RANK = {_BEGUN: 0, _DRAFT: 1, _ORDER: 2, _GONE: 3}


@quick
@dataclass(frozen=True, slots=True)
class Shop:
    """All shop orders ever seen under the order's reference, oldest first. `recorded` is the one we go by."""

    recorded: str | None = None
    seen: tuple[Sighting, ...] = ()

    @property
    def living(self) -> tuple[Sighting, ...]:
        """All that are not known to be gone, the recorded one first."""
        alive = [s for s in self.seen if s.state is not _GONE]
        return tuple(sorted(alive, key=lambda s: s.shop_id != self.recorded))

    @property
    def made(self) -> tuple[Sighting, ...]:
        """The living ones that are whole: drafts and orders, the recorded one first."""
        return self.whole().living

    def whole(self) -> Shop:
        """Without those whose making broke off half-way."""
        return Shop(self.recorded, tuple(s for s in self.seen if s.state is not _BEGUN))

    @property
    def own(self) -> Sighting | None:
        """The recorded shop order, gone or not."""
        return self.get(self.recorded) if self.recorded is not None else None

    def get(self, shop_id: str) -> Sighting | None:
        """What is known of one shop order."""
        for sighting in self.seen:
            if sighting.shop_id == shop_id:
                return sighting
        return None

    def sight(self, found: Iterable[Sighting]) -> Shop:
        """With what a reply or look-up showed. If nothing living is recorded, the promoted one, else the oldest, is.

        Where the recorded one was promoted and is gone, nothing takes its place: that order gets no new one by itself.
        So one that was promoted and gone before we saw it is recorded too, if nothing lives.
        """
        known, news = {sighting.shop_id: sighting for sighting in self.seen}, False
        for sighting in found:
            if sighting.shop_id:
                before = known.get(sighting.shop_id)
                now = known[sighting.shop_id] = _merge(before, sighting)
                news = news or now is not before
        if not news:
            return self
        own = None if self.recorded is None else known.get(self.recorded)
        if own is None or (own.state is _GONE and not own.promoted):
            own = _chosen(known.values()) or own
        return Shop(None if own is None else own.shop_id, tuple(known.values()))


def _chosen(seen: Collection[Sighting]) -> Sighting | None:
    living = [sighting for sighting in seen if sighting.state is not _GONE and sighting.state is not _BEGUN]
    for sighting in living:
        if sighting.state is _ORDER:
            return sighting
    return living[0] if living else next((sighting for sighting in seen if sighting.promoted), None)


def _merge(old: Sighting | None, new: Sighting) -> Sighting:
    """Both together: `old` itself if `new` shows nothing new."""
    promoted = new.promoted or new.state is _ORDER or (old is not None and old.promoted)
    if old is None:
        return new if new.promoted is promoted else replace(new, promoted=promoted)
    newer = _RANK[new.state] >= _RANK[old.state]
    number, state = (new.number or old.number, new.state) if newer else (old.number, old.state)
    real_id = old.real_id or new.real_id
    if state is old.state and number == old.number and promoted is old.promoted and real_id == old.real_id:
        return old
    return Sighting(old.shop_id, number, state, promoted, real_id)
