"""LocalLossClassifier: nothing flows down, every layer answers, digits."""

import numpy as np
import pytest

from zoo import LocalLossClassifier


def test_nothing_flows_below_a_local_loss(batch):
    import torch

    module, x, y, _ = batch(LocalLossClassifier)
    last = torch.nn.functional.cross_entropy(module.all_logits(x)[-1], y)
    grads = torch.autograd.grad(last, list(module.parameters()), allow_unused=True)
    reached = {
        name for (name, _), g in zip(module.named_parameters(), grads, strict=True)
        if g is not None
    }  # fmt: skip
    assert reached == {"hidden.1.weight", "hidden.1.bias", "readouts.1.weight", "readouts.1.bias"}


def test_accuracy_of_every_layer(digits):
    X, X_test, y, y_test = digits
    model = LocalLossClassifier(max_epochs=10, random_state=0).fit(X, y)
    backwards = model.layer_accuracies(X[::-1], y[::-1])
    np.testing.assert_array_equal(backwards, model.layer_accuracies(X, y))
    accuracies = model.layer_accuracies(X_test, y_test)
    assert accuracies.shape == (3,)
    assert accuracies[-1] == pytest.approx(model.score(X_test, y_test))


def test_digits(digits):
    X, X_test, y, y_test = digits
    model = LocalLossClassifier(max_epochs=25, random_state=0).fit(X, y)
    assert model.score(X_test, y_test) > 0.93
