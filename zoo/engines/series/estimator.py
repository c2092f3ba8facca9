"""What every network on series shares: scaling by mask, and targets at every step."""

from typing import Annotated, Any, ClassVar

import numpy as np

from zoo.contract.inputs import Input, Series
from zoo.contract.params import Fixed
from zoo.contract.targets import Labels, Numbers, Sequences, Target
from zoo.engines.magnitudes import check_squares
from zoo.engines.modules.scaling import location_scale, series_scale
from zoo.engines.neural.estimator import Neural, NeuralClassifier, NeuralRegressor


class OnSeries(Neural, abstract=True):
    """A network on series, giving one answer a series or one a time step.

    Parameters
    ----------
    sequence_output : bool, default=False
        Learn a target for every time step: y is (n, time), or a list of arrays as long as the series,
        and so is the prediction.

    Attributes
    ----------
    x_mean_, x_scale_ : arrays of shape (channels, 1)
        Location and scale of each channel over the true time points.
    n_channels_in_ : int
        Channels of a series.
    """

    input: ClassVar[Input] = Series()

    sequence_output: Annotated[bool, Fixed("it says what y is")] = False

    # -- X: scaled by mask ----------------------------------------------------------------------------

    def _measure(self, X: dict[str, np.ndarray], y: Any, w: np.ndarray | None) -> None:
        super()._measure(X, y, w)
        x, true = X["x"], _true_steps(X)
        check_squares(type(self).__name__, X=x)
        self.x_mean_, self.x_scale_ = series_scale(x, true, w)

    def _prepare(self, X: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        x = (X["x"] - self.x_mean_) / self.x_scale_
        return {"x": x * _true_steps(X)[:, None], "lengths": X["lengths"]}

    # -- y: one a series, or one a step -----------------------------------------------------------------

    def _measure_targets(self, y: np.ndarray, w: np.ndarray | None) -> tuple[Any, Any]:
        if not self.sequence_output:
            return super()._measure_targets(y, w)
        true = ~np.isnan(y)
        weight = None if w is None else np.broadcast_to(w[:, None], y.shape)[true]
        return location_scale(y[true], weight)

    def _targets(self, X: dict[str, np.ndarray], y: Any) -> Any:
        if not self.sequence_output:
            return super()._targets(X, y)
        steps = (y >= 0 if y.dtype.kind == "i" else ~np.isnan(y)).sum(axis=1)
        if (steps != X["lengths"]).any():
            i = int((steps != X["lengths"]).argmax())
            raise ValueError(
                f"row {i} of y has {steps[i]} steps, but series {i} of X has {X['lengths'][i]}; give "
                "one target a time step."
            )
        return super()._targets(X, y)

    def _criterion(self) -> Any:
        if not self.sequence_output:
            return super()._criterion()
        from zoo.engines.modules.recurrent import StepLoss

        return StepLoss(float(getattr(self, "label_smoothing", 0.0)))

    def _output(self, X: dict[str, np.ndarray]) -> np.ndarray:
        if not self.sequence_output:
            return super()._output(X)
        return self._forward(X)[..., 0] * self.y_scale_ + self.y_mean_

    def predict(self, X: Any) -> Any:
        """Return the answer for each series: (n,), or one a time step with ``sequence_output``.

        Series of unequal lengths give a list of arrays.
        """
        answer = super().predict(X)
        if not self.sequence_output:
            return answer
        lengths = self._checked(X)["lengths"]
        if (lengths == answer.shape[1]).all():
            return answer
        return [row[:t] for row, t in zip(answer, lengths, strict=True)]

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return accuracy or R^2, over the time steps with ``sequence_output``."""
        if not self.sequence_output:
            return float(super().score(X, y, sample_weight))
        predicted = list(self.predict(X))
        weight = None
        if sample_weight is not None:
            weight = np.repeat(sample_weight, [len(row) for row in predicted])
        truth = np.concatenate([np.asarray(row) for row in y])
        assert self.target.metric is not None
        return float(self.target.metric(truth, np.concatenate(predicted), sample_weight=weight))


class SeriesClassifier(OnSeries, NeuralClassifier, abstract=True):
    """Gives a class for each series, or one for each time step."""

    target: ClassVar[Target] = Sequences(of=Labels(least=2), when="sequence_output")


class SeriesRegressor(OnSeries, NeuralRegressor, abstract=True):
    """Gives numbers for each series, or one for each time step."""

    target: ClassVar[Target] = Sequences(of=Numbers(many=True), when="sequence_output")


def _true_steps(X: dict[str, np.ndarray]) -> np.ndarray:
    """Mark the time points that are no padding, (n, time)."""
    x = X["x"]
    return (np.arange(x.shape[2]) < X["lengths"][:, None]).astype(x.dtype)
