"""What the siblings of NoProp share."""

import numpy as np
import pytest

from zoo import (
    DifferenceTargetPropClassifier,
    FeedbackAlignmentClassifier,
    ForwardForwardClassifier,
    LocalLossClassifier,
)


def test_every_piece_is_clipped_by_its_own_norm(batch):
    module, x, y, w = batch(LocalLossClassifier)
    module.learn(x, y, w)
    module.clip(1e-3)
    for layer in (*module.hidden, *module.readouts):
        norm = sum(p.grad.square().sum() for p in layer.parameters()) ** 0.5
        assert norm.item() == pytest.approx(1e-3, rel=1e-2)


def test_a_network_without_hidden_layers_is_refused():
    with pytest.raises(ValueError, match="a tuple of one or more integers"):
        LocalLossClassifier(hidden_layer_sizes=()).fit(np.eye(4), [0, 1, 0, 1])


@pytest.mark.parametrize("cls", [
    DifferenceTargetPropClassifier, FeedbackAlignmentClassifier, ForwardForwardClassifier,
    LocalLossClassifier,
])  # fmt: skip
def test_bfloat16_trains_weights_of_full_precision(digits, cls):
    X, _, y, _ = digits
    model = cls(precision="bf16", max_epochs=2, random_state=0).fit(X[:200], y[:200])
    assert all(str(p.dtype) == "torch.float32" for p in model.net_.module_.parameters())
    assert np.isfinite(model.predict_proba(X[:5])).all()
