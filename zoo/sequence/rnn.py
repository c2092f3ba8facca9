"""Recurrent networks."""

from typing import Annotated, Any, Literal

import numpy as np
from sklearn.utils.validation import check_is_fitted

from zoo.contract.params import Count, Probability, Search
from zoo.engines.series.estimator import OnSeries, SeriesClassifier, SeriesRegressor


class RNN(OnSeries, abstract=True):
    """Recurrent cells that carry a state along the series.

    Parameters
    ----------
    cell : {"rnn", "lstm", "gru"}, default="gru"
        How the state changes with a time point.
    hidden_size : int, default=64
        Width of the state.
    n_layers : int, default=1
        Layers; each reads the states of the one below.
    bidirectional : bool, default=False
        Read the series from both ends.
    pooling : {"last", "mean", "max", "all"}, default="all"
        What the answer for a series is read from: the last state, the mean or the maximum over its
        states, or all three side by side.
    dropout : float, default=0.0
        Chance that an input of a layer above the first, or of the readout, is silenced while training.
    """

    cell: Literal["rnn", "lstm", "gru"] = "gru"
    hidden_size: Annotated[Count, Search(16, 256, log=True)] = 64
    n_layers: Annotated[Count, Search(1, 3)] = 1
    bidirectional: bool = False
    pooling: Literal["last", "mean", "max", "all"] = "all"
    dropout: Probability = 0.0

    lr = 5e-3
    batch_size = 32
    max_epochs = 200
    gradient_clip = 1.0
    # The loss of a recurrent network often rests long before it falls.
    n_iter_no_change = None

    def step(self, x: Any, state: Any = None) -> tuple[np.ndarray, Any]:
        """Take one time point of each series and return the answer so far, and the new state.

        Fed the points one by one, the answers are those for the series up to there.

        Parameters
        ----------
        x : array of shape (n, channels)
            The next time point.
        state : object, optional
            What the last call returned; None starts a series.

        Returns
        -------
        answer : array
            Scores (n, k) or values (n,).
        state : object
            To be handed to the next call.
        """
        check_is_fitted(self)
        if self.bidirectional or (self.pooling != "last" and not self.sequence_output):
            raise ValueError(
                f"{type(self).__name__} can step only where the answer needs nothing but the state: "
                "bidirectional=False and pooling='last' (or sequence_output=True)."
            )
        import torch

        x = np.asarray(x, dtype=self.dtype_)
        if x.ndim != 2 or x.shape[1] != self.n_channels_in_:
            raise ValueError(
                f"x has shape {x.shape}; give one time point of each series, "
                f"(n, {self.n_channels_in_})."
            )
        scaled = (x - self.x_mean_[:, 0]) / self.x_scale_[:, 0]
        module = self.net_.module_
        weight = next(module.parameters())
        with torch.inference_mode():
            output, state = module.step(
                torch.as_tensor(scaled, dtype=weight.dtype, device=weight.device), state
            )
        return self._answer(output.cpu().numpy()), state

    def _answer(self, output: np.ndarray) -> np.ndarray:
        return output

    def _spec(self, X: dict[str, np.ndarray], y: np.ndarray) -> dict[str, Any]:
        return {
            "n_channels": int(self.n_channels_in_),
            "cell": self.cell,
            "hidden_size": int(self.hidden_size),
            "n_layers": int(self.n_layers),
            "bidirectional": bool(self.bidirectional),
            "dropout": float(self.dropout),
            "pooling": "every" if self.sequence_output else self.pooling,
            "n_outputs": self._n_outputs(y),
        }

    @staticmethod
    def _module(**spec: Any) -> Any:
        from zoo.engines.modules.recurrent import Recurrent

        return Recurrent(**spec)


class RNNClassifier(RNN, SeriesClassifier):
    r"""Classify series by a recurrent network.

    A state is carried along the series and changed by every time point; the answer is read from it.
    Gates (LSTM, GRU) decide what is kept, so that the gradient survives long series.

    .. math::
        h_t = \tanh(W_{hh} h_{t-1} + W_{xh} x_t + b_h), \qquad p = \mathrm{softmax}(W_{hy} h_T + b_y)

    with, for cell "gru",

    .. math::
        r_t, z_t = \sigma(W [h_{t-1}, x_t] + b), \quad
        n_t = \tanh(W_n x_t + r_t \odot (U_n h_{t-1} + c_n) + b_n), \quad
        h_t = (1 - z_t) \odot n_t + z_t \odot h_{t-1}

    Attributes
    ----------
    net_ : Trainer
        The trained skorch net.

    Notes
    -----
    Series may differ in length: padding is skipped, so it never changes an answer. The scale of a
    channel is taken over true time points. One step costs O(hidden_size^2) for each series.

    References
    ----------
    Hochreiter and Schmidhuber (1997), Long short-term memory, Neural Computation 9(8). Cho et al.
    (2014), Learning phrase representations using RNN encoder-decoder, EMNLP.

    Examples
    --------
    >>> import numpy as np
    >>> from zoo import RNNClassifier
    >>> t = np.arange(20)
    >>> X = np.sin(np.outer(np.r_[np.full(30, 0.3), np.full(30, 0.6)], t) + np.arange(60)[:, None])
    >>> y = np.repeat(["slow", "fast"], 30)
    >>> RNNClassifier(hidden_size=16, max_epochs=40, random_state=0).fit(X, y).score(X, y) > 0.9
    True
    """


class RNNRegressor(RNN, SeriesRegressor):
    r"""Regress on series by a recurrent network.

    The network of `RNNClassifier` with one output a target instead of one a class. Targets are
    standardised inside.

    .. math::
        h_t = \tanh(W_{hh} h_{t-1} + W_{xh} x_t + b_h), \qquad \hat y = W_{hy} h_T + b_y

    Attributes
    ----------
    y_mean_, y_scale_ : float or arrays of shape (targets,)
        Location and scale that standardise y.

    References
    ----------
    Hochreiter and Schmidhuber (1997), Long short-term memory, Neural Computation 9(8). Cho et al.
    (2014), Learning phrase representations using RNN encoder-decoder, EMNLP.

    Examples
    --------
    >>> import numpy as np
    >>> from zoo import RNNRegressor
    >>> X = np.random.default_rng(0).normal(size=(100, 12))
    >>> y = X[:, -3:].sum(axis=1)
    >>> RNNRegressor(hidden_size=16, random_state=0).fit(X, y).score(X, y) > 0.9
    True
    """

    def _n_outputs(self, y: np.ndarray) -> int:
        return 1 if self.sequence_output else super()._n_outputs(y)

    def _answer(self, output: np.ndarray) -> np.ndarray:
        values = output * self.y_scale_ + self.y_mean_
        return values[:, 0] if np.ndim(self.y_mean_) == 0 else values
