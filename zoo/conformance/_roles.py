"""What is asked of a role: classifiers, transformers, samplers, detectors, translators."""

from functools import partial

import numpy as np
import scipy.sparse as sp

from zoo.conformance._agents import check_agent_actions
from zoo.conformance._case import (
    BAD_INPUT,
    Case,
    Checker,
    difference,
    energy_distance,
    expect,
    expect_same,
    refused,
    rows,
    stack,
    working,
)
from zoo.conformance._everyone import check_learns_toy, check_targets_refused
from zoo.conformance._report import NotApplicable
from zoo.conformance._targets import check_documents_reach_learn, check_documents_refused, check_y_ignored
from zoo.conformance._wrappers import WRAPPERS
from zoo.contract.inputs import n_rows
from zoo.contract.params import ParameterError

# -- by role: classifiers -------------------------------------------------------------------------


def _three_classes(case: Case) -> np.ndarray:
    third = np.asarray(case.y).copy()
    third[::4] = 2
    return np.array(["b", "a", "c"])[third]


def check_string_labels(case: Case) -> None:
    """Labels may be words, and three of them; predict gives back the words."""
    y = _three_classes(case)
    with working("labels may be three words"):
        estimator = case.fit(case.X, y)
        predicted = estimator.predict(case.questions)
    expect(list(estimator.classes_) == ["a", "b", "c"], f"classes_ is {estimator.classes_}")
    expect(set(predicted) <= set("abc"), f"predict gives {sorted(set(predicted))[:4]}")
    if hasattr(estimator, "predict_proba"):
        shape = estimator.predict_proba(case.questions).shape
        expect(shape == (n_rows(case.questions), 3), f"predict_proba has the shape {shape}")


def check_one_class_refused(case: Case) -> None:
    """One class only is refused with the class's name, or predicted where the target has room for it."""
    y = np.full(len(case.y), "lonely")
    if getattr(getattr(case.cls, "target", None), "least", 2) == 1:
        with working("one class is predicted"):
            said = case.fit(case.X, y).predict(case.questions)
        expect(set(said) == {"lonely"}, f"predict gives {sorted(set(said))[:4]} where y has one class")
        return
    refused(lambda: case.fit(case.X, y), "a y of one class", ValueError, "class", "lonely")


def check_class_weight(case: Case) -> None:
    """class_weight shifts predictions towards the heavier class; "balanced" and dicts work."""
    X, y = stack(case.X, case.X), np.concatenate([case.y, 1 - np.asarray(case.y)])
    answers = [
        case.answers(case.make(class_weight=weight).fit(X, y))["predict"].mean()
        for weight in ({0: 1.0, 1: 20.0}, {0: 20.0, 1: 1.0})
    ]
    expect(
        answers[0] > answers[1],
        f"on undecidable data class 1 is predicted as often with 20 times its weight "
        f"({answers[0]:.2f}) as with a twentieth ({answers[1]:.2f})",
    )
    with working("class_weight='balanced' works"):
        case.make(class_weight="balanced").fit(case.X, case.y)
    refused(
        lambda: case.make(class_weight="heavy").fit(case.X, case.y),
        "class_weight='heavy'",
        ParameterError,
        "class_weight",
    )


# -- by role: transformers ------------------------------------------------------------------------


def check_transform_shape(case: Case) -> None:
    """Transform gives one finite row for each row, and names its columns."""
    z = case.fitted.transform(case.questions)
    expect(n_rows(z) == n_rows(case.questions), "transform changes the number of rows")
    values = z.data if sp.issparse(z) else np.asarray(z)
    expect(np.isfinite(values).all(), "transform gives values that are not finite")
    if values.ndim == 2 and not sp.issparse(z) and hasattr(case.fitted, "get_feature_names_out"):
        names = case.fitted.get_feature_names_out()
        expect(len(names) == values.shape[1], "get_feature_names_out does not name the columns")


def check_set_output(case: Case) -> None:
    """set_output(transform="pandas") gives a DataFrame with these names."""
    if case.fitted.transform(case.questions).ndim != 2:
        raise NotApplicable("transform gives no table")
    if not hasattr(case.fitted, "set_output"):
        raise NotApplicable("a stranger without set_output")
    estimator = case.fit(on=case.make().set_output(transform="pandas"))
    with working("set_output(transform='pandas') works"):
        z = estimator.transform(case.questions)
    expect(hasattr(z, "columns"), f"set_output is ignored: transform gives {type(z).__name__}")
    expect(
        list(z.columns) == list(estimator.get_feature_names_out()),
        "the columns of the DataFrame are not get_feature_names_out",
    )


# -- by role: samplers ----------------------------------------------------------------------------


def check_sample_shape(case: Case) -> None:
    """sample(n) gives n rows of the shape that was fitted; odd n are refused."""
    S = case.fitted.sample(6, random_state=0)
    expect(n_rows(S) == 6, f"sample(6) gives {n_rows(S)} rows")
    if case.input.name == "text":
        expect(all(isinstance(s, str) for s in S), "sample gives documents that are no str")
    elif not isinstance(case.X, list):
        expect(
            np.shape(S)[1:] == np.shape(case.X)[1:],
            f"rows of sample have the shape {np.shape(S)[1:]}, rows of X {np.shape(case.X)[1:]}",
        )
    expect(n_rows(case.fitted.sample()) == 1, "sample() gives more than one row")
    for bad in (0, -1, 2.5, "three"):
        refused(partial(case.fitted.sample, bad), f"n_samples={bad!r}", BAD_INPUT)


def check_sample_finite(case: Case) -> None:
    """Samples are finite numbers, or documents that are str."""
    S = case.fitted.sample(50, random_state=0)
    if case.input.name == "text":
        expect(all(isinstance(s, str) for s in S), "sample gives documents that are no str")
    else:
        expect(np.isfinite(np.asarray(S)).all(), "sample gives values that are not finite")


def check_sample_seed(case: Case) -> None:
    """An int repeats the sample, another int changes it, None draws fresh numbers."""
    draw = partial(case.fitted.sample, 8)
    expect_same(draw(random_state=3), draw(random_state=3), 0, "sample ignores its random_state")
    expect(
        difference(draw(random_state=3), draw(random_state=4), 0),
        "sample gives the same rows for random_state=3 and 4",
    )
    expect(difference(draw(), draw(), 0), "sample() draws the same rows again and again")
    with working("random_state may be a RandomState"):
        one = draw(random_state=np.random.RandomState(0))
        two = draw(random_state=np.random.RandomState(0))
    expect_same(one, two, 0, "sample does not follow a RandomState")


def check_sample_rows_independent_of_n(case: Case) -> None:
    """Row i of a sample is the same, however many rows are drawn."""
    few = case.fitted.sample(10, random_state=0)
    many = case.fitted.sample(100, random_state=0)
    expect_same(
        few,
        rows(many, np.arange(10)),
        case.tolerance,
        "the first 10 of 100 rows are not the 10 rows that are drawn alone",
    )


def check_sample_better_than_noise(case: Case) -> None:
    """Samples lie nearer to new data than noise of the same mean and spread does."""
    if case.input.name == "text":
        _words_better_than_noise(case)
        return
    X = np.asarray(case.data(5, 200)[0], dtype=float)
    X = X.reshape(len(X), -1)
    S = np.asarray(case.fitted.sample(200, random_state=0), dtype=float)
    S = S.reshape(len(S), -1)
    noise = np.random.RandomState(0).normal(X.mean(), X.std(), size=X.shape)
    ours, theirs = energy_distance(S, X), energy_distance(noise, X)
    expect(ours < theirs, f"samples lie as far from data ({ours:.3g}) as noise ({theirs:.3g})")


def _words_better_than_noise(case: Case) -> None:
    """Letters of samples are those of the training text."""
    known = set("".join(case.X))
    letters = "".join(case.fitted.sample(20, random_state=0))
    expect(letters, "all of 20 sampled documents are empty")
    share = np.mean([c in known for c in letters])
    expect(share > 0.9, f"only {share:.0%} of the sampled letters occur in the training text")


def check_sample_given_y(case: Case) -> None:
    """Fitted with y, sample draws the class that is asked for; without y it refuses one."""
    refused(lambda: case.fitted.sample(2, y=0), "sample(y=0) of a fit without y", ValueError, "y")
    refused(lambda: case.fitted.sample(2, return_y=True), "return_y of a fit without y", ValueError, "y")
    if "y" not in case.subject.learns:
        return
    labels = np.array(["left", "right"])[case.classes()]
    with working("fit(X, y) of a sampler that takes y"):
        estimator = case.fit(case.X, labels)
        S, drawn = estimator.sample(12, random_state=0, return_y=True)
        asked = estimator.sample(12, y="left", random_state=0)
    expect(n_rows(S) == 12 and set(drawn) <= {"left", "right"}, f"return_y gives {drawn[:3]}")
    expect(n_rows(asked) == 12, "sample(12, y='left') does not give 12 rows")
    refused(lambda: estimator.sample(2, y="middle"), "an unknown label", ValueError, "middle")
    if hasattr(estimator, "predict_proba"):
        p = np.asarray(estimator.predict_proba(case.X), dtype=float)
        expect(p.shape == (len(labels), 2), f"predict_proba has the shape {p.shape}")
        expect(np.abs(p.sum(axis=1) - 1).max() < 1e-5, "probabilities do not sum to one")
        accuracy = (estimator.classes_[p.argmax(axis=1)] == labels).mean()
        expect(accuracy > 0.5, f"Bayes' rule finds the class of {accuracy:.0%} of the rows only")


def check_inverse_methods(case: Case) -> None:
    """Reconstruct, inverse_transform and impute, where there are any, give back rows like X."""
    X, estimator = case.questions, case.fitted
    found = [n for n in ("reconstruct", "inverse_transform", "impute") if hasattr(estimator, n)]
    if not found:
        raise NotApplicable("no reconstruct, inverse_transform or impute")
    if "reconstruct" in found:
        expect(np.shape(estimator.reconstruct(X)) == np.shape(X), "reconstruct changes the shape")
    if "inverse_transform" in found:
        back = estimator.inverse_transform(estimator.transform(X))
        expect(np.shape(back) == np.shape(X), "inverse_transform does not give rows like X")
    if "impute" in found:
        holes = np.array(X, dtype=float)
        holes.reshape(len(holes), -1)[::2, 0] = np.nan
        filled = np.asarray(estimator.impute(holes))
        expect(filled.shape == holes.shape, "impute changes the shape")
        expect(np.isfinite(filled).all(), "impute leaves values that are not finite")
        seen = np.isfinite(holes)
        expect_same(filled[seen], holes[seen], 1e-6, "impute changes values that were observed")


# -- by role: detectors ---------------------------------------------------------------------------


def check_outliers_are_signs(case: Case) -> None:
    """Predict is the sign of decision_function, which is score_samples less offset_."""
    detector, X = case.fitted, case.questions
    found, s = detector.predict(X), detector.decision_function(X)
    expect(found.dtype.kind == "i", f"predict gives {found.dtype}, not the integers 1 and -1")
    expect((found == np.where(s < 0, -1, 1)).all(), "predict is not the sign of decision_function")
    if hasattr(detector, "offset_") and hasattr(detector, "score_samples"):
        expect_same(
            s + detector.offset_,
            detector.score_samples(X),
            case.tolerance,
            "decision_function is not score_samples less offset_",
        )
    if hasattr(detector, "fit_predict"):
        expect_same(
            case.make().fit_predict(case.X),
            detector.predict(case.X),
            0,
            "fit_predict is not fit, then predict",
        )


def check_stranger_is_found(case: Case) -> None:
    """A row far from all others is an outlier, and most of the others are none."""
    if case.input.name != "table":
        raise NotApplicable("only a table has directions to go far in")
    found = case.fitted.predict(case.X)
    expect((found == 1).mean() >= 0.4, f"only {(found == 1).mean():.0%} of the data are taken to belong")
    far = np.abs(case.X).max(axis=0) * 100 + 100
    expect(case.fitted.predict(far[None])[0] == -1, "a row a hundred times as far out as any is none")


# -- by role: translators -------------------------------------------------------------------------


def check_translation(case: Case) -> None:
    """Predict gives one str for each document."""
    texts = case.fitted.predict(case.questions)
    expect(
        isinstance(texts, list) and all(isinstance(t, str) for t in texts),
        "predict gives no list of str",
    )
    expect(len(texts) == len(case.questions), "predict does not give one text a document")


# -- the table ------------------------------------------------------------------------------------

BY_ROLE: dict[str, tuple[Checker, ...]] = {
    "Classifier": (
        check_targets_refused,
        check_learns_toy,
        check_string_labels,
        check_one_class_refused,
        check_class_weight,
    ),
    "Regressor": (check_targets_refused, check_learns_toy),
    "Transformer": (check_transform_shape, check_set_output),
    "Sampler": (
        check_sample_shape,
        check_sample_finite,
        check_sample_seed,
        check_sample_rows_independent_of_n,
        check_sample_better_than_noise,
        check_sample_given_y,
        check_inverse_methods,
    ),
    "Detector": (check_outliers_are_signs, check_stranger_is_found, check_y_ignored),
    "TextToText": (
        check_targets_refused,
        check_documents_reach_learn,
        check_documents_refused,
        check_translation,
    ),
    "Agent": (check_agent_actions,),
    "Wrapper": WRAPPERS,
}
