"""What is held out is drawn over all groups, whatever the order of the lines."""

from collections import Counter

import pytest

from unison_backend.errors import InputError
from unison_backend.training.held_out import hold_out, spread

SORTED = ["a"] * 60 + ["b"] * 30 + ["c"] * 10  # as a file has them that was written task by task


def test_every_group_has_its_share_and_the_first_lines_are_not_preferred():
    chosen = spread(SORTED, 10, seed=1)
    assert Counter(SORTED[index] for index in chosen) == {"a": 6, "b": 3, "c": 1}
    assert len(set(chosen)) == 10 and chosen == sorted(chosen) and chosen != list(range(10))
    assert spread(SORTED, 10, seed=1) == chosen != spread(SORTED, 10, seed=2)
    assert spread(SORTED, 1000) == list(range(100)) and spread(SORTED, 100) == list(range(100))


def test_a_share_is_held_out():
    assert len(hold_out(SORTED, 0.05)) == 5 and hold_out(SORTED, 0) == []


@pytest.mark.parametrize(("count", "share"), [(4, 0.05), (1, 0.9), (2, 0.9)])
def test_a_share_that_is_nothing_or_all_is_refused(count, share):
    with pytest.raises(
        InputError, match=rf"--held-out {share} of {count} samples is \d of them; give a larger or smaller"
    ):
        hold_out(["a"] * count, share)
