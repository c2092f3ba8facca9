"""What is asked of a target: documents, sequences, numbers, nothing, labels that may be missing."""

import copy
from functools import partial
from typing import Any

import numpy as np

from zoo.conformance._case import (
    BAD_INPUT,
    Case,
    Checker,
    expect,
    expect_same,
    refused,
    rows,
    working,
)
from zoo.conformance._report import NotApplicable
from zoo.contract.inputs import n_rows, ragged
from zoo.contract.targets import Numbers


def _learned_from(case: Case, X: Any, y: Any) -> dict[str, Any]:
    """Fit, and return what ``_learn`` was given."""
    estimator = case.make()
    learn, given = estimator._learn, {}

    def listening(**data: Any) -> None:
        given.update(data)
        learn(**data)

    estimator._learn = listening
    case.fit(*copy.deepcopy((X, y)), on=estimator)
    return given | {"dtype": estimator.dtype_}


# -- by target: documents -------------------------------------------------------------------------


def check_documents_reach_learn(case: Case) -> None:
    """What a leaf learns from are the documents of y, in their order, not numbers for them."""
    if "y" not in case.subject.learns:
        raise NotApplicable("it learns from X alone")
    with working("y may be a list of documents, or an array of them"):
        y = _learned_from(case, case.X, case.y)["y"]
        again = _learned_from(case, case.X, np.array(case.y, dtype=object))["y"]
    for found in (y, again):
        expect(
            isinstance(found, list) and found == list(case.y),
            f"_learn is given {type(found).__name__} {found[:2]!r:.60}, not the documents of y",
        )


def check_documents_refused(case: Case) -> None:
    """Too few documents, too many, a bare string and what is no str are refused with a sentence."""
    y = list(case.y)
    for what, other in (
        ("a document too few", y[:-1]),
        ("a document too many", [*y, "more"]),
        ("a bare string", "the cat"),
        ("a bare string as long as X", "x" * len(y)),
        ("a number among the documents", [3, *y[1:]]),
        ("None among the documents", [None, *y[1:]]),
        ("documents as bytes", [document.encode() for document in y]),
        ("class numbers", np.zeros(len(y), dtype=int)),
    ):
        refused(partial(case.fit, case.X, other), f"a y of {what}", BAD_INPUT, "document")


# -- by target: sequences -------------------------------------------------------------------------


def _at_every_step(case: Case) -> tuple[Any, np.ndarray, np.ndarray]:
    """Return an estimator that learns a target a step, series (n, channels, time), targets (n, time)."""
    target = case.subject.target
    X = np.asarray(case.X)
    y = np.repeat(np.asarray(case.y)[:, None], X.shape[2], axis=1)
    y[:, : X.shape[2] // 2] = y[0, 0]
    return partial(case.make, **({target.when: True} if target.when else {})), X, y


def check_sequences_forms(case: Case) -> None:
    """An array (n, time), a list of arrays and nested lists are the same targets, answered step by step."""
    make, X, y = _at_every_step(case)
    with working("y may be an array (n, time)"):
        estimator = make().fit(X, y)
        expected = estimator.predict(X)
        score = estimator.score(X, y)
    shape = np.shape(expected)
    expect(shape == y.shape, f"predict has the shape {shape}, the targets {y.shape}")
    expect(score > 0.3, f"the score over the steps of easy training data is {score:.2f}")
    for what, other in (("a list of arrays", list(y)), ("nested lists", y.tolist())):
        with working(f"y may be {what}"):
            answers = make().fit(X, other).predict(X)
        expect_same(expected, answers, case.tolerance, f"y as {what} is learned otherwise")


def check_sequences_ragged(case: Case) -> None:
    """Series of unequal length have as many answers as steps, however they are padded."""
    make, X, y = _at_every_step(case)
    T = X.shape[2]
    lengths = T - np.arange(len(X)) % (T // 2)
    series, targets = ragged(X, lengths), [row[:t] for row, t in zip(y, lengths, strict=True)]
    with working("series and their targets may differ in length"):
        estimator = make().fit(series, targets)
        answers = estimator.predict(series)
        estimator.score(series, targets)
    found = [len(row) for row in answers]
    expect(found == lengths.tolist(), f"predict gives {found[:4]} steps for series of {lengths[:4].tolist()}")
    padded = np.where(np.arange(T + 3) < lengths[:, None, None], np.pad(X, ((0, 0), (0, 0), (0, 3))), np.nan)
    with working("the same series may be padded with nan"):
        again = make().fit(padded, targets).predict(series)
    expect_same(
        np.concatenate(answers), np.concatenate(again), max(case.tolerance, 1e-5),
        "the same series padded with nan are learned otherwise",
    )  # fmt: skip


def check_sequences_refused(case: Case) -> None:
    """A row that is not as long as its series is refused with its number; so are targets of the series."""
    make, X, y = _at_every_step(case)
    for what, other, *words in (
        ("row 3 of y one step short", [row[:-1] if i == 3 else row for i, row in enumerate(y)], "row 3"),
        ("row 3 of y one step long", [np.append(row, row[:1]) if i == 3 else row for i, row in enumerate(y)],
         "row 3"),
        ("an array y one step short", y[:, :-1], "row 0"),
        ("an empty row of y", [row[:0] if i == 3 else row for i, row in enumerate(y)], "row 3"),
        ("one target a series", y[:, 0], "row 0"),
        ("a row of y too few", y[:-1], "rows"),
    ):  # fmt: skip
        refused(partial(make().fit, X, other), what, ValueError, *words)


# -- by target: numbers ---------------------------------------------------------------------------


def check_numbers_precision(case: Case) -> None:
    """Numbers reach a leaf in the precision of X, be they single, double or whole."""
    if "y" not in case.subject.learns or not case.subject.needs_y:
        raise NotApplicable("it learns from X alone")
    for dtype in (np.float32, np.float64, np.int64):
        with working(f"y may be {np.dtype(dtype)}"):
            given = _learned_from(case, case.X, np.asarray(case.y).astype(dtype))
        y = np.asarray(given["y"])
        expect(
            y.dtype == given["dtype"],
            f"y of {np.dtype(dtype)} reaches _learn as {y.dtype}, X as {given['dtype']}",
        )


def check_numbers_shape(case: Case) -> None:
    """Rows of y of another shape are refused; predictions have the shape of y."""
    y = np.asarray(case.y)
    predicted = np.asarray(case.fitted.predict(case.X))
    expect(predicted.shape == y.shape, f"predict has the shape {predicted.shape}, y {y.shape}")
    more = np.repeat(y[..., None], 2, axis=-1)
    wrong = [("an axis too many", more if y.ndim > 1 else np.repeat(more[..., None], 2, axis=-1))]
    target = case.subject.target
    if isinstance(target, Numbers) and target.shape is not None:
        wrong.append(("an axis too few", y[..., 0]))
        fixed = [j for j, size in enumerate(target.shape) if size is not None]
        wrong += [("another size", np.repeat(y, 2, axis=j + 1)) for j in fixed]
    for what, other in wrong:
        refused(partial(case.fit, case.X, other), f"y with {what}", BAD_INPUT)


# -- by target: nothing, or labels that may be missing ----------------------------------------------


def check_y_ignored(case: Case) -> None:
    """Y, which pipelines and searches hand on, changes nothing."""
    with working("fit takes a y and ignores it"):
        known = case.make().fit(case.X, case.classes())
    expect_same(case.answers(known), case.answers(case.fitted), 0, "y changes the answers")


def check_labels_optional(case: Case) -> None:
    """Where labels may be missing, fits with and without them work, and leave no trace of each other."""
    if case.subject.target.required:
        raise NotApplicable("labels are required")
    labels = np.array(["left", "right"])[case.classes()]
    with working("fit works without y"):
        without = case.answers(case.make().fit(case.X))
    with working("fit works with y"):
        estimator = case.make().fit(case.X, labels)
        case.answers(estimator)
    learned = "y" in case.subject.learns
    if learned:
        expect(list(estimator.classes_) == ["left", "right"], "classes_ are not the labels of y")
        two = np.column_stack([labels, labels])
        for what, y in (("a y that is too short", labels[:-1]), ("a y of two columns", two)):
            refused(partial(case.make().fit, case.X, y), what, BAD_INPUT)
    else:
        expect_same(without, case.answers(estimator), 0, "y changes the answers, but is not learned from")
    with working("a fit without y may follow one with y"):
        again = case.answers(estimator.fit(case.X))
    expect_same(without, again, 0, "a fit without y remembers the labels of the fit before it")
    if learned:
        some = rows(case.X, np.arange(n_rows(case.X)))
        expect(not hasattr(estimator.fit(some), "classes_"), "a fit without y has classes_")


# -- the table ------------------------------------------------------------------------------------

BY_TARGET: dict[str, tuple[Checker, ...]] = {
    "documents": (check_documents_reach_learn, check_documents_refused),
    "sequences": (check_sequences_forms, check_sequences_ragged, check_sequences_refused),
    "numbers": (check_numbers_shape, check_numbers_precision),
    "nothing": (check_y_ignored,),
    "labels": (check_labels_optional,),
    "held": (),
}
