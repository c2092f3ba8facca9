"""Layers with losses of their own."""

from typing import Any

import numpy as np

from zoo.engines.layerwise.estimator import LayeredClassifier


class LocalLossClassifier(LayeredClassifier):
    r"""Classify by a perceptron each of whose layers has its own linear classifier and loss.

    A layer learns what helps its own classifier; its input is taken as given, so that nothing flows
    into the layer below. All layers learn at once, and the last classifier answers.

    .. math::
        h_l = \mathrm{relu}(W_l\, \mathrm{stop}(h_{l-1}) + b_l), \qquad
        \mathcal L = \sum_l -\log \mathrm{softmax}(C_l h_l)_y

    Parameters
    ----------
    hidden_layer_sizes : sequence of int, default=(128, 128, 128)
        Units of the hidden layers, one or more.

    Attributes
    ----------
    x_mean_, x_scale_ : arrays
        Location and scale of the columns.

    Notes
    -----
    The first layer alone is an ordinary network of one hidden layer; ``layer_accuracies`` tells what
    the others add.

    References
    ----------
    Nøkland and Eidnes (2019), Training neural networks with local error signals, ICML. Belilovsky,
    Eickenberg and Oyallon (2019), Greedy layerwise learning can scale to ImageNet, ICML.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from zoo import LocalLossClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> model = LocalLossClassifier(max_epochs=50, random_state=0).fit(X[:1000], y[:1000])
    >>> model.score(X[1000:], y[1000:]) > 0.89
    True
    """

    def layer_accuracies(self, X: Any, y: Any) -> np.ndarray:
        """Return the accuracy of every layer's classifier.

        Parameters
        ----------
        X : array-like
            Rows.
        y : array-like of shape (n,)
            Their labels.
        """
        import torch

        from zoo.engines.neural.rows import as_column, gather

        X = self._checked(X)
        rows = gather(as_column(X), slice(None))
        module = self.net_.module_.eval()
        weight = next(module.parameters())
        with torch.inference_mode():
            scores = module.all_logits(rows.to(weight.device, weight.dtype))
        right = [self.classes_[s.argmax(1).cpu().numpy()] == np.asarray(y) for s in scores]
        return np.mean(right, axis=1)

    @staticmethod
    def _module(**spec: Any) -> Any:
        from zoo.engines.layerwise.layered import LocalLosses

        return LocalLosses(**spec)
