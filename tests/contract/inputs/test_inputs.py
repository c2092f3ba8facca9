import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.utils import get_tags

from zoo.contract.inputs import (
    Env,
    Images,
    Pairs,
    Series,
    Table,
    Text,
    encode_categories,
    floating_dtype,
    n_rows,
    ragged,
    take,
    to_dtype,
)
from zoo.linear.ridge import Ridge


class Toy:
    """What an input needs of an estimator: a place for what it records."""

    def __init__(self, image_shape=None):
        self.image_shape = image_shape

    def __sklearn_tags__(self):
        return get_tags(Ridge())


def fit_then(kind, X, toy=None):
    toy = toy or Toy()
    return toy, kind.check(toy, X, reset=True)


# -- rows of any container ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "X",
    [
        np.arange(8.0).reshape(4, 2),
        sp.csr_array(np.arange(8.0).reshape(4, 2)),
        ["a", "b", "c", "d"],
        {"x": np.zeros((4, 1, 3)), "lengths": np.arange(4)},
    ],
    ids=["array", "sparse", "list", "dict"],
)
def test_rows_are_counted_and_taken(X):
    assert n_rows(X) == 4
    assert n_rows(take(X, np.array([2, 0]))) == 2
    assert n_rows(take(X, np.array([True, False, True, True]))) == 3
    if isinstance(X, list):
        assert take(X, np.array([2, 0])) == ["c", "a"]
        assert take(X, np.array([False, True, False, False])) == ["b"]


def test_casting_touches_floats_only():
    X = {"x": np.ones(2), "lengths": np.array([1, 2])}
    out = to_dtype(X, np.dtype(np.float32))
    assert out["x"].dtype == np.float32
    assert out["lengths"].dtype.kind == "i"
    same = np.ones(2)
    assert to_dtype(same, np.dtype(np.float64)) is same
    assert to_dtype(["a"], np.dtype(np.float32)) == ["a"]


@pytest.mark.parametrize(
    ("X", "dtype"),
    [
        (np.ones(2), np.float64),
        (np.ones(2, np.float32), np.float32),
        (np.ones(2, np.uint8), np.float32),
        (["text"], np.float32),
        ({"x": np.ones(2), "lengths": np.ones(2, int)}, np.float64),
        ({"ids": np.ones(2, int)}, np.float32),
    ],
)
def test_precision_follows_the_input(X, dtype):
    assert floating_dtype(X) == dtype


@pytest.mark.parametrize("kind", [Table(), Images(), Series(), Text(), Pairs(), Env()])
def test_toy_data_pass_their_own_check_and_carry_two_classes(kind):
    X, y = kind.toy(np.random.RandomState(0))
    _, checked = fit_then(kind, X)
    assert n_rows(checked) == len(y)
    assert set(y) <= {0, 1}
    again, _ = kind.toy(np.random.RandomState(0))
    assert np.array_equal(X, again)


@pytest.mark.parametrize(
    ("kind", "two_d"),
    [
        (Table(), True),
        (Images(), True),
        (Series(), True),
        (Text(), False),
        (Pairs(), False),
        (Env(), False),
    ],
)
def test_tags_say_whether_rows_are_accepted(kind, two_d):
    tags = get_tags(Ridge())
    kind.set_tags(tags)
    assert tags.input_tags.two_d_array is two_d
    assert tags.input_tags.three_d_array is (kind.name in ("images", "series"))
    assert tags.input_tags.string is (kind.name == "text")


def test_table_tags_follow_its_switches():
    tags = get_tags(Ridge())
    Table(sparse=True, missing=True, categories=True).set_tags(tags)
    assert tags.input_tags.sparse
    assert tags.input_tags.allow_nan
    assert tags.input_tags.categorical
    Table().set_tags(tags)
    assert not tags.input_tags.sparse
    assert not tags.input_tags.allow_nan


# -- tables ---------------------------------------------------------------------------------------


def test_table_records_width_and_names():
    frame = pd.DataFrame({"a": [1, 2], "b": [3.0, 4.0]})
    toy, X = fit_then(Table(), frame)
    assert toy.n_features_in_ == 2
    assert list(toy.feature_names_in_) == ["a", "b"]
    assert X.dtype == np.float64
    with pytest.raises(ValueError, match="feature names"):
        Table().check(toy, frame[["b", "a"]], reset=False)


def test_table_keeps_single_precision_and_refuses_what_it_does_not_declare():
    assert fit_then(Table(), np.ones((2, 2), np.float32))[1].dtype == np.float32
    with pytest.raises(TypeError, match=r"[Ss]parse"):
        fit_then(Table(), sp.csr_array(np.eye(3)))
    assert fit_then(Table(sparse=True), sp.coo_array(np.eye(3)))[1].format == "csr"
    holes = np.array([[1, np.nan], [2, 3]])
    with pytest.raises(ValueError, match="NaN"):
        fit_then(Table(), holes)
    assert np.isnan(fit_then(Table(missing=True), holes)[1]).sum() == 1
    with pytest.raises(ValueError, match="column 'a' of X holds text"):
        fit_then(Table(), pd.DataFrame({"a": ["x", "y"]}))


def test_categories_become_codes_and_unseen_ones_nan():
    kind = Table(missing=True, categories=True)
    frame = pd.DataFrame(
        {"word": ["b", "a", None], "kind": pd.Categorical(["x", "y", "x"]), "n": [1.0, 2.0, 3.0]}
    )
    toy, X = fit_then(kind, frame)
    np.testing.assert_array_equal(X, [[1, 0, 1], [0, 1, 2], [np.nan, 0, 3]])
    assert {j: list(v) for j, v in toy.categories_.items()} == {0: ["a", "b"], 1: ["x", "y"]}
    new = pd.DataFrame({"word": ["z", "a"], "kind": ["y", "q"], "n": [0.0, 0.0]})
    np.testing.assert_array_equal(
        kind.check(toy, new, reset=False), [[np.nan, 1, 0], [0, np.nan, 0]]
    )
    assert list(frame["word"][:2]) == ["b", "a"]  # not written into


def test_categories_of_an_array_are_none():
    toy = Toy()
    X = np.ones((2, 2))
    assert encode_categories(toy, X, reset=True) is X
    assert toy.categories_ == {}


# -- images ---------------------------------------------------------------------------------------


def pictures(*shape, dtype=float):
    return np.arange(np.prod(shape)).reshape(shape).astype(dtype)


@pytest.mark.parametrize(
    ("X", "declared", "shape"),
    [
        (pictures(2, 3, 5, 4), None, (2, 3, 5, 4)),
        (pictures(2, 5, 4), None, (2, 1, 5, 4)),
        (pictures(2, 5, 4, 3), (5, 4, 3), (2, 3, 5, 4)),
        (pictures(2, 16), None, (2, 1, 4, 4)),
        (pictures(2, 20), (5, 4), (2, 1, 5, 4)),
        (pictures(2, 60), (3, 5, 4), (2, 3, 5, 4)),
        (pictures(2, 7), "row", (2, 1, 1, 7)),
        (list(pictures(2, 5, 4)), None, (2, 1, 5, 4)),
        (pictures(2, 5, 4).tolist(), None, (2, 1, 5, 4)),
        (pictures(2, 5, 4), (5, 4), (2, 1, 5, 4)),
    ],
)
def test_pictures_are_arranged(X, declared, shape):
    toy, out = fit_then(Images(), X, Toy(declared))
    assert out.shape == shape
    assert toy.image_shape_ == shape[1:]
    assert toy.n_features_in_ == np.prod(shape[1:])
    assert set(np.ravel(out)) == set(np.ravel(X))


def test_channels_move_not_mix():
    X = pictures(2, 5, 4, 3)
    _, out = fit_then(Images(), X, Toy((5, 4, 3)))
    np.testing.assert_array_equal(out[1, 2], X[1, :, :, 2])


def test_bytes_stay_bytes():
    assert fit_then(Images(), pictures(2, 4, 4, dtype=np.uint8))[1].dtype == np.uint8
    assert fit_then(Images(), pictures(2, 16, dtype=np.uint8))[1].dtype == np.uint8
    assert fit_then(Images(), pictures(2, 4, 4, dtype=int))[1].dtype.kind == "f"


@pytest.mark.parametrize(
    ("X", "declared", "sentence"),
    [
        (pictures(2, 20), None, "20 features, which is no square image; say what a row is with"),
        (
            pictures(2, 20),
            (3, 4),
            r"image_shape=\(3, 4\) holds 12 pixels, but the rows of X have 20",
        ),
        (pictures(2, 60), (5, 4, 3), "puts the channels last, which flattened rows cannot tell"),
        (pictures(2, 8, 8, 3), None, "looks like images with the channels last; declare"),
        (pictures(2, 5, 4), (4, 5), r"images of shape \(5, 4\), but image_shape=\(4, 5\)"),
        (pictures(2, 2, 2, 2, 2), None, "X has 5 dimensions; images are"),
        (np.full((2, 4, 4), np.nan), None, "NaN"),
        (pictures(0, 4, 4), None, "0 sample"),
    ],
)
def test_pictures_are_refused_with_a_sentence(X, declared, sentence):
    with pytest.raises(ValueError, match=sentence):
        fit_then(Images(), X, Toy(declared))


def test_pictures_of_another_shape_are_refused_at_predict():
    toy, _ = fit_then(Images(), pictures(2, 4, 4))
    with pytest.raises(ValueError, match=r"fitted on images of shape \(1, 4, 4\)"):
        Images().check(toy, pictures(2, 4, 5), reset=False)
    assert Images().check(toy, pictures(3, 16), reset=False).shape == (3, 1, 4, 4)


def test_flattened_parameters_are_named_only_where_the_field_exists():
    assert Images().flattened_params(["image_shape", "lr"]) == {"image_shape": "row"}
    assert Images().flattened_params(["lr"]) == {}
    assert Table().flattened_params(["image_shape"]) == {}


# -- series ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("X", "shape", "lengths"),
    [
        (pictures(2, 3, 5), (2, 3, 5), [5, 5]),
        (pictures(2, 5), (2, 1, 5), [5, 5]),
        ([pictures(2, 3), pictures(2, 5)], (2, 2, 5), [3, 5]),
        ([pictures(3), pictures(4)], (2, 1, 4), [3, 4]),
        (pictures(2, 3).tolist(), (2, 1, 3), [3, 3]),
        ([[[1.0, 2.0]], [[3.0]]], (2, 1, 2), [2, 1]),
    ],
)
def test_series_are_padded(X, shape, lengths):
    toy, out = fit_then(Series(), X)
    assert out["x"].shape == shape
    assert out["lengths"].tolist() == lengths
    assert toy.n_channels_in_ == shape[1]
    for x, t in zip(out["x"], lengths, strict=True):
        assert (x[:, t:] == 0).all()


def test_object_arrays_of_series_are_lists():
    X = np.empty(2, dtype=object)
    X[0], X[1] = pictures(2, 3), pictures(2, 5)
    assert fit_then(Series(), X)[1]["lengths"].tolist() == [3, 5]


def test_trailing_nan_is_padding():
    X = pictures(2, 2, 5) + 1
    X[0, :, 3:] = np.nan
    _, out = fit_then(Series(), X)
    assert out["lengths"].tolist() == [3, 5]
    assert (out["x"][0, :, 3:] == 0).all()
    _, other = fit_then(Series(), [X[0, :, :3], X[1]])
    np.testing.assert_array_equal(out["x"], other["x"])


def test_single_precision_series_stay_so():
    assert fit_then(Series(), pictures(2, 2, 5, dtype=np.float32))[1]["x"].dtype == np.float32
    X = [pictures(2, 3, dtype=np.float32), pictures(2, 5, dtype=np.float32)]
    assert fit_then(Series(), X)[1]["x"].dtype == np.float32
    assert fit_then(Series(), [np.array([[1, 2]])])[1]["x"].dtype == np.float64


def holed():
    X = pictures(2, 2, 5)
    X[0, 1, 2] = np.nan
    return X


@pytest.mark.parametrize(
    ("X", "sentence"),
    [
        (holed(), "NaN or infinity inside a series; only trailing time points"),
        ([pictures(2, 3), pictures(3, 3)], r"have \[2, 3\] channels; every series must have the"),
        ([pictures(2, 3), np.zeros((2, 0))], "series 1 of X has length 0"),
        (np.full((2, 1, 4), np.nan), "series 0 of X has length 0"),
        (np.zeros((0, 2, 3)), r"0 sample\(s\)"),
        (np.full((2, 2, 3), np.inf), "NaN or infinity inside a series"),
    ],
)
def test_series_are_refused_with_a_sentence(X, sentence):
    with pytest.raises(ValueError, match=sentence):
        fit_then(Series(), X)


def test_series_with_other_channels_are_refused_at_predict():
    toy, _ = fit_then(Series(), pictures(2, 2, 5))
    with pytest.raises(ValueError, match="X has 3 channels, but Toy was fitted on 2"):
        Series().check(toy, pictures(2, 3, 5), reset=False)
    assert Series().check(toy, pictures(2, 2, 9), reset=False)["x"].shape == (2, 2, 9)


def test_ragged_undoes_padding():
    series = [pictures(2, 3), pictures(2, 5)]
    _, out = fit_then(Series(), series)
    for a, b in zip(ragged(out["x"], out["lengths"]), series, strict=True):
        np.testing.assert_array_equal(a, b)


# -- text -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "X",
    [
        ["a", ""],
        ("a", ""),
        np.array(["a", ""], dtype=object),
        np.array(["a", ""]),
        np.array([["a"], [""]], dtype=object),
        pd.Series(["a", ""], index=[7, 3]),
    ],
)
def test_documents_become_a_list_of_str(X):
    _, out = fit_then(Text(), X)
    assert out == ["a", ""]
    assert all(type(document) is str for document in out)


@pytest.mark.parametrize(
    ("X", "sentence"),
    [
        (
            "one text",
            r"X is one string \('one text'\); Toy takes a list of documents: give \[text\]",
        ),
        (b"bytes", "X is one string"),
        (None, "X is None; give a list of documents"),
        ([], r"X holds no document \(0 sample\(s\)\)"),
        (["a", None], "document 1 of X is None of type NoneType; every document must be a str"),
        (["a", 3], "document 1 of X is 3 of type int"),
        ([b"a"], "document 0 of X is b'a' of type bytes"),
        (["a", float("nan")], "document 1 of X is nan of type float"),
    ],
)
def test_documents_are_refused_with_a_sentence(X, sentence):
    with pytest.raises(ValueError, match=sentence):
        fit_then(Text(), X)


# -- pairs ----------------------------------------------------------------------------------------


def test_pairs_of_any_container_are_the_same():
    rows = [("u1", 3), ("u2", 4)]
    for X in (
        rows,
        pd.DataFrame(rows, columns=["user", "item"]),
        np.array([["u1", 3], ["u2", 4]], dtype=object),
    ):
        _, out = fit_then(Pairs(), X)
        assert out.shape == (2, 2)
        assert out.tolist() == [["u1", 3], ["u2", 4]]


def test_pairs_of_numbers_stay_numbers():
    _, out = fit_then(Pairs(), np.array([[1, 2], [3, 4]]))
    assert out.dtype.kind == "i"
    assert Pairs().precision(out) == np.float64


def test_pairs_record_names_and_forget_them():
    toy, _ = fit_then(Pairs(), pd.DataFrame({"user": [1], "item": [2]}))
    assert list(toy.feature_names_in_) == ["user", "item"]
    assert toy.n_features_in_ == 2
    Pairs().check(toy, np.array([[1, 2]]), reset=True)
    assert not hasattr(toy, "feature_names_in_")


@pytest.mark.parametrize(
    ("X", "sentence"),
    [
        (np.ones((3, 3)), "X has 3 columns; Toy takes 2: two ids a row"),
        (np.ones(3), r"X has shape \(3,\); pairs are \(n, 2\)"),
        ([("a", "b"), ("a",)], r"rows of X have \[1, 2\] entries; pairs have two ids a row"),
        ([("a", None)], r"column 1 of X holds a missing id \(row 0\)"),
        (np.array([[1.0, np.nan]]), "missing id"),
        (
            pd.DataFrame({"u": ["a", None], "i": [1, 2]}),
            r"column 0 of X holds a missing id \(row 1",
        ),
        (np.ones((0, 2)), r"X holds no pair \(0 sample\(s\)\)"),
        ("ab", "X is 'ab'; pairs are"),
    ],
)
def test_pairs_are_refused_with_a_sentence(X, sentence):
    with pytest.raises(ValueError, match=sentence):
        fit_then(Pairs(), X)


# -- environments ---------------------------------------------------------------------------------


def test_seeds():
    assert fit_then(Env(), None)[1] is None
    assert fit_then(Env(), [3, 4])[1].dtype == np.int64
    assert fit_then(Env(), np.array([[3], [4]]))[1].tolist() == [3, 4]


@pytest.mark.parametrize("X", [[], [-1], [0.5], ["a"], np.ones((2, 2), int), "seeds", 3])
def test_seeds_are_refused_with_a_sentence(X):
    with pytest.raises(ValueError, match="is no list of episode seeds; give None or a 1-D array"):
        fit_then(Env(), X)
