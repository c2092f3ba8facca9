"""Targets: what y may be, what _learn sees of it, and the sentence for everything else."""

import numpy as np
import pandas as pd
import pytest

from zoo.contract.targets import AsHeld, Documents, Labels, Nothing, Numbers, Sequences


class Learner:
    """An estimator as a target sees it."""

    dtype_ = np.dtype(np.float64)
    by_step = True


@pytest.fixture
def learner():
    return Learner()


def test_nothing_is_looked_at(learner):
    assert Nothing().check(learner, ["anything"], 3) is None
    assert not Nothing().required


def test_numbers_follow_the_precision_of_X(learner):
    learner.dtype_ = np.dtype(np.float32)
    y = Numbers().check(learner, [1, 2, 3], 3)
    assert y.dtype == np.float32


def test_numbers_of_several_columns_are_for_those_who_say_so(learner):
    y = np.zeros((3, 2))
    assert Numbers(many=True).check(learner, y, 3).shape == (3, 2)
    with pytest.raises(ValueError, match="1d array"):
        Numbers().check(learner, y, 3)


def test_numbers_may_have_a_shape(learner):
    pictures = Numbers(shape=(None, 4, 4))
    assert pictures.check(learner, np.zeros((5, 3, 4, 4)), 5).shape == (5, 3, 4, 4)
    with pytest.raises(ValueError, match=r"rows of y have the shape \(4, 4\); .* \(any, 4, 4\)"):
        pictures.check(learner, np.zeros((5, 4, 4)), 5)
    with pytest.raises(ValueError, match="NaN"):
        pictures.check(learner, np.full((5, 3, 4, 4), np.nan), 5)


def test_labels_become_numbers_and_back(learner):
    target = Labels()
    numbers = target.encode(learner, target.check(learner, ["b", "a", "b"], 3), resume=False)
    assert numbers.tolist() == [1, 0, 1]
    assert target.decode(learner, numbers).tolist() == ["b", "a", "b"]
    with pytest.raises(ValueError, match="holds the label 'c', which is none of the classes"):
        target.encode(learner, np.array(["c"]), resume=True)


def test_too_few_classes_are_refused(learner):
    with pytest.raises(ValueError, match="at least 2 classes in y, but y has only one class: 'a'"):
        Labels(least=2).encode(learner, np.array(["a", "a"]), resume=False)
    assert Labels().encode(learner, np.array(["a", "a"]), resume=False).tolist() == [0, 0]


def test_other_classes_than_the_first_fit_was_told_are_refused(learner):
    target = Labels()
    target.encode(learner, np.array([0, 1]), resume=False, classes=[0, 1, 2])
    target.encode(learner, np.array([0, 1]), resume=True, classes=[2, 1, 0])
    with pytest.raises(ValueError, match=r"classes=\[0, 1\] are other classes than the first fit was told"):
        target.encode(learner, np.array([0, 1]), resume=True, classes=[0, 1])


def test_labels_count_only_when_the_parameter_says_so(learner):
    learner.conditional = False
    assert Labels(required=False, when="conditional").check(learner, ["a", "b"], 2) is None
    learner.conditional = True
    assert Labels(required=False, when="conditional").check(learner, ["a", "b"], 2).tolist() == ["a", "b"]


def test_classes_that_are_lost_are_named():
    before, after = np.array([[0, 5], [1, 6]]), np.array([[0, 5]])
    assert Labels(many=True).left_out(before, after) == [1, 6]
    assert Numbers().left_out(before, after) == []


@pytest.mark.parametrize(("of", "rows", "expected"), [
    (Labels(), [["a", "b"], ["b"]], [[0, 1], [1, -1]]),
    (Numbers(), [[1.0, 2.0], [3.0]], [[1, 2], [3, np.nan]]),
])  # fmt: skip
def test_sequences_are_padded(learner, of, rows, expected):
    target = Sequences(of=of, when="by_step")
    y = target.encode(learner, target.check(learner, rows, 2), resume=False)
    np.testing.assert_array_equal(y, expected)


def test_sequences_are_single_targets_where_the_parameter_is_off(learner):
    learner.by_step = False
    target = Sequences(of=Labels(), when="by_step")
    y = target.encode(learner, target.check(learner, ["a", "b"], 2), resume=False)
    assert y.tolist() == [0, 1]


@pytest.mark.parametrize(("rows", "sentence"), [
    ([[1.0]], "y has 1 rows, but X has 2 series"),
    ([[1.0], [[2.0]]], r"row 1 of y has shape \(1, 1\); with by_step=True"),
    ([[1.0], []], r"row 1 of y has shape \(0,\)"),
    ([[1.0], [np.nan]], "NaN"),
])  # fmt: skip
def test_sequences_are_refused_with_a_sentence(learner, rows, sentence):
    with pytest.raises(ValueError, match=sentence):
        Sequences(of=Numbers(), when="by_step").check(learner, rows, 2)


def test_sequences_take_over_what_single_targets_are():
    target = Sequences(of=Numbers(many=True), when="by_step")
    assert (target.many, target.required, target.of_classes) == (True, True, False)
    assert Sequences(of=Labels()).of_classes
    assert Sequences(of=Labels()).metric([0, 1], [0, 1]) == 1


@pytest.mark.parametrize("y", [
    ["a", "b"], pd.Series(["a", "b"]), np.array(["a", "b"], dtype=object), pd.DataFrame({"y": ["a", "b"]}),
])  # fmt: skip
def test_documents_are_a_list_of_str(learner, y):
    assert Documents().check(learner, y, 2) == ["a", "b"]


@pytest.mark.parametrize(("y", "sentence"), [
    ("ab", "y is one string"),
    (["a"], "y has 1 documents, but X has 2 rows"),
    (["a", 3], "document 1 of y is 3 of type int"),
    (["a", None], "document 1 of y is None"),
])  # fmt: skip
def test_documents_are_refused_with_a_sentence(learner, y, sentence):
    with pytest.raises(ValueError, match=sentence):
        Documents().check(learner, y, 2)


def test_what_is_held_gets_y_as_it_came(learner):
    y = pd.Series([1, 2])
    assert AsHeld().check(learner, y, 2) is y
    with pytest.raises(ValueError, match="inconsistent"):
        AsHeld().check(learner, y, 3)
