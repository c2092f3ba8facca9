"""What is asked of a capability, both ways: claimed, it works; working, it is claimed."""

import inspect
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import scipy.sparse as sp

from zoo.conformance._case import (
    BAD_INPUT,
    METHODS,
    Case,
    Checker,
    difference,
    energy_distance,
    expect,
    expect_same,
    fingerprint,
    learn_on,
    refused,
    rows,
    stack,
    working,
)
from zoo.conformance._report import NotApplicable
from zoo.contract.inputs import n_rows


def _takes(case: Case, argument: str) -> bool:
    return argument in inspect.signature(case.cls.fit).parameters


def _contradicting(case: Case) -> tuple[Any, Any, np.ndarray]:
    """Return data whose halves contradict each other, and which rows are the first half."""
    n = n_rows(case.X)
    if case.y is None:
        return case.X, None, case.classes() == 0
    y = np.asarray(case.y)
    return stack(case.X, case.X), np.concatenate([y, 1 - y]), np.arange(2 * n) < n


def check_sample_weight(case: Case) -> None:
    """Weights decide which of two contradicting halves is believed."""
    X, y, first = _contradicting(case)
    with working("fit takes sample_weight"):
        one = case.answers(case.fit(X, y, sample_weight=np.where(first, 1.0, 0.01)))
        two = case.answers(case.fit(X, y, sample_weight=np.where(first, 0.01, 1.0)))
    found = difference(one, two, 1e-6)
    expect(found, "sample_weight has no effect: the answers are the same whatever it says")


def check_weights_refused(case: Case) -> None:
    """Weights that are negative, all zero or too few are refused."""
    n = n_rows(case.X)
    for what, w in (
        ("a negative weight", -np.ones(n)),
        ("weights all zero", np.zeros(n)),
        ("too few weights", np.ones(n - 1)),
    ):
        refused(partial(case.fit, sample_weight=w), what, ValueError)


def check_weights_count_as_repetition(case: Case) -> None:
    """A row of weight 2 counts as two rows, a row of weight 0 as none."""
    n = 24  # few enough for one batch
    X, y = case.data(0, n)
    w = np.arange(n) % 3
    index = np.repeat(np.arange(n), w)
    with working("fits to weighted and to repeated rows answer"):
        weighted = case.fit(X, y, sample_weight=w.astype(float))
        repeated = case.fit(rows(X, index), None if y is None else y[index])
        a = case.answers_by_row(weighted, case.questions)
        b = case.answers_by_row(repeated, case.questions)
    tolerance = 1e-5 if case.tolerance < 1e-5 else 1e-2
    expect_same(a, b, tolerance, "weights 0, 1 and 2 are not rows left out, once and twice")


def check_sample_weight_unclaimed(case: Case) -> None:
    """A fit that takes weights says so on its card."""
    if case.has_role("Wrapper"):
        w = np.ones(n_rows(case.X))
        refused(lambda: case.fit(sample_weight=w), "weights that nobody takes", ValueError, "sample_weight")
        return
    expect(not _takes(case, "sample_weight"), "fit takes sample_weight, but the card does not say so")


def _some_columns(case: Case) -> np.ndarray:
    X = np.array(case.X, dtype=float)
    X[np.abs(X) < 0.5] = 0
    return X


def check_sparse(case: Case) -> None:
    """Sparse X, CSR or another format, gives the answers of dense X."""
    X = _some_columns(case)
    dense = case.answers_by_row(case.fit(X, case.y), X)
    for form in (sp.csr_array, sp.csr_matrix, sp.csc_array, sp.coo_array):
        with working(f"X may be a {form.__name__}"):
            S = form(X)
            answers = case.answers_by_row(case.fit(S, case.y), S)
        expect_same(dense, answers, max(case.tolerance, 1e-6), f"{form.__name__} and dense X disagree")


def check_sparse_unclaimed(case: Case) -> None:
    """Sparse X is refused, or the card says that it works."""
    refused(
        lambda: case.fit(sp.csr_array(_some_columns(case)), case.y),
        "sparse X, which the card does not claim,",
        BAD_INPUT,
        "sparse",
    )


def _with_holes(case: Case) -> np.ndarray:
    X = np.array(case.X, dtype=float)
    X.reshape(len(X), -1)[1::3, 1] = np.nan
    return X


def check_missing_values(case: Case) -> None:
    """Nan is accepted as a missing value, at fit and at predict, and leads to finite answers."""
    X = _with_holes(case)
    with working("the card claims missing_values: fit and predict take nan"):
        estimator = case.fit(X, case.y)
        answers = case.answers_by_row(estimator, X)
    # A transformer of others may hand nan on.
    handed_on = ("predict_log_proba", *(["transform"] if case.subject.stranger else []))
    for name, answer in answers.items():
        values = np.asarray(answer)
        if values.dtype.kind == "f" and name not in handed_on:
            expect(np.isfinite(values).all(), f"{name} of rows with nan is not finite")
    with working("a column may be nan at predict that had no nan at fit"):
        case.answers_by_row(case.fitted, np.where(np.isnan(X), np.nan, X))


def check_missing_values_unclaimed(case: Case) -> None:
    """Nan and infinity are refused at fit and at predict, or the card claims missing values."""
    X = _with_holes(case)
    refused(lambda: case.fit(X, case.y), "nan in X, which the card does not claim,", BAD_INPUT, "nan")
    infinite = np.where(np.isnan(X), np.inf, X)
    refused(lambda: case.fit(infinite, case.y), "infinity in X", BAD_INPUT, "infinity")
    for name in METHODS:
        if hasattr(case.fitted, name):
            refused(partial(getattr(case.fitted, name), X), f"nan in X of {name}", BAD_INPUT, "nan")


def _frame_with_words(case: Case, order: tuple[str, ...] = ("low", "high", "odd")) -> Any:
    import pandas as pd

    X = np.asarray(case.X)
    frame = pd.DataFrame(X, columns=[f"x{j}" for j in range(X.shape[1])])
    words = np.where(X[:, 0] > np.median(X[:, 0]), "high", "low")
    frame["word"] = words
    frame["kind"] = pd.Categorical(words, categories=list(order))
    return frame


def check_categories(case: Case) -> None:
    """Columns of words and pandas categories are used; unseen and missing ones do no harm."""
    frame = _frame_with_words(case)[["word", "kind", "x1"]]
    with working("the card claims categories: a DataFrame with words is accepted"):
        estimator = case.fit(frame, case.y)
        answers = case.answers_by_row(estimator, frame)
    if case.has_role("Classifier"):
        accuracy = (answers["predict"] == case.y).mean()
        expect(accuracy > 0.8, f"words that tell the class are not used: accuracy {accuracy:.2f}")
    strange = frame.copy()
    strange["word"] = "never seen"
    strange.loc[0, "word"] = None
    with working("an unseen or missing category must not crash predict"):
        case.answers_by_row(estimator, strange)
    other = _frame_with_words(case, ("odd", "high", "low"))[["word", "kind", "x1"]]
    expect_same(
        answers,
        case.answers_by_row(estimator, other),
        0,
        "the same categories in another order of pandas' categories are answered otherwise",
    )


def check_categories_unclaimed(case: Case) -> None:
    """Columns of words are refused, or the card claims categories."""
    refused(
        lambda: case.fit(_frame_with_words(case), case.y),
        "a column of words, which the card does not claim,",
        BAD_INPUT,
    )


def check_multi_output(case: Case) -> None:
    """Y of two columns is learned column by column, however it lies in memory."""
    import pandas as pd

    Y = np.column_stack([case.y, 1 - 2 * np.asarray(case.y)])
    with working("the card claims multi_output: y may have two columns"):
        predicted = case.fit(case.X, Y).predict(case.X)
    expect(predicted.shape == Y.shape, f"predict has the shape {predicted.shape}, y {Y.shape}")
    with np.errstate(invalid="ignore"):  # constant predictions have no correlation
        r = np.nan_to_num([np.corrcoef(predicted[:, j], Y[:, j])[0, 1] for j in (0, 1)])
    expect(min(r) > 0.3, f"predictions do not follow their column of y (correlations {r.round(2)})")
    for how, other in (("columns first in memory", np.asfortranarray(Y)), ("a DataFrame", pd.DataFrame(Y))):
        again = case.fit(case.X, other).predict(case.X)
        expect_same(predicted, again, max(case.tolerance, 1e-6), f"y that is {how} is learned otherwise")
    if case.has_role("Classifier"):
        _expect_columns_of_classes(case, Y)


def _expect_columns_of_classes(case: Case, Y: np.ndarray) -> None:
    """Expect lists, one entry a column of y, wherever scikit-learn has them."""
    fitted = case.fit(case.X, Y)
    expect(isinstance(fitted.classes_, list), "classes_ is no list although y has several columns")
    for k, column in zip(fitted.classes_, Y.T, strict=True):
        expect_same(k, np.unique(column), 0, "classes_ are not the labels of their column")
    predicted = fitted.predict(case.X)
    right = float((predicted == Y).all(axis=1).mean())
    expect(fitted.score(case.X, Y) == right, "score is not the share of rows whose labels are all right")
    if hasattr(fitted, "predict_proba"):
        p = fitted.predict_proba(case.X)
        expect(isinstance(p, list) and len(p) == 2, "predict_proba gives no list of one array a column")
        for j, own in enumerate(p):
            expect(np.allclose(own.sum(axis=1), 1), f"probabilities of column {j} do not add to 1")
            chosen = fitted.classes_[j][own.argmax(axis=1)]
            expect_same(chosen, predicted[:, j], 0, "predict is not the likeliest class of each column")


def check_multi_output_unclaimed(case: Case) -> None:
    """Y of two columns is refused, or the card claims multi_output."""
    if getattr(case.subject.target, "shape", None) is not None:
        raise NotApplicable("rows of y have a shape of their own")
    Y = np.column_stack([case.y, 1 - np.asarray(case.y)])
    refused(lambda: case.fit(case.X, Y), "y of two columns, which the card does not claim,", BAD_INPUT)


def _halves(case: Case) -> list[tuple[Any, Any]]:
    n = n_rows(case.X)
    return [
        (rows(case.X, index), None if case.y is None else case.y[index])
        for index in (np.arange(0, n // 2), np.arange(n // 2, n))
    ]


def check_partial_fit(case: Case) -> None:
    """partial_fit goes on from what was learned; it does not begin again."""
    A, B = _halves(case)
    with working("the card claims partial_fit: it works without a fit before it"):
        both = learn_on(case, learn_on(case, case.make(), *A), *B)
        last = learn_on(case, case.make(), *B)
        case.answers(both)
    expect(
        difference(case.answers(both), case.answers(last), 1e-12),
        "partial_fit begins again: after A and B it knows only B",
    )
    with working("partial_fit goes on after fit"):
        on = learn_on(case, case.fit(), *B)
    expect(case.is_fitted(on), "after partial_fit the estimator is not fitted")
    if case.has_role("Classifier"):
        one = np.asarray(case.y) == 0
        with working("partial_fit takes a batch of one class when classes are named"):
            some = learn_on(case, case.make(), rows(case.X, np.flatnonzero(one)), case.y[one])
        expect(len(some.classes_) == 2, "partial_fit forgets the classes that were named")
        refused(
            lambda: learn_on(case, both, case.X, np.full(len(case.y), 7)),
            "a label that partial_fit was not told of",
            ValueError,
            *(() if case.subject.stranger else ("7",)),
        )


def check_partial_fit_is_one_pass(case: Case) -> None:
    """partial_fit takes one step of the outermost loop."""
    if "callbacks" not in case.capabilities:
        raise NotApplicable("without steps there is nothing to count")
    recorder = Recorder()
    estimator = case.make().set_callbacks(recorder)
    learn_on(case, estimator, case.X, case.y)
    n = len(recorder.top_steps)
    expect(n == 1, f"partial_fit takes {n} steps; one pass is one step")


def check_partial_fit_unclaimed(case: Case) -> None:
    """An estimator with partial_fit says so on its card."""
    expect(
        not hasattr(case.make(), "partial_fit"),
        "there is a partial_fit that the card does not claim",
    )


class Recorder:
    """A callback that writes down what it sees, and may ask to stop after a step."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.stop_after = stop_after
        self.began: list[str] = []
        self.ended: list[str] = []
        self.top_steps: list[str] = []
        self.torn_down = 0

    def setup(self, estimator: Any, context: Any) -> None:
        """Begin a fit."""

    def teardown(self, estimator: Any, context: Any) -> None:
        """End a fit."""
        self.torn_down += 1

    def on_fit_task_begin(self, estimator: Any, context: Any) -> None:
        """Note a task that begins."""
        self.began.append(context.task_name)

    def on_fit_task_end(self, estimator: Any, context: Any) -> bool:
        """Note a task that ends; say whether to stop."""
        self.ended.append(context.task_name)
        if context.parent is None or context.parent.parent is not None:
            return False
        self.top_steps.append(context.task_name)
        return self.stop_after is not None and len(self.top_steps) >= self.stop_after


def check_callbacks(case: Case) -> None:
    """A callback sees every step begin and end, and can stop the fit; the fit is then usable."""
    recorder = Recorder()
    with working("fit works with a callback"):
        estimator = case.fit(on=case.make().set_callbacks(recorder))
    expect(recorder.top_steps, "the card claims callbacks, but no step reaches a callback")
    expect(
        sorted(recorder.began) == sorted(recorder.ended),
        f"{len(recorder.began)} tasks begin and {len(recorder.ended)} end",
    )
    expect(recorder.torn_down == 1, "the callback is not torn down once")
    expect_same(case.answers(case.fitted), case.answers(estimator), 0, "a callback changes the result")
    stopper = Recorder(stop_after=1)
    with working("a fit that a callback stops ends well"):
        stopped = case.fit(on=case.make().set_callbacks(stopper))
        case.answers(stopped)
    expect(
        len(stopper.top_steps) == 1,
        f"a callback asks to stop after step 1, but {len(stopper.top_steps)} steps are taken",
    )


def check_callbacks_unclaimed(case: Case) -> None:
    """Steps that reach callbacks are claimed on the card."""
    recorder = Recorder()
    case.fit(on=case.make().set_callbacks(recorder))
    expect(not recorder.top_steps, "callbacks see steps, but the card does not claim it")


def check_validation_data(case: Case) -> None:
    """X_val and y_val are checked like training data, and watched."""
    X, y = case.data(4)
    given = {"X_val": X} | ({} if y is None else {"y_val": y})
    with working("the card claims validation_data: fit takes X_val and y_val"):
        watched = case.fit(**given)
    plain = {name: fingerprint(value) for name, value in vars(case.fitted).items()}
    seen = {name: fingerprint(value) for name, value in vars(watched).items()}
    objects = [n for n in seen if isinstance(seen[n], int) and n not in ("n_features_in_",)]
    differ = [n for n in seen.keys() | plain.keys() if seen.get(n) != plain.get(n)]
    expect(
        [n for n in differ if n not in objects],
        "validation data leave no trace: neither history_ nor the result differs",
    )
    if y is not None:
        refused(lambda: case.fit(X_val=X), "X_val without y_val", ValueError, "y_val")
        refused(lambda: case.fit(y_val=y), "y_val without X_val", ValueError, "X_val")
    if case.input.name == "table":
        refused(lambda: case.fit(**(given | {"X_val": X[:, :-1]})), "X_val of another width", ValueError)


def check_validation_data_unclaimed(case: Case) -> None:
    """A fit that takes validation data says so on its card."""
    expect(not _takes(case, "X_val"), "fit takes X_val, but the card does not say so")


def check_probabilities(case: Case) -> None:
    """Probabilities lie in [0, 1], sum to one, and agree with predict, logarithms and classes_."""
    estimator, X = case.fitted, case.questions
    with working("the card claims probabilities: predict_proba works"):
        p = np.asarray(estimator.predict_proba(X), dtype=float)
        log_p = None
        if hasattr(estimator, "predict_log_proba"):
            log_p = np.asarray(estimator.predict_log_proba(X), dtype=float)
    expect(p.shape == (n_rows(X), len(estimator.classes_)), f"predict_proba has shape {p.shape}")
    expect((p >= 0).all() and (p <= 1).all(), "probabilities lie outside [0, 1]")
    expect(np.abs(p.sum(axis=1) - 1).max() < 1e-5, "probabilities do not sum to one")
    if log_p is not None:
        expect_same(np.exp(log_p), p, 1e-5, "predict_log_proba is not the logarithm of predict_proba")
    clear = np.sort(p, axis=1)[:, -1] - np.sort(p, axis=1)[:, -2] > 1e-6
    likely = estimator.classes_[p.argmax(axis=1)]
    expect(
        (likely[clear] == estimator.predict(X)[clear]).all(),
        "predict is not the class with the largest probability",
    )


def check_probabilities_unclaimed(case: Case) -> None:
    """An estimator with predict_proba says so on its card."""
    expect(
        not hasattr(case.fitted, "predict_proba"),
        "there is a predict_proba that the card does not claim",
    )


def check_likelihood(case: Case) -> None:
    """score_samples is finite, higher for data than for noise; score and bits_per_dim follow."""
    estimator, X = case.fitted, case.questions
    with working("the card claims likelihood: score_samples works"):
        s = np.asarray(estimator.score_samples(X), dtype=float)
    expect(
        (kind := getattr(estimator, "likelihood_", None)) in ("exact", "elbo", "iwae"),
        f"likelihood_ is {kind!r}; say 'exact', 'elbo' or 'iwae'",
    )
    expect(s.shape == (n_rows(X),), f"score_samples has the shape {s.shape}")
    expect(np.isfinite(s).all(), "score_samples is not finite")
    expect_same(estimator.score(X), s.mean(), 1e-6, "score is not the mean of score_samples")
    if case.input.name in ("table", "images", "series"):
        bits = -s.mean() / (np.prod(np.shape(X)[1:]) * np.log(2))
        expect_same(estimator.bits_per_dim(X), bits, 1e-6, "bits_per_dim is not -score / (d ln 2)")
        spread = np.random.RandomState(0).normal(np.mean(X), 3 * np.std(X), size=np.shape(X))
        noise = estimator.score_samples(spread)
        expect(s.mean() > np.mean(noise), "noise is at least as likely as data")
    elif case.input.name == "text":
        backwards = [document[::-1] for document in X]
        noise = estimator.score_samples(backwards)
        expect(s.mean() > np.mean(noise), "text backwards is at least as likely as text")


def check_exact_likelihood_normalised(case: Case) -> None:
    """The density that is claimed exact integrates to one."""
    if getattr(case.fitted, "likelihood_", None) != "exact":
        raise NotApplicable("likelihood_ is not 'exact'")
    if not case.input.two_d_array:
        raise NotApplicable("there is no grid of texts to sum over")
    rng = np.random.RandomState(0)
    X = rng.multivariate_normal([0.5, 0.5], [[0.04, 0.02], [0.02, 0.05]], size=200)
    flattened = case.input.flattened_params(case.fields)
    estimator = case.make(**flattened).fit(X)
    axis = np.linspace(-3, 4, 301)
    grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    mass = float(np.exp(estimator.score_samples(grid)).sum() * (axis[1] - axis[0]) ** 2)
    expect(abs(mass - 1) < 0.03, f"the density integrates to {mass:.4g}, not to 1")


def check_samples_follow_density(case: Case) -> None:
    """Samples are distributed as the density that is claimed exact says."""
    if getattr(case.fitted, "likelihood_", None) != "exact" or not case.has_role("Sampler"):
        raise NotApplicable("no sampler whose likelihood_ is 'exact'")
    if not case.input.two_d_array:
        raise NotApplicable("there is no grid of texts to draw from")
    rng = np.random.RandomState(0)
    # Far from the unit circle, so that a factor left out or a variance for a deviation shows.
    X = rng.multivariate_normal([0.5, 0.5], [[0.04, 0.05], [0.05, 0.1]], size=200)
    estimator = case.make(**case.input.flattened_params(case.fields)).fit(X)
    axis = np.linspace(-3, 4, 141)
    grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    p = np.exp(np.asarray(estimator.score_samples(grid), dtype=float))
    n = 1500
    drawn = grid[rng.choice(len(grid), size=n, p=p / p.sum())]
    drawn = drawn + rng.uniform(-0.5, 0.5, size=drawn.shape) * (axis[1] - axis[0])
    apart = energy_distance(np.asarray(estimator.sample(n, random_state=0), dtype=float), drawn)
    usual = energy_distance(drawn[::2], drawn[1::2])  # of two samples of one distribution
    expect(
        apart < max(5 * usual, 0.01),
        f"samples do not follow the density that is claimed exact: they lie {apart:.3g} from it",
    )


def check_likelihood_unclaimed(case: Case) -> None:
    """An estimator with score_samples says so on its card."""
    if case.has_role("Detector"):
        raise NotApplicable("the scores of a detector are no likelihood")
    expect(
        not hasattr(case.fitted, "score_samples"),
        "there is a score_samples that the card does not claim",
    )


def check_gpu(case: Case) -> None:
    """The card claims gpu: there is a device, and one that is absent is refused by name."""
    expect("device" in case.fields, "the card claims gpu, but there is no parameter device")
    import torch

    if torch.cuda.is_available():
        with working("device='cuda' works where there is one"):
            case.answers(case.fit(on=case.make(device="cuda")))
        return
    refused(
        lambda: case.fit(on=case.make(device="cuda")),
        "device='cuda' on a machine without CUDA",
        (ValueError, RuntimeError),
        "cuda",
        "cpu",
    )


def check_early_stopping(case: Case) -> None:
    """Early stopping can be switched on, and the fit then works."""
    expect("early_stopping" in case.fields, "the card claims early_stopping, but has no such parameter")
    with working("early_stopping=True works"):
        case.answers(case.fit(on=case.make(early_stopping=True)))


def check_warm_start(case: Case) -> None:
    """With warm_start a second fit goes on from the first."""
    expect("warm_start" in case.fields, "the card claims warm_start, but has no such parameter")
    with working("warm_start=True works"):
        estimator = case.fit(on=case.make(warm_start=True))
        case.answers(case.fit(on=estimator))


def check_causal(case: Case) -> None:
    """What comes later does not change what was said about earlier time points.

    A causal estimator on series answers at every time point through ``transform`` or, fitted to a
    y of shape (n, time), through ``predict``. Where it has ``step(state, x)`` -> (answer, state),
    with x (n, channels) and None for the first state, the steps together are that answer.
    """
    X = np.asarray(case.X)
    T = X.shape[2]
    y = case.y
    if "transform" not in dir(case.cls) and y is not None:
        y = np.repeat(np.asarray(y)[:, None], T, axis=1)
    with working("a causal estimator can be fitted to targets at every time point"):
        estimator = case.fit(X, y)
    name = "transform" if hasattr(estimator, "transform") else "predict"
    changed = X.copy()
    changed[:, :, T // 2 :] = np.random.RandomState(0).normal(size=changed[:, :, T // 2 :].shape)
    one, two = (np.asarray(getattr(estimator, name)(V)) for V in (X, changed))
    axes = [a for a in range(1, one.ndim) if one.shape[a] == T]
    expect(axes, f"{name} of a causal estimator has no axis of {T} time points: {one.shape}")
    past = tuple(slice(None) if a != axes[-1] else slice(0, T // 2) for a in range(one.ndim))
    expect_same(
        one[past],
        two[past],
        case.tolerance,
        f"{name} looks into the future: changing the second "
        "half of the series changes answers about the first",
    )
    if hasattr(estimator, "step"):
        state, answers = None, []
        with working("step(state, x) goes through a series"):
            for t in range(T):
                answer, state = estimator.step(state, X[:, :, t])
                answers.append(answer)
            together = np.stack(answers, axis=axes[-1])
        expect_same(one, together, case.tolerance, f"step by step is not {name} of the whole")


# -- the table ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Capability:
    """The checks of a capability, both ways: claimed, it works; working, it is claimed."""

    claimed: tuple[Checker, ...]
    unclaimed: tuple[Checker, ...] = ()
    inputs: tuple[str, ...] = ()  # () is every input
    roles: tuple[str, ...] = ()  # () is every role


BY_CAPABILITY: dict[str, Capability] = {
    "sample_weight": Capability(
        (check_sample_weight, check_weights_count_as_repetition, check_weights_refused),
        (check_sample_weight_unclaimed,),
    ),
    "validation_data": Capability((check_validation_data,), (check_validation_data_unclaimed,)),
    "partial_fit": Capability(
        (check_partial_fit, check_partial_fit_is_one_pass), (check_partial_fit_unclaimed,)
    ),
    "callbacks": Capability((check_callbacks,), (check_callbacks_unclaimed,)),
    "sparse": Capability((check_sparse,), (check_sparse_unclaimed,), ("table",)),
    "missing_values": Capability(
        (check_missing_values,), (check_missing_values_unclaimed,), ("table", "images")
    ),
    "categories": Capability((check_categories,), (check_categories_unclaimed,), ("table",)),
    "multi_output": Capability(
        (check_multi_output,), (check_multi_output_unclaimed,), roles=("Classifier", "Regressor")
    ),
    "probabilities": Capability(
        (check_probabilities,), (check_probabilities_unclaimed,), roles=("Classifier",)
    ),
    "likelihood": Capability(
        (check_likelihood, check_exact_likelihood_normalised, check_samples_follow_density),
        (check_likelihood_unclaimed,),
    ),
    "gpu": Capability((check_gpu,)),
    "early_stopping": Capability((check_early_stopping,)),
    "warm_start": Capability((check_warm_start,)),
    "causal": Capability((check_causal,), inputs=("series",)),
}
