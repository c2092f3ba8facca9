"""Inputs side by side: every container gives the same parts, rows are counted once."""

import numpy as np
import pandas as pd
import pytest

from zoo.contract.inputs import Images, Joined, Text, n_rows, take


class Seer:
    image_shape = None


BOTH = Joined(images=Images(), text=Text())
PICTURES = np.random.default_rng(0).random((3, 4, 4))
WORDS = ["a", "b", "c"]
FRAME = pd.DataFrame({"text": WORDS, "images": list(PICTURES)})


@pytest.mark.parametrize("X", [
    list(zip(PICTURES, WORDS, strict=True)), FRAME, {"images": PICTURES, "text": WORDS},
], ids=["tuples", "frame", "mapping"])  # fmt: skip
def test_every_container_gives_the_same_parts(X):
    seer = Seer()
    parts = BOTH.check(seer, X, reset=True)
    np.testing.assert_array_equal(parts["images"][:, 0], PICTURES)
    assert parts["text"] == WORDS
    assert n_rows(parts) == 3
    assert seer.n_features_in_ == 2
    assert take(parts, np.array([2]))["text"] == ["c"]


def test_one_half_is_enough_to_be_asked_about():
    seer = Seer()
    BOTH.check(seer, FRAME, reset=True)
    assert list(BOTH.check(seer, {"text": ["d"]}, reset=False)) == ["text"]
    with pytest.raises(ValueError, match="X has the parts text; fit takes all of images, text"):
        BOTH.check(seer, {"text": WORDS}, reset=True)


@pytest.mark.parametrize(("X", "sentence"), [
    ({"images": PICTURES, "text": ["a"]}, "X has 3 of images, 1 of text"),
    ({"images": PICTURES, "words": WORDS}, "X has the part 'words'"),
    (WORDS, "X is no list of rows"),
    ([(1, 2, 3)], "X is no list of rows"),
    (5, "X is no list of rows"),
])  # fmt: skip
def test_other_rows_are_refused_with_a_sentence(X, sentence):
    with pytest.raises(ValueError, match=sentence):
        BOTH.check(Seer(), X, reset=True)


def test_parts_of_toy_rows_are_of_one_class():
    X, y = BOTH.toy(np.random.RandomState(0))
    bright_left = np.array([picture[0, :, :4].mean() > picture[0, :, 4:].mean() for picture, _ in X])
    about_cats = np.array(["cat" in text for _, text in X])
    assert (bright_left == (y == 0)).all()
    assert (about_cats == (y == 0)).all()


def test_joined_inputs_are_values():
    assert Joined(images=Images(), text=Text()) == BOTH
    assert hash(Joined(images=Images(), text=Text())) == hash(BOTH)
    assert Joined(text=Text()) != BOTH
