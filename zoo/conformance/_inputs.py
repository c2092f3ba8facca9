"""What is asked of an input: tables, images, series, text, pairs, and several together."""

from functools import partial
from typing import Any

import numpy as np
import scipy.sparse as sp

from zoo.conformance._agents import ON_ENVIRONMENTS, ON_GAMES, ON_LOGS
from zoo.conformance._case import (
    BAD_INPUT,
    METHODS,
    Case,
    Checker,
    expect,
    expect_same,
    refused,
    rows,
    working,
)
from zoo.conformance._report import Nonconformity, NotApplicable
from zoo.contract.inputs import n_rows, ragged

# -- by input: whatever has columns ---------------------------------------------------------------


def _two_dimensional(case: Case) -> np.ndarray:
    """Return the toy X as an array of columns: features, pixels, time points or ids."""
    X = np.asarray(case.X)
    if case.input.name == "series":
        return X[:, 0]
    return X.reshape(len(X), -1)


def check_column_names(case: Case) -> None:
    """Columns are known by name: other names, or the same in another order, are refused."""
    import pandas as pd

    X = _two_dimensional(case)
    names = [f"x{j}" for j in range(X.shape[1])]
    frame = pd.DataFrame(X, columns=names)
    with working("X may be a DataFrame"):
        estimator = case.fit(frame, case.y)
        answers = case.answers_by_row(estimator, frame)
    expect(
        list(getattr(estimator, "feature_names_in_", [])) == names,
        "fit does not record feature_names_in_",
    )
    unnamed = case.fitted if case.input.name == "table" else case.fit(X, case.y)
    expect_same(
        answers,
        case.answers_by_row(unnamed, X),
        case.tolerance,
        "a DataFrame and the array in it are answered differently",
    )
    for what, other in (
        ("columns in another order", frame[names[::-1]]),
        ("columns of other names", frame.rename(columns={"x0": "strange"})),
    ):
        for method in METHODS:
            if hasattr(estimator, method):
                refused(partial(getattr(estimator, method), other), what, ValueError, "feature names")
        if "validation_data" in case.capabilities:
            val = {"X_val": other} | ({} if case.y is None else {"y_val": case.y})
            refused(
                partial(case.fit, frame, case.y, **val), f"X_val with {what}", ValueError, "feature names"
            )


# -- by input: tables -----------------------------------------------------------------------------


def check_nested_lists(case: Case) -> None:
    """Rows may come as lists of numbers, at fit and at predict."""
    lists = np.asarray(case.X).tolist()
    expected = case.answers_by_row(case.fitted, case.X)
    with working("X may be nested lists"):
        answers = case.answers_by_row(case.fit(lists, case.y), lists)
    expect_same(expected, answers, max(case.tolerance, 1e-6), "X as nested lists is answered otherwise")


def check_precision_follows_input(case: Case) -> None:
    """Float64 in is float64 computed, float32 in is float32 computed."""
    for dtype in (np.float64, np.float32):
        estimator = case.fit(np.asarray(case.X).astype(dtype), case.y)
        expect(
            estimator.dtype_ == dtype,
            f"fitted to {np.dtype(dtype)}, the estimator computes in {estimator.dtype_}",
        )
    p64 = case.answers(case.fitted)
    for name in ("predict_proba", "decision_function", "transform", "score_samples"):
        if name in p64 and not sp.issparse(p64[name]):
            got = np.asarray(p64[name]).dtype
            expect(got == np.float64, f"{name} of a float64 fit is {got}")


def check_width_refused(case: Case) -> None:
    """Rows of another width are refused at predict."""
    X = np.ascontiguousarray(np.asarray(case.X)[:, :-1])
    for name in METHODS:
        if hasattr(case.fitted, name):
            refused(
                partial(getattr(case.fitted, name), X),
                f"{name} of narrower rows",
                ValueError,
                "features",
            )


# -- by input: images -----------------------------------------------------------------------------


def check_image_shapes(case: Case) -> None:
    """(n, 1, H, W), (n, H, W), lists, rows and declared (n, H, W, C) are the same pictures."""
    X = np.asarray(case.X)
    n, c, height, width = X.shape
    expected = case.answers_by_row(case.fitted, X)
    forms: list[tuple[str, Any, dict[str, Any]]] = [
        ("(n, H, W)", X[:, 0], {}),
        ("a list of pictures", list(X[:, 0]), {}),
        ("square rows", X.reshape(n, -1), {}),
    ]
    if "image_shape" in case.fields:
        forms += [
            ("declared rows", X.reshape(n, -1), {"image_shape": (height, width)}),
            (
                "(n, H, W, C), declared",
                X.transpose(0, 2, 3, 1),
                {"image_shape": (height, width, c)},
            ),
        ]
    for what, other, params in forms:
        with working(f"X may be {what}"):
            answers = case.answers_by_row(case.fit(other, case.y, on=case.make(**params)), other)
        for name in ("reconstruct", "inverse_transform"):
            answers.pop(name, None)
        expect_same(expected, answers, case.tolerance, f"X as {what} is answered otherwise")


def check_image_shape_refused(case: Case) -> None:
    """Undeclared channels last, rows that are no square, and other sizes at predict are refused."""
    X = np.asarray(case.X)
    last = np.repeat(X.transpose(0, 2, 3, 1), 3, axis=3)
    refused(
        lambda: case.fit(last, case.y),
        "(n, H, W, 3) that is not declared",
        ValueError,
        "image_shape",
    )
    if not case.input.flat:
        refused(
            lambda: case.fit(X.reshape(len(X), -1)[:, :-1], case.y),
            "rows that are no square picture",
            ValueError,
            "image_shape",
        )
    name = next(m for m in METHODS if hasattr(case.fitted, m))
    refused(lambda: getattr(case.fitted, name)(X[:, :, :-1]), f"{name} of smaller pictures", ValueError)


def check_image_bytes(case: Case) -> None:
    """uint8 pictures are accepted as they are, and learned."""
    X = (np.asarray(case.X) * 255).astype(np.uint8)
    with working("X may be uint8"):
        estimator = case.fit(X, case.y)
        answers = case.answers_by_row(estimator, X)
    for name, answer in answers.items():
        values = np.asarray(answer)
        if values.dtype.kind == "f":
            expect(np.isfinite(values).all(), f"{name} of uint8 pictures is not finite")
    if case.has_role("Classifier"):
        new = (np.asarray(case.X_new) * 255).astype(np.uint8)
        accuracy = (estimator.predict(new) == case.y_new).mean()
        expect(accuracy >= 0.7, f"accuracy on easy uint8 pictures is {accuracy:.2f}")


# -- by input: series -----------------------------------------------------------------------------


def _ragged(case: Case) -> tuple[list[np.ndarray], np.ndarray]:
    """Return the toy series cut to different lengths, and the same padded with nan."""
    X = np.asarray(case.X, dtype=float)
    T = X.shape[2]
    lengths = T - np.arange(len(X)) % (T // 2)
    padded = np.where(np.arange(T) < lengths[:, None, None], X, np.nan)
    return ragged(X, lengths), padded


def check_series_shapes(case: Case) -> None:
    """(n, time) is one channel; a list of series is the same as their array."""
    X = np.asarray(case.X)
    one = X[:, :1]
    expected = case.answers_by_row(case.fit(one, case.y), one)
    for what, other in (
        ("(n, time)", one[:, 0]),
        ("a list of (1, time)", list(one)),
        ("a list of (time,)", list(one[:, 0])),
    ):
        with working(f"X may be {what}"):
            answers = case.answers_by_row(case.fit(other, case.y), other)
        expect_same(expected, answers, case.tolerance, f"X as {what} is answered otherwise")


def _expect_same_beside_padding(a: Any, b: Any, tolerance: float, sentence: str) -> None:
    """Compare answers; those at every time point, as far as both go."""
    for name in a:
        one, two = a[name], b[name]
        if not isinstance(one, list) and np.ndim(one) > 1 and np.ndim(one) == np.ndim(two):
            one, two = np.asarray(one), np.asarray(two)
            common = tuple(slice(0, min(n, m)) for n, m in zip(one.shape, two.shape, strict=True))
            one, two = one[common], two[common]
        expect_same(one, two, tolerance, f"{name}: {sentence}")


def check_padding(case: Case) -> None:
    """Padding never changes an answer: neither the fit nor the series beside it see it."""
    series, padded = _ragged(case)
    with working("series may differ in length"):
        estimator = case.fit(series, case.y)
        answers = case.answers_by_row(estimator, series)
    longer = np.concatenate([padded, np.full((*padded.shape[:2], 7), np.nan)], axis=2)
    for what, X in (("trailing nan", padded), ("more trailing nan", longer)):
        with working(f"{what} is padding"):
            on_padded = case.answers_by_row(estimator, X)
        _expect_same_beside_padding(
            answers, on_padded, case.tolerance, f"{what} changes the answers about the same series"
        )
    for i in (1, len(series) // 2, len(series) - 1):
        _expect_same_beside_padding(
            {name: rows(answer, [i]) for name, answer in answers.items()},
            case.answers_by_row(estimator, [series[i]]),
            case.tolerance,
            "the answer for a series alone is not the answer for it beside longer ones",
        )
    with working("a fit to padded series works"):
        again = case.answers_by_row(case.fit(longer, case.y), series)
    _expect_same_beside_padding(
        answers, again, max(case.tolerance, 1e-5), "the fit depends on how series are padded"
    )


def check_series_refused(case: Case) -> None:
    """A series of length 0, nan inside, and other channels are refused."""
    series, _ = _ragged(case)
    empty = [s[:, :0] if i == 3 else s for i, s in enumerate(series)]
    refused(lambda: case.fit(empty, case.y), "a series of length 0", ValueError, "length 0")
    X = np.array(case.X, dtype=float)
    X[0, 0, 2] = np.nan
    refused(lambda: case.fit(X, case.y), "nan inside a series", ValueError, "nan")
    mixed = [s[:1] if i == 3 else s for i, s in enumerate(series)]
    refused(lambda: case.fit(mixed, case.y), "series of different channels", ValueError, "channels")
    name = next(m for m in METHODS if hasattr(case.fitted, m))
    refused(
        lambda: getattr(case.fitted, name)(np.asarray(case.X)[:, :1]),
        f"{name} of series with fewer channels",
        ValueError,
        "channels",
    )


# -- by input: text -------------------------------------------------------------------------------


def check_text_containers(case: Case) -> None:
    """A list, an object array, an array of str and a pandas Series are the same documents."""
    import pandas as pd

    expected = case.answers_by_row(case.fitted, case.X)
    for what, other in (
        ("an object array", np.array(case.X, dtype=object)),
        ("an array of str", np.array(case.X)),
        ("a pandas Series", pd.Series(case.X, index=np.arange(len(case.X))[::-1])),
        ("a tuple", tuple(case.X)),
    ):
        with working(f"documents may come in {what}"):
            fitted = case.fit(other, case.y) if what == "a pandas Series" else case.fitted
            answers = case.answers_by_row(fitted, other)
        expect_same(expected, answers, case.tolerance, f"documents in {what} are answered otherwise")


def check_text_columns(case: Case) -> None:
    """A table of one column is its documents; of two, it is refused."""
    import pandas as pd

    expected = case.answers_by_row(case.fitted, case.X)
    one = np.array(case.X, dtype=object)[:, None]
    for what, other in (("a DataFrame", pd.DataFrame(one, columns=["text"])), ("an array", one)):
        with working(f"documents may be the one column of {what}"):
            answers = case.answers_by_row(case.fit(other, case.y), other)
        expect_same(
            expected, answers, case.tolerance, f"documents as the one column of {what} are answered otherwise"
        )
    two = np.concatenate([one, one], axis=1)
    half = two[: len(two) // 2]  # as many cells as there are targets
    for what, wide in (
        ("a DataFrame of two columns", pd.DataFrame(two)),
        ("an array of two columns", half),
    ):
        refused(partial(case.fit, wide, case.y), what, ValueError, "column")


def check_text_unknown_words(case: Case) -> None:
    """Words, letters and signs that were never seen do not crash, nor does a very long document."""
    strange = [
        "zyzzyva qwrtp",
        "\u732b\u304c\u9cf4\u304f",
        "\U0001f600 \u00e9\u00e8\n\t\0",
        "the cat " * 500,
    ]
    with working("documents of unknown words are answered"):
        answers = case.answers_by_row(case.fitted, strange)
    _answered(answers, len(strange), "unknown words")


def check_text_empty_document(case: Case) -> None:
    """The empty document is a document, at fit and at predict."""
    with working('"" is answered'):
        _answered(case.answers_by_row(case.fitted, ["", " ", case.X[0]]), 3, "empty documents")
    X = ["", *list(case.X)[1:]]
    with working('"" may be among the training documents'):
        case.fit(X, case.y)


def _answered(answers: dict[str, Any], n: int, what: str) -> None:
    for name, answer in answers.items():
        expect(n_rows(answer) == n, f"{name} gives {n_rows(answer)} answers for {n} rows of {what}")
        values = answer if isinstance(answer, list) else np.asarray(answer)
        if isinstance(values, np.ndarray) and values.dtype.kind == "f":
            expect(not np.isnan(values).any(), f"{name} of {what} is nan")


def check_text_bare_string(case: Case) -> None:
    """One str is refused, and None, and documents that are no str; each with a sentence."""
    y = None if case.y is None else case.y[:3]
    for what, X in (
        ("a bare string", "the cat"),
        ("X=None", None),
        ("None among the documents", ["a", None, "b"]),
        ("a number among the documents", ["a", 3, "b"]),
        ("nan among the documents", ["a", float("nan"), "b"]),
        ("documents as bytes", [b"a", b"b", b"c"]),
    ):
        given = [X] if y is None else [X, y]
        refused(partial(case.make().fit, *given), f"{what} at fit", BAD_INPUT, "document")
        for name in METHODS:
            if hasattr(case.fitted, name):
                refused(
                    partial(getattr(case.fitted, name), X),
                    f"{what} at {name}",
                    BAD_INPUT,
                    "document",
                )


def check_language_model(case: Case) -> None:
    """bits_per_byte follows score_samples; generate repeats with a seed."""
    estimator, X = case.fitted, case.questions
    found = [n for n in ("bits_per_byte", "perplexity", "generate") if hasattr(estimator, n)]
    if not found:
        raise NotApplicable("no bits_per_byte, perplexity or generate")
    if "bits_per_byte" in found and hasattr(estimator, "score_samples"):
        n_bytes = sum(len(d.encode()) for d in X)
        bits = -float(np.sum(estimator.score_samples(X))) / (n_bytes * np.log(2))
        expect_same(estimator.bits_per_byte(X), bits, 1e-4, "bits_per_byte is not -log-likelihood / bytes")
    if "perplexity" in found:
        expect(float(np.mean(estimator.perplexity(X))) >= 1, "perplexity is below 1")
    if "generate" in found:
        draw = partial(estimator.generate, ["the cat"])
        expect_same(draw(random_state=0), draw(random_state=0), 0, "generate ignores its random_state")


# -- by input: pairs ------------------------------------------------------------------------------


def check_pairs_unseen_ids(case: Case) -> None:
    """Ids that were never seen fall back; they do not crash."""
    X = np.asarray(case.X)
    strange = X[:4].copy()
    strange[0, 0], strange[1, 1], strange[2] = 999_999, 999_998, 999_997
    words = np.array([["nobody", "nothing"]] * 2, dtype=object)
    for what, V in (("unseen numbers", strange), ("words where numbers were seen", words)):
        with working(f"ids never seen ({what}) are answered"):
            answers = case.answers_by_row(case.fitted, V)
        _answered(answers, len(V), what)


def check_pairs_renamed_ids(case: Case) -> None:
    """Ids are names: other names for the same users and items change no prediction."""
    X = np.asarray(case.X)
    rng = np.random.RandomState(0)
    names = [
        {v: f"{prefix}{i}" for v, i in zip(ids, rng.permutation(len(ids)), strict=True)}
        for prefix, ids in (("user ", np.unique(X[:, 0])), ("item ", np.unique(X[:, 1])))
    ]
    renamed = np.array([[names[0][a], names[1][b]] for a, b in X], dtype=object)
    expected = case.answers_by_row(case.fitted, X)
    with working("ids may be words"):
        answers = case.answers_by_row(case.fit(renamed, case.y), renamed)
    expect_same(expected, answers, case.tolerance, "renaming users and items changes predictions")


def check_pairs_containers(case: Case) -> None:
    """An array, a DataFrame and a list of tuples are the same pairs."""
    import pandas as pd

    X = np.asarray(case.X)
    expected = case.answers_by_row(case.fitted, X)
    for what, other in (
        ("a DataFrame", pd.DataFrame(X, columns=["user", "item"])),
        ("a list of tuples", [tuple(row) for row in X.tolist()]),
        ("an object array", X.astype(object)),
    ):
        with working(f"pairs may be {what}"):
            answers = case.answers_by_row(case.fit(other, case.y), other)
        expect_same(expected, answers, case.tolerance, f"pairs as {what} are answered otherwise")


def check_pairs_refused(case: Case) -> None:
    """Three columns and missing ids are refused."""
    X = np.asarray(case.X)
    refused(
        lambda: case.fit(np.column_stack([X, X[:, 0]]), case.y),
        "three ids a row",
        ValueError,
        "two ids",
    )
    holes = X.astype(object)
    holes[2, 1] = None
    refused(lambda: case.fit(holes, case.y), "a missing id", ValueError, "missing id")


# -- by input: several together -------------------------------------------------------------------


def _columns_of(case: Case) -> dict[str, list[Any]]:
    return dict(zip(case.native.parts, map(list, zip(*case.X, strict=True)), strict=True))


def check_joined_containers(case: Case) -> None:
    """Tuples, lists, a DataFrame of one column a part and a mapping are the same rows."""
    import pandas as pd

    expected = case.answers_by_row(case.fitted, case.X)
    parts = _columns_of(case)
    frame = pd.DataFrame({name: pd.Series(part, dtype=object) for name, part in parts.items()})
    for what, X in (
        ("lists", [list(row) for row in case.X]),
        ("a DataFrame", frame),
        ("a DataFrame whose columns stand in another order", frame[list(frame)[::-1]]),
        ("a mapping", parts),
    ):
        with working(f"rows may come in {what}"):
            answers = case.answers_by_row(case.fit(X, case.y), X)
        expect_same(expected, answers, case.tolerance, f"rows in {what} are answered otherwise")


def check_joined_refused(case: Case) -> None:
    """Parts of unequal length, a part alone at fit, and a part of another name are refused by name."""
    parts = _columns_of(case)
    for name in parts:
        shorter = parts | {name: parts[name][:-1]}
        refused(partial(case.fit, shorter, case.y), f"fewer rows of {name}", ValueError, name)
        alone = {name: parts[name]}
        refused(partial(case.fit, alone, case.y), f"{name} alone at fit", ValueError, "parts", name)
    strange = {f"other {name}": part for name, part in parts.items()}
    refused(partial(case.fit, strange, case.y), "parts of other names", ValueError, "other")
    refused(partial(case.fit, [row[:1] for row in case.X], case.y), "rows of one part", ValueError, "rows")


def check_each_of_either(case: Case) -> None:
    """Each of the two inputs works, and keeps the promises of its kind."""
    for half in (case.input.first, case.input.second):
        one = Case(case.prototype, half)
        with working(f"X may be {half.name}"):
            one.answers(one.fitted)
        for checker in BY_INPUT[half.name]:
            try:
                checker(one)
            except Nonconformity as error:
                raise Nonconformity(f"given {half.name}: {error}") from error


def check_neither_refused(case: Case) -> None:
    """What is neither of the two inputs is refused with both names."""
    refused(partial(case.make().fit, object()), "X that is neither", BAD_INPUT, case.input.first.name)


# -- the table ------------------------------------------------------------------------------------

BY_INPUT: dict[str, tuple[Checker, ...]] = {
    "table": (
        check_column_names,
        check_nested_lists,
        check_precision_follows_input,
        check_width_refused,
    ),
    "images": (check_column_names, check_image_shapes, check_image_shape_refused, check_image_bytes),
    "series": (check_column_names, check_series_shapes, check_padding, check_series_refused),
    "text": (
        check_text_containers,
        check_text_columns,
        check_text_unknown_words,
        check_text_empty_document,
        check_text_bare_string,
        check_language_model,
    ),
    "pairs": (
        check_column_names,
        check_pairs_unseen_ids,
        check_pairs_renamed_ids,
        check_pairs_containers,
        check_pairs_refused,
    ),
    "joined": (check_joined_containers, check_joined_refused),
    "env": ON_ENVIRONMENTS,
    "game": ON_GAMES,
    "logged": ON_LOGS,
    "either": (check_each_of_either, check_neither_refused),
    "held": (),
}
