"""What is known of an order's counterparts in the shop: the recorded one, and strays.

It never forgets a shop id and never moves one backwards: draft < order < gone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from orderflow.domain.events import ShopState, Sighting

# Named once: on Python 3.11 each look at a member of an enumeration is a function call, and these are looked at often.
_DRAFT, _ORDER, _GONE = ShopState.DRAFT, ShopState.ORDER, ShopState.GONE
_RANK = {_DRAFT: 0, _ORDER: 1, _GONE: 2}


@dataclass(frozen=True, slots=True)
class Shop:
    """All shop orders ever seen under the order's reference, oldest first. `recorded` is the one we go by."""

    recorded: str | None = None
    seen: tuple[Sighting, ...] = ()

    @property
    def living(self) -> tuple[Sighting, ...]:
        """Drafts and orders not known to be gone, the recorded one first."""
        alive = [s for s in self.seen if s.state is not _GONE]
        return tuple(sorted(alive, key=lambda s: s.shop_id != self.recorded))

    @property
    def own(self) -> Sighting | None:
        """The recorded shop order, gone or not."""
        return self.get(self.recorded) if self.recorded is not None else None

    def get(self, shop_id: str) -> Sighting | None:
        """What is known of one shop order."""
        return next((s for s in self.seen if s.shop_id == shop_id), None)

    def sight(self, found: Iterable[Sighting]) -> Shop:
        """With what a reply or look-up showed. If nothing living is recorded, the promoted one, else the oldest, is.

        Where the recorded one was promoted and is gone, nothing takes its place: that order gets no new one by itself.
        So one that was promoted and gone before we saw it is recorded too, if nothing lives.
        """
        news = [sighting for sighting in found if sighting.shop_id and sighting not in self.seen]
        if not news:
            return self
        seen = {s.shop_id: s for s in self.seen}
        for sighting in news:
            seen[sighting.shop_id] = _merge(seen.get(sighting.shop_id), sighting)
        own = seen.get(self.recorded) if self.recorded is not None else None
        recorded = self.recorded
        if own is None or (own.state is _GONE and not own.promoted):
            alive = [s for s in seen.values() if s.state is not _GONE]
            gone = next((s for s in seen.values() if s.promoted), own)
            chosen = next((s for s in alive if s.state is _ORDER), alive[0] if alive else gone)
            recorded = chosen.shop_id if chosen else None
        return Shop(recorded, tuple(seen.values()))


def _merge(old: Sighting | None, new: Sighting) -> Sighting:
    promoted = new.promoted or new.state is _ORDER or (old is not None and old.promoted)
    if old is None:
        return new if new.promoted is promoted else Sighting(new.shop_id, new.number, new.state, promoted)
    state = max(old.state, new.state, key=_RANK.__getitem__)
    newer = _RANK[new.state] >= _RANK[old.state]
    return Sighting(old.shop_id, (new.number if newer else "") or old.number, state, promoted)
