"""Tiny estimators that keep the contract: one for every role and input.

They are the healthy twins of those in `broken`, so every method that a broken one replaces is here
in its right form, and they show in a few lines what an estimator of a kind has to do.
"""

from typing import Annotated, Any, ClassVar

import numpy as np

from zoo.contract.declaring import field
from zoo.contract.inputs import (
    Either,
    Env,
    Game,
    Images,
    Input,
    Joined,
    Logged,
    Pairs,
    Series,
    Table,
    Text,
    take,
)
from zoo.contract.params import Count, FittedMethod, Fixed, Interval, NonNegative, Positive, Search, Seed
from zoo.contract.roles import Agent, Classifier, Detector, Regressor, Sampler, TextToText, Transformer
from zoo.contract.targets import Labels, Numbers, Sequences, Target
from zoo.contract.wrapper import Wrapper

PARAMETERS = {
    "env": "What to act in.",
    "game": "What to play.",
    "estimator": "What is held.",
    "share": "How much is left out.",
    "n_bins": "Pieces of the line.",
    "sequence_output": "What y is.",
    "alpha": "Strength of the penalty.",
    "lr": "Step of gradient descent.",
    "max_iter": "Steps of gradient descent.",
    "jitter": "Variance that is added to every direction.",
    "smoothing": "Count that is added to every word.",
    "shrinkage": "Weight of the mean among the ratings of one id.",
    "image_shape": "What a row is.",
    "max_steps": "Steps in the environment.",
    "random_state": "Seed.",
}


def docstring(summary: str, *parameters: str, example: str = ">>> 1 + 1\n2") -> str:
    """Write a complete docstring, which every estimator must have."""
    lines = [summary, "", "It stands for its kind.", "", ".. math:: a = b", ""]
    if parameters:
        lines += ["Parameters", "----------"]
        for name in parameters:
            lines += [f"{name} : number", f"    {PARAMETERS[name]}"]
        lines.append("")
    lines += ["References", "----------", "Euclid, Elements.", ""]
    if example:
        lines += ["Examples", "--------", example]
    return "\n".join(lines)


# -- tables ---------------------------------------------------------------------------------------


class LeastSquaresEngine(Regressor, abstract=True):
    target: ClassVar[Target] = Numbers(many=True)

    alpha: NonNegative = 1e-3

    def _learn(self, X: Any, y: np.ndarray, w: np.ndarray | None) -> None:
        w = np.ones(len(X), X.dtype) if w is None else w
        x_mean, y_mean = w @ X / w.sum(), w @ y / w.sum()
        Z = (X - x_mean) * w[:, None]
        A = Z.T @ (X - x_mean) + self.alpha * np.eye(X.shape[1], dtype=X.dtype)
        self.coef_ = np.linalg.solve(A, Z.T @ (y - y_mean))
        self.intercept_ = y_mean - x_mean @ self.coef_

    def _output(self, X: Any) -> np.ndarray:
        return X @ self.coef_ + self.intercept_


class LeastSquares(LeastSquaresEngine):
    __doc__ = docstring("Solve the normal equations.", "alpha")


class GradientEngine(Classifier, abstract=True):
    """Logistic regression of the last class against the rest, by gradient descent, full batch."""

    lr: Annotated[Positive, Search(0.01, 1.0, log=True)] = 0.5
    max_iter: Annotated[Count, Fixed("a budget")] = 60
    random_state: Seed = None

    def _start(self, X: np.ndarray, w: np.ndarray) -> None:
        share = w / w.sum()
        self.mean_ = share @ X
        self.scale_ = np.sqrt(share @ (X - self.mean_) ** 2) + 1e-12
        self.coef_ = np.zeros((X.shape[1] + 1, len(self.classes_)), X.dtype)
        self.history_ = {"train_loss": [], "valid_loss": []}
        self.n_iter_ = 0

    def _learn(
        self, X: Any, y: np.ndarray, w: np.ndarray | None, val: Any, resume: bool, steps: Any
    ) -> None:
        w = np.ones(len(X), X.dtype) if w is None else w
        if not resume:
            self._start(X, w)
        share = (w / w.sum())[:, None]
        A, Y = self._features(X), np.eye(len(self.classes_), dtype=X.dtype)[y]
        for _ in steps(self.max_iter, "iteration"):
            P = self._softmax(A @ self.coef_)
            self.history_["train_loss"].append(float(-(share * Y * np.log(P + 1e-12)).sum()))
            if val is not None:
                p = self._softmax(self._scores(val[0]))[np.arange(len(val[1])), val[1]]
                self.history_["valid_loss"].append(float(-np.log(p + 1e-12).mean()))
            self.coef_ = self.coef_ - self.lr * (A.T @ (share * (P - Y)))
            self.n_iter_ += 1

    def _features(self, X: np.ndarray) -> np.ndarray:
        return np.column_stack([(X - self.mean_) / self.scale_, np.ones(len(X), X.dtype)])

    def _softmax(self, s: np.ndarray) -> np.ndarray:
        p = np.exp(s - s.max(axis=1, keepdims=True))
        return p / p.sum(axis=1, keepdims=True)

    def _scores(self, X: Any) -> np.ndarray:
        return self._features(X) @ self.coef_


class GradientLogistic(GradientEngine):
    __doc__ = docstring("Descend the gradient.", "lr", "max_iter", "random_state")


def log_prior(y: np.ndarray, w: np.ndarray) -> np.ndarray:
    return np.log(np.bincount(y, weights=w) / w.sum())


class MeansWithHolesEngine(Classifier, abstract=True):
    """Nearest class mean over the columns that are not missing; words are codes."""

    input: ClassVar[Input] = Table(missing=True, categories=True)

    def _learn(self, X: Any, y: np.ndarray, w: np.ndarray | None) -> None:
        w = np.ones(len(X), X.dtype) if w is None else w
        W = np.where(np.isnan(X), 0, w[:, None])
        V = np.nan_to_num(X)
        self.means_ = np.array(
            [
                (W * V)[y == k].sum(0) / np.maximum(W[y == k].sum(0), 1e-300)
                for k in range(len(self.classes_))
            ]
        )
        self.scale_ = np.sqrt((W * (V - self.means_[y]) ** 2).sum(0) / w.sum()) + 1e-3
        self.log_prior_ = log_prior(y, w)

    def _scores(self, X: Any) -> np.ndarray:
        D = (X[:, None] - self.means_) / self.scale_
        return self.log_prior_ - np.nansum(D**2, axis=2) / 2


class ColumnMeansEngine(Classifier, abstract=True):
    """Nearest class mean, for each column of y by itself."""

    target: ClassVar[Target] = Labels(least=2, many=True)
    logits: ClassVar[bool] = False

    def _learn(self, X: Any, y: np.ndarray, w: np.ndarray | None) -> None:
        w = np.ones(len(X), X.dtype) if w is None else w
        self.scale_ = np.sqrt(np.cov(X.T, aweights=w, ddof=0).reshape(X.shape[1], -1).diagonal()) + 1e-3
        self.means_ = [
            np.array([np.average(X[k == c], axis=0, weights=w[k == c]) for c in np.unique(k)])
            for k in y.reshape(len(X), -1).T
        ]
        self.log_priors_ = [log_prior(k, w) for k in y.reshape(len(X), -1).T]

    def _proba(self, X: Any) -> Any:
        p = []
        for means, log_p in zip(self.means_, self.log_priors_, strict=True):
            s = log_p - (((X[:, None] - means) / self.scale_) ** 2).sum(axis=2) / 2
            e = np.exp(s - s.max(axis=1, keepdims=True))
            p.append(e / e.sum(axis=1, keepdims=True))
        return p if len(p) > 1 else p[0]


class ColumnMeans(ColumnMeansEngine):
    __doc__ = docstring("Take means, column by column of y.")


class MeansWithHoles(MeansWithHolesEngine):
    __doc__ = docstring("Go to the nearest mean.")


class PrincipalAxesEngine(Transformer, abstract=True):
    jitter: NonNegative = 1e-9

    def _learn(self, X: Any) -> None:
        self.mean_ = X.mean(axis=0)
        _, _, self.axes_ = np.linalg.svd(X - self.mean_, full_matrices=False)
        self.axes_ = self.axes_ * np.sign(self.axes_.sum(axis=1, keepdims=True) + 1e-300)
        self.n_features_out_ = len(self.axes_)

    def _output(self, X: Any) -> np.ndarray:
        return (X - self.mean_) @ self.axes_.T


class PrincipalAxes(PrincipalAxesEngine):
    __doc__ = docstring("Turn the axes.", "jitter")


class GaussianEngine(Sampler, abstract=True):
    """One Gaussian, or one for each label."""

    jitter: NonNegative = 1e-6

    def _learn(self, X: Any, y: np.ndarray | None) -> None:
        groups = [X] if y is None else [X[y == k] for k in range(len(self.classes_))]
        d = X.shape[1]
        self.means_ = np.array([G.mean(axis=0) for G in groups])
        self.factors_ = np.array(
            [
                np.linalg.cholesky(
                    np.atleast_2d(np.cov(G.T, bias=True)).reshape(d, d) + self.jitter * np.eye(d)
                )
                for G in groups
            ]
        )
        self.likelihood_ = "exact"

    def _draw(self, n: int, y: np.ndarray | None, draws: Any) -> np.ndarray:
        k = np.zeros(n, int) if y is None else y
        z = draws.normal(n, self.means_.shape[1])
        return self.means_[k] + np.einsum("nij,nj->ni", self.factors_[k], z)

    def _log_likelihood(self, X: Any, y: np.ndarray | None = None) -> np.ndarray:
        y = np.zeros(len(X), int) if y is None else y
        densities = np.array([self._log_density(X, k) for k in range(len(self.means_))])
        return densities[y, np.arange(len(X))]

    def _log_density(self, X: np.ndarray, k: int) -> np.ndarray:
        # Summed over columns one after another: the same for one row as for many.
        L = np.linalg.inv(self.factors_[k])
        z = ((X - self.means_[k])[:, None, :] * L).sum(axis=2)
        return -0.5 * (z**2).sum(axis=1) + np.log(np.diag(L)).sum() - z.shape[1] * 0.918938533204673


class GaussianSampler(GaussianEngine):
    __doc__ = docstring("Draw from a Gaussian.", "jitter")


class DistanceEngine(Detector, abstract=True):
    """Far from the mean, in units of each column's deviation, is an outlier."""

    jitter: NonNegative = 1e-6

    def _learn(self, X: Any) -> None:
        self.mean_ = X.mean(axis=0)
        self.scale_ = np.sqrt(((X - self.mean_) ** 2).mean(axis=0) + self.jitter)
        self.offset_ = float(np.quantile(self._output(X), 0.1))

    def _output(self, X: Any) -> np.ndarray:
        return -(((X - self.mean_) / self.scale_) ** 2).sum(axis=1)


class Distance(DistanceEngine):
    __doc__ = docstring("Measure the distance.", "jitter")


class PictureOfARowEngine(Regressor, abstract=True):
    """Least squares for each number of a picture."""

    target: ClassVar[Target] = Numbers(shape=(None, None))

    alpha: NonNegative = 1e-3

    def _learn(self, X: Any, y: np.ndarray, w: np.ndarray | None) -> None:
        w = np.ones(len(X), X.dtype) if w is None else w
        A = np.column_stack([X, np.ones(len(X), X.dtype)])
        penalty = self.alpha * np.eye(A.shape[1], dtype=X.dtype)
        flat = y.reshape(len(y), -1)
        self.coef_ = np.linalg.solve(A.T @ (A * w[:, None]) + penalty, A.T @ (flat * w[:, None]))
        self.row_shape_ = y.shape[1:]

    def _output(self, X: Any) -> np.ndarray:
        return (X @ self.coef_[:-1] + self.coef_[-1]).reshape(len(X), *self.row_shape_)


class PictureOfARow(PictureOfARowEngine):
    __doc__ = docstring("Draw a row.", "alpha")


# -- images and series ----------------------------------------------------------------------------


class BrightnessEngine(Classifier, abstract=True):
    """Nearest mean picture."""

    input: ClassVar[Input] = Images()

    image_shape: Annotated[Any, Fixed("the data say it")] = None

    def _learn(self, X: Any, y: np.ndarray, w: np.ndarray | None) -> None:
        w = np.ones(len(X)) if w is None else w
        X = X.reshape(len(X), -1)
        self.means_ = np.array(
            [w[y == k] @ X[y == k] / w[y == k].sum() for k in range(len(self.classes_))]
        )
        self.spread_ = w @ ((X - self.means_[y]) ** 2).mean(axis=1) / w.sum() + 1e-6
        self.log_prior_ = log_prior(y, w)

    def _scores(self, X: Any) -> np.ndarray:
        X = X.reshape(len(X), -1)
        return self.log_prior_ - ((X[:, None] - self.means_) ** 2).sum(axis=2) / (2 * self.spread_)


class Brightness(BrightnessEngine):
    __doc__ = docstring("Compare brightness.", "image_shape")


class RoughnessEngine(Classifier, abstract=True):
    """Nearest class in the mean level and the mean jump of every channel."""

    input: ClassVar[Input] = Series()
    excused: ClassVar[dict[str, str]] = {
        "check_classifiers_train": "level and jumps do not tell those blobs apart",
    }

    def _features(self, X: dict[str, np.ndarray]) -> np.ndarray:
        x, lengths = X["x"], X["lengths"]
        inside = np.arange(x.shape[2]) < lengths[:, None, None]
        level = (x * inside).sum(axis=2) / lengths[:, None]
        jumps = np.abs(np.diff(x, axis=2)) * inside[:, :, 1:]
        return np.concatenate(
            [level, jumps.sum(axis=2) / np.maximum(lengths - 1, 1)[:, None]], axis=1
        )

    def _learn(self, X: Any, y: np.ndarray, w: np.ndarray | None) -> None:
        F = self._features(X)
        self._go_to_means(F, y, np.ones(len(F), F.dtype) if w is None else w)

    def _go_to_means(self, F: np.ndarray, y: np.ndarray, w: np.ndarray) -> None:
        self.means_ = np.array(
            [w[y == k] @ F[y == k] / w[y == k].sum() for k in range(len(self.classes_))]
        )
        self.scale_ = np.sqrt((w @ (F - self.means_[y]) ** 2) / w.sum()) + 1e-3
        self.log_prior_ = log_prior(y, w)

    def _scores(self, X: Any) -> np.ndarray:
        D = (self._features(X)[:, None] - self.means_) / self.scale_
        return self.log_prior_ - (D**2).sum(axis=2) / 2


class Roughness(RoughnessEngine):
    __doc__ = docstring("Compare how rough series are.")


class StepByStepEngine(RoughnessEngine, abstract=True):
    """The same for a series as a whole, or for each of its steps."""

    target: ClassVar[Target] = Sequences(of=Labels(least=2), when="sequence_output")

    sequence_output: Annotated[bool, Fixed("it says what y is")] = False

    def _each_step(self, X: dict[str, np.ndarray]) -> np.ndarray:
        x = X["x"]
        jumps = np.abs(np.diff(x, axis=2, prepend=x[:, :, :1]))
        place = np.broadcast_to(np.arange(x.shape[2]), (len(x), 1, x.shape[2]))
        return np.concatenate([x, jumps, place], axis=1).transpose(0, 2, 1).astype(x.dtype)

    def _learn(self, X: Any, y: np.ndarray, w: np.ndarray | None) -> None:
        if not self.sequence_output:
            super()._learn(X, y, w)
            return
        self._check_steps((y >= 0).sum(axis=1), X["lengths"])
        w = np.broadcast_to(np.ones((len(y), 1)) if w is None else w[:, None], y.shape)
        inside = y >= 0
        F = self._each_step(X)[:, : y.shape[1]][inside]
        self._go_to_means(F, y[inside], w[inside].astype(F.dtype))

    def _check_steps(self, steps: np.ndarray, lengths: np.ndarray) -> None:
        if (steps != lengths).any():
            i = int((steps != lengths).argmax())
            raise ValueError(f"row {i} of y has {steps[i]} steps, but series {i} of X has {lengths[i]}.")

    def _scores(self, X: Any) -> np.ndarray:
        if not self.sequence_output:
            return super()._scores(X)
        D = (self._each_step(X)[:, :, None] - self.means_) / self.scale_
        return self.log_prior_ - (D**2).sum(axis=3) / 2

    def predict(self, X: Any) -> Any:
        answer = super().predict(X)
        if not self.sequence_output:
            return answer
        lengths = self._checked(X)["lengths"]
        rows = [row[:t] for row, t in zip(answer, lengths, strict=True)]
        return answer if len(set(lengths)) == 1 else rows

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        if not self.sequence_output:
            return super().score(X, y, sample_weight)
        return float((np.concatenate(list(self.predict(X))) == np.concatenate(list(y))).mean())


class StepByStep(StepByStepEngine):
    __doc__ = docstring("Compare how rough steps are.", "sequence_output")


class RunningMeanEngine(Transformer, abstract=True):
    """The mean of a series so far, at every time point."""

    input: ClassVar[Input] = Series()
    extra_capabilities: ClassVar[tuple[str, ...]] = ("causal",)

    def _learn(self, X: Any) -> None:
        self.n_features_out_ = X["x"].shape[1] * X["x"].shape[2]

    def _output(self, X: Any) -> np.ndarray:
        x = X["x"]
        inside = np.arange(x.shape[2]) < X["lengths"][:, None, None]
        return np.cumsum(x, axis=2) / np.arange(1, x.shape[2] + 1) * inside

    def step(self, state: Any, x: np.ndarray) -> tuple[np.ndarray, Any]:
        """Return the mean with one more time point x (n, channels), and the state after it."""
        total, count = (0.0, 0) if state is None else state
        total, count = total + x, count + 1
        return total / count, (total, count)


class RunningMean(RunningMeanEngine):
    __doc__ = docstring("Average the past.")


# -- text and pairs -------------------------------------------------------------------------------


class BagOfWordsEngine(Classifier, abstract=True):
    """Naive Bayes on words."""

    input: ClassVar[Input] = Text()

    smoothing: Positive = 1.0

    def _words(self, document: str) -> list[str]:
        return document.lower().split()

    def _learn(self, X: list[str], y: np.ndarray, w: np.ndarray | None) -> None:
        w = np.ones(len(X)) if w is None else w
        self.vocabulary_ = {
            word: i for i, word in enumerate(sorted({v for d in X for v in self._words(d)}))
        }
        counts = np.full((len(self.classes_), len(self.vocabulary_)), self.smoothing)
        for document, k, weight in zip(X, y, w, strict=True):
            for word in self._words(document):
                counts[k, self.vocabulary_[word]] += weight
        self.log_p_ = np.log(counts / counts.sum(axis=1, keepdims=True))
        self.log_prior_ = np.log([w[y == k].sum() / w.sum() for k in range(len(self.classes_))])

    def _scores(self, X: list[str]) -> np.ndarray:
        s = np.tile(self.log_prior_, (len(X), 1))
        for i, document in enumerate(X):
            for word in self._words(document):
                if word in self.vocabulary_:
                    s[i] += self.log_p_[:, self.vocabulary_[word]]
        return s


class BagOfWords(BagOfWordsEngine):
    __doc__ = docstring("Count words.", "smoothing")


class LetterChainEngine(Sampler, abstract=True):
    """Letters that depend on the letter before; an end sign closes a document."""

    input: ClassVar[Input] = Text()

    smoothing: Positive = 0.01

    def _learn(self, X: list[str]) -> None:
        # The last number is every letter that was never seen.
        self.letters_ = sorted(set("".join(X)))
        k = len(self.letters_) + 2
        counts = np.full((k, k), self.smoothing)
        for document in X:
            codes = self._codes(document)
            np.add.at(counts, (codes[:-1], codes[1:]), 1)
        self.log_p_ = np.log(counts / counts.sum(axis=1, keepdims=True))
        self.likelihood_ = "exact"

    def _codes(self, document: str) -> np.ndarray:
        number = {letter: i + 1 for i, letter in enumerate(self.letters_)}
        inner = [number.get(letter, len(self.letters_) + 1) for letter in document]
        return np.array([0, *inner, 0])

    def _draw(self, n: int, y: Any, draws: Any) -> list[str]:
        U = draws.uniform(n, 80)
        chances = np.exp(self.log_p_)
        chances[:, -1] = 0  # a letter that nobody has seen cannot be written
        cumulated = np.cumsum(chances / chances.sum(axis=1, keepdims=True), axis=1)
        texts = []
        for u in U:
            state, letters = 0, []
            for v in u:
                state = min(int(np.searchsorted(cumulated[state], v)), len(self.letters_))
                if state == 0:
                    break
                letters.append(self.letters_[state - 1])
            texts.append("".join(letters))
        return texts

    def _log_likelihood(self, X: list[str]) -> np.ndarray:
        return np.array([self.log_p_[c[:-1], c[1:]].sum() for c in (self._codes(d) for d in X)])

    def bits_per_byte(self, X: list[str]) -> float:
        n_bytes = sum(len(document.encode()) for document in X)
        return float(-self.score_samples(X).sum() / (n_bytes * np.log(2)))


class LetterChain(LetterChainEngine):
    __doc__ = docstring("Chain letters.", "smoothing")


class BackwardsEngine(TextToText, abstract=True):
    """The words of a document, backwards."""

    input: ClassVar[Input] = Text()

    def _learn(self, X: list[str], y: list[str]) -> None:
        self.n_documents_ = len(y)

    def _output(self, X: list[str]) -> list[str]:
        return [" ".join(reversed(document.split())) for document in X]


class Backwards(BackwardsEngine):
    __doc__ = docstring("Read backwards.")


class BiasesEngine(Regressor, abstract=True):
    """A mean, and what each user and each item adds to it."""

    input: ClassVar[Input] = Pairs()

    shrinkage: NonNegative = 1.0

    def _learn(self, X: np.ndarray, y: np.ndarray, w: np.ndarray | None) -> None:
        w = np.ones(len(y)) if w is None else w
        self.mean_ = w @ y / w.sum()
        self.users_ = self._effects(X[:, 0], y - self.mean_, w)
        rest = y - self.mean_ - self._look_up(self.users_, X[:, 0])
        self.items_ = self._effects(X[:, 1], rest, w)

    def _effects(self, ids: np.ndarray, r: np.ndarray, w: np.ndarray) -> dict[Any, float]:
        total: dict[Any, np.ndarray] = {}
        for i, value, weight in zip(ids.tolist(), r, w, strict=True):
            total[i] = total.get(i, np.zeros(2)) + weight * np.array([value, 1])
        return {i: s / (n + self.shrinkage) for i, (s, n) in total.items()}

    def _look_up(self, effects: dict[Any, float], ids: np.ndarray) -> np.ndarray:
        return np.array([effects.get(i, 0.0) for i in ids.tolist()])

    def _output(self, X: np.ndarray) -> np.ndarray:
        return (
            self.mean_ + self._look_up(self.users_, X[:, 0]) + self._look_up(self.items_, X[:, 1])
        )


class Biases(BiasesEngine):
    __doc__ = docstring("Add up biases.", "shrinkage")


# -- several inputs -------------------------------------------------------------------------------


class PictureAndCaptionEngine(Classifier, abstract=True):
    """The mean picture of each class, and its words."""

    input: ClassVar[Input] = Joined(images=Images(), text=Text())

    image_shape: Annotated[Any, Fixed("the data say it")] = None

    def _learn(self, X: dict[str, Any], y: np.ndarray, w: np.ndarray | None) -> None:
        w = np.ones(len(y)) if w is None else w
        one_hot = (y[:, None] == np.arange(len(self.classes_))) * w[:, None]
        self.means_ = one_hot.T @ X["images"].reshape(len(y), -1) / one_hot.sum(axis=0)[:, None]
        self.words_: list[dict[str, float]] = [{} for _ in self.classes_]
        for document, k, weight in zip(X["text"], y, w, strict=True):
            for word in set(document.split()):
                self.words_[k][word] = self.words_[k].get(word, 0.0) + float(weight)

    def _scores(self, X: dict[str, Any]) -> np.ndarray:
        pixels = X["images"].reshape(len(X["text"]), -1)
        near = -((pixels[:, None] - self.means_) ** 2).mean(axis=2)
        said = [[sum(np.log1p(k.get(v, 0)) for v in d.split()) for k in self.words_] for d in X["text"]]
        return near + 0.01 * np.array(said)


class PictureAndCaption(PictureAndCaptionEngine):
    __doc__ = docstring("Look and read.", "image_shape")


# -- logs and games -------------------------------------------------------------------------------


class WhatPaidEngine(Agent, abstract=True):
    """Do what was paid best on average near a state."""

    input: ClassVar[Input] = Logged()

    n_bins: Annotated[Count, Search(2, 50)] = 10

    def _learn(self, X: dict[str, np.ndarray]) -> None:
        s = X["observations"][:, 0]
        self.edges_ = np.quantile(s, np.linspace(0, 1, self.n_bins + 1)[1:-1])
        shape = (self.n_bins, int(X["actions"].max()) + 1)
        at = (np.searchsorted(self.edges_, s), X["actions"])
        paid, count = np.zeros(shape), np.full(shape, 1e-9)
        np.add.at(paid, at, X["rewards"])
        np.add.at(count, at, 1)
        self.worth_ = paid / count

    def _act(self, observations: Any) -> np.ndarray:
        return self.worth_[np.searchsorted(self.edges_, np.ravel(observations))].argmax(axis=1)


class WhatPaid(WhatPaidEngine):
    __doc__ = docstring("Do what was paid.", "n_bins", "random_state")


class RetrogradeEngine(Agent, abstract=True):
    """Know of every state whether it is won, from the end of the game backwards."""

    input: ClassVar[Input] = Game()

    game: Annotated[Any, Fixed("it is the task")] = field(kw_only=False)

    def _learn(self, X: np.ndarray | None) -> None:
        if not hasattr(self.game, "initial"):
            raise ValueError(f"game={self.game!r} has no initial(); give the rules of a game.")
        self.worth_: dict[Any, float] = {}
        self._value(self.game.initial())
        for state in self.game.states():
            self._value(state)

    def _value(self, state: Any) -> float:
        if state not in self.worth_:
            over = self.game.value(state)
            after = [-self._value(self.game.play(state, a)) for a in np.flatnonzero(self.game.legal(state))]
            self.worth_[state] = over if over == over else max(after)
        return self.worth_[state]

    def _act(self, observations: Any) -> np.ndarray:
        return np.array([self._move(state) for state in observations])

    def _move(self, state: Any) -> int:
        legal = np.flatnonzero(self.game.legal(state))
        return int(max(legal, key=lambda a: -self.worth_[self.game.play(state, a)]))

    def score(self, X: Any = None, y: Any = None) -> float:
        """Return the mean result against random moves."""
        from sklearn.utils.validation import check_is_fitted

        check_is_fitted(self)
        seeds = np.arange(9) if X is None else X
        return float(np.mean([self._play(np.random.default_rng(seed)) for seed in seeds]))

    def _play(self, rng: np.random.Generator) -> float:
        state, ours = self.game.initial(), True
        while np.isnan(self.game.value(state)):
            move = self._move(state) if ours else rng.choice(np.flatnonzero(self.game.legal(state)))
            state, ours = self.game.play(state, move), not ours
        return float(not ours)


class Retrograde(RetrogradeEngine):
    __doc__ = docstring("Work backwards.", "game", "random_state")


# -- meta-estimators --------------------------------------------------------------------------------


class CleanedEngine(Wrapper, abstract=True):
    """Fit, leave out the share of rows that surprised most, fit again."""

    share: Annotated[float, Interval(0, 0.5), Fixed("it states how dirty the data are")] = 0.0

    def _default(self) -> Any:
        from zoo import LogisticRegression

        return LogisticRegression()

    def _learn(self, X: Any, y: Any, w: np.ndarray | None, steps: Any) -> None:
        self.estimator_ = self._fit_held(X, y, w, steps)
        n = len(y)
        kept = np.flatnonzero(self.estimator_.predict(X) == y)
        if self.share > 0 and len(kept) >= (1 - self.share) * n:
            self.estimator_ = self._fit_held(take(X, kept), y[kept], None if w is None else w[kept], steps)


class Cleaned(CleanedEngine):
    __doc__ = docstring("Leave out what surprised.", "estimator", "share")


class FlippedEngine(Wrapper, abstract=True):
    """Answer the contrary of what a fitted classifier says, if that is right more often."""

    estimator: FittedMethod = field(kw_only=False)

    def _learn(self, X: Any, y: Any) -> None:
        self.estimator_ = self.estimator
        self.flipped_ = bool(np.mean(self.estimator.predict(X) == y) < 0.5)

    def predict(self, X: Any) -> np.ndarray:
        answer = self._call("predict", X)
        return 1 - answer if self.flipped_ else answer


class Flipped(FlippedEngine):
    __doc__ = docstring("Flip.", "estimator")


# -- environments ---------------------------------------------------------------------------------


class TableAgentEngine(Agent, abstract=True):
    """Q-learning on a table over bins of the first observation."""

    input: ClassVar[Input] = Env()

    env: Annotated[Any, Fixed("it is the task")] = field(kw_only=False)
    max_steps: Annotated[Count, Fixed("a budget")] = 1500
    lr: Annotated[Positive, Search(0.01, 1.0, log=True)] = 0.5

    def _open(self) -> Any:
        import copy

        import gymnasium

        if isinstance(self.env, str):
            try:
                env = gymnasium.make(self.env)
            except gymnasium.error.Error as error:
                raise ValueError(f"env={self.env!r} cannot be made: {error}") from error
        elif isinstance(self.env, gymnasium.Env):
            env = copy.deepcopy(self.env)
        elif callable(self.env):
            env = self.env()
        else:
            raise ValueError(f"env={self.env!r} is no id, factory or environment.")
        if not isinstance(env.action_space, gymnasium.spaces.Discrete):
            env.close()
            raise ValueError(f"the action space is {env.action_space}; it must be Discrete.")
        return env

    def _bins(self, observations: Any) -> np.ndarray:
        x = np.asarray(observations, dtype=float)[..., 0]
        return np.clip(((x + 1) * 5).astype(int), 0, 9)

    def _learn(self, X: np.ndarray | None, steps: Any) -> None:
        rng = np.random.default_rng(0 if self.random_state is None else self.random_state)
        env = self._open()
        self.q_ = np.zeros((10, int(env.action_space.n)))
        self.history_ = {"step": [], "return": []}
        s, total, episode = None, 0.0, 0
        for t in steps(self.max_steps, "step"):
            if s is None:
                seed = rng.integers(2**31) if X is None else X[episode % len(X)]
                s, total = self._bins(env.reset(seed=int(seed))[0]), 0.0
                episode += 1
            greedy = rng.random() > 0.3
            a = int(self.q_[s].argmax()) if greedy else int(rng.integers(self.q_.shape[1]))
            try:
                observation, reward, terminated, truncated, _ = env.step(a)
                if not np.isfinite(reward):
                    raise ValueError(f"the reward is {reward}; it must be finite.")
            except Exception as error:
                self._ended_by = error
                break
            s_next = self._bins(observation)
            goal = reward + (0 if terminated else 0.95 * self.q_[s_next].max())
            self.q_[s, a] += self.lr * (goal - self.q_[s, a])
            s, total = s_next, total + reward
            if terminated or truncated:
                self.history_["step"].append(t)
                self.history_["return"].append(total)
                s = None
        self._keep(env)

    def _fit(self, *args: Any, **kwargs: Any) -> Any:
        super()._fit(*args, **kwargs)
        # What was learned before the environment broke is kept.
        error = self.__dict__.pop("_ended_by", None)
        if error is not None:
            raise error
        return self

    def _keep(self, env: Any) -> None:
        env.close()

    def _act(self, observations: Any) -> np.ndarray:
        return self.q_[self._bins(observations)].argmax(axis=-1)

    def score(self, X: Any = None, y: Any = None) -> float:
        """Return the mean return over the episodes of these seeds."""
        from sklearn.utils.validation import check_is_fitted

        check_is_fitted(self)
        env = self._open()
        returns = []
        for seed in np.arange(10) if X is None else X:
            observation, over, total = env.reset(seed=int(seed))[0], False, 0.0
            while not over:
                observation, reward, terminated, truncated, _ = env.step(
                    int(self._act(observation))
                )
                total, over = total + reward, terminated or truncated
            returns.append(total)
        env.close()
        return float(np.mean(returns))


class TableAgent(TableAgentEngine):
    __doc__ = docstring("Fill a table.", "env", "max_steps", "lr")


class TableOfEitherEngine(TableAgentEngine, abstract=True):
    """Q-learning from a log, or in an environment."""

    input: ClassVar[Input] = Either(Logged(), Env())

    env: Annotated[Any, Fixed("it is the task")] = None

    def _learn(self, X: Any, steps: Any) -> None:
        if not isinstance(X, dict):
            super()._learn(X, steps)
            return
        s, a, s_next = self._bins(X["observations"]), X["actions"], self._bins(X["next_observations"])
        self.q_ = np.zeros((10, int(a.max()) + 1))
        for _ in steps(30, "sweep"):
            goal = X["rewards"] + np.where(X["terminated"], 0, 0.5 * self.q_[s_next].max(axis=1))
            for i in range(len(s)):
                self.q_[s[i], a[i]] += 0.3 * (goal[i] - self.q_[s[i], a[i]])


class TableOfEither(TableOfEitherEngine):
    __doc__ = docstring("Fill a table.", "env", "max_steps", "lr", "random_state")


HEALTHY = (
    LeastSquares,
    GradientLogistic,
    ColumnMeans,
    MeansWithHoles,
    PrincipalAxes,
    GaussianSampler,
    Distance,
    Brightness,
    Roughness,
    RunningMean,
    BagOfWords,
    LetterChain,
    Backwards,
    Biases,
    PictureOfARow,
    StepByStep,
    PictureAndCaption,
    WhatPaid,
    Retrograde,
    Cleaned,
    Flipped,
    TableAgent,
    TableOfEither,
)
