"""FeedbackAlignmentClassifier: against back-propagation, locality of the direct form, digits."""

import pytest

from zoo import FeedbackAlignmentClassifier


def test_feedback_through_the_weights_themselves_is_back_propagation(batch):
    import torch

    module, x, y, w = batch(FeedbackAlignmentClassifier)
    module.B0.copy_(module.hidden[1].weight.detach())
    module.B1.copy_(module.out.weight.detach())
    loss = module.learn(x, y, w)
    ours = [p.grad.clone() for p in module.parameters()]
    module.zero_grad()
    exact = (w * module(x, y)).sum()
    exact.backward()
    assert loss.item() == pytest.approx(exact.item())
    for g, p in zip(ours, module.parameters(), strict=True):
        torch.testing.assert_close(g, p.grad)


def test_direct_feedback_comes_from_the_output_alone(batch):
    import torch

    module, x, y, w = batch(FeedbackAlignmentClassifier, feedback="direct")
    module.learn(x, y, w)
    before = module.hidden[0].weight.grad.clone()
    with torch.no_grad():
        module.B1.mul_(5)  # the layer above, which the first layer does not listen to
    module.learn(x, y, w)
    torch.testing.assert_close(module.hidden[0].weight.grad, before)


@pytest.mark.parametrize("feedback", ["plain", "direct"])
def test_digits(digits, feedback):
    X, X_test, y, y_test = digits
    model = FeedbackAlignmentClassifier(feedback=feedback, max_epochs=25, random_state=0).fit(X, y)
    assert model.score(X_test, y_test) > 0.9
