"""What the command lines have in common."""

import argparse

import pytest

from command_line import WHOLE, Part, part


def test_parts_share_the_work():
    items = list(range(7))
    parts = [part(f"{index}/3").of(items) for index in range(3)]
    assert parts == [[0, 3, 6], [1, 4], [2, 5]]
    assert part("1/3") == Part(1, 3)
    assert WHOLE.of(items) == items


@pytest.mark.parametrize(
    "text", ["3/3", "-1/3", "1", "1/", "/3", "1/0", "a/b", "1/2/3"]
)
def test_other_parts_are_refused(text):
    with pytest.raises(
        argparse.ArgumentTypeError, match="expected INDEX/COUNT, as 0/4"
    ):
        part(text)
