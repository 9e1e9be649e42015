"""The tree is that of RFC 6962, however it grows; a path proves one entry at one place and nothing else."""

from hashlib import sha256
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderflow.audit.tree import TILE, Frontier, extended, includes, leaf, path, root_of, unpacked

# The entries that implementations of certificate transparency test with, and what they expect.
KNOWN = [bytes.fromhex(one) for one in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657")]
KNOWN.append(bytes.fromhex("606162636465666768696a6b6c6d6e6f"))
ROOTS = {
    0: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
}


def mth(entries: list[bytes]) -> bytes:
    """RFC 6962, section 2.1, word for word."""
    if not entries:
        return sha256().digest()
    if len(entries) == 1:
        return sha256(b"\0" + entries[0]).digest()
    half = 1
    while half * 2 < len(entries):
        half *= 2
    return sha256(b"\1" + mth(entries[:half]) + mth(entries[half:])).digest()


def entries(size: int) -> list[bytes]:
    return [sha256(str(n).encode()).digest() for n in range(size)]


@pytest.mark.parametrize(("size", "root"), ROOTS.items())
def test_known_roots(size, root):
    assert extended(Frontier(), KNOWN[:size])[0].root.hex() == root


@given(st.lists(st.integers(0, 40), max_size=8))
def test_a_tree_is_the_same_however_it_grows(steps):
    whole, frontier, at = entries(sum(steps)), Frontier(), 0
    for step in steps:
        frontier, _ = extended(frontier, whole[at : at + step])
        at += step
        assert frontier.size == at
        assert frontier.root == mth(whole[:at])
    assert unpacked(frontier.size, frontier.packed()) == frontier


@pytest.mark.parametrize("size", [1, 1023, 1024, 1025, 2048, 5000])
def test_the_nodes_above_whole_tiles_come_out_once_and_in_order(size):
    whole, rng, frontier, tiles = entries(size), Random(size), Frontier(), []
    while frontier.size < size:
        frontier, nodes = extended(frontier, whole[frontier.size : frontier.size + rng.randint(1, 1500)])
        tiles += nodes
    width = 1 << TILE
    assert tiles == [mth(whole[at : at + width]) for at in range(0, size - width + 1, width)]


@given(st.integers(1, 70), st.data())
def test_a_path_proves_its_entry_only(size, data):
    whole = entries(size)
    root, leaves = mth(whole), [leaf(one) for one in whole]
    index = data.draw(st.integers(0, size - 1))
    beside = path(leaves, index)
    assert root_of(leaves) == root
    assert includes(root, size, index, whole[index], beside)
    for other in range(size):
        assert includes(root, size, other, whole[index], beside) == (other == index)
        assert includes(root, size, index, whole[other], beside) == (other == index)
    assert not includes(root, size, size, whole[index], beside)
    assert not includes(root, size, -1, whole[index], beside)
    for wrong in (beside[:-1], [*beside, root], beside[::-1]):
        assert wrong == beside or not includes(root, size, index, whole[index], wrong)


def test_a_path_goes_on_above_tiles():
    """A path may be put together: within a part of a power of two, and above the parts."""
    whole, width = entries(150), 16
    leaves = [leaf(one) for one in whole]
    parts = [leaves[at : at + width] for at in range(0, len(leaves), width)]
    tops = [root_of(part) for part in parts]
    for index in range(len(whole)):
        part, inside = divmod(index, width)
        beside = path(parts[part], inside) + path(tops, part)
        assert beside == path(leaves, index)
        assert includes(mth(whole), len(whole), index, whole[index], beside)


@pytest.mark.parametrize(("size", "nodes"), [(1, ()), (3, (b"x" * 32,)), (1, (b"x",)), (0, (b"x" * 32,))])
def test_a_frontier_has_one_hash_for_each_bit(size, nodes):
    with pytest.raises(ValueError, match="one hash for each bit"):
        Frontier(size, nodes)
