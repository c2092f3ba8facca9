"""DifferenceTargetPropClassifier: exact inverses, the first target, digits."""

from zoo import DifferenceTargetPropClassifier


def test_exact_inverses_hand_down_targets_that_meet_the_one_above(batch):
    import torch

    from zoo.engines.modules.blocks import seeded

    module, x, y, _ = batch(DifferenceTargetPropClassifier, target_step=1e-4)
    with seeded(0):
        layer, out = torch.nn.Linear(6, 6).double(), torch.nn.Linear(6, 3).double()
    with torch.no_grad():
        layer.weight.copy_(torch.eye(6) * 0.5 + 0.1)
        layer.bias.zero_()
    module.hidden[1], module.out = layer, out

    class Inverse(torch.nn.Module):
        def forward(self, h):
            # tanh of this gives the state below: exact where layers are tanh of linear maps.
            below = torch.atanh(h) @ torch.linalg.inv(layer.weight).T
            return torch.atanh(below.clamp(-1 + 1e-12, 1 - 1e-12))

    module.inverses[0] = Inverse()
    with torch.no_grad():
        h = module.states(x)
        low, top = module.targets(h, y)
        torch.testing.assert_close(torch.tanh(layer(low)), top, atol=1e-9, rtol=1e-6)
    assert (low - h[1]).abs().max() > 1e-7


def test_the_first_target_lies_down_the_gradient(batch):
    import torch

    module, x, y, _ = batch(DifferenceTargetPropClassifier, target_step=0.3)
    h = [state.detach() for state in module.states(x)]
    top = h[-1].clone().requires_grad_()
    loss = torch.nn.functional.cross_entropy(module.out(top), y, reduction="sum")
    (g,) = torch.autograd.grad(loss, top)
    torch.testing.assert_close(module.targets(h, y)[-1], h[-1] - 0.3 * g)


def test_digits(digits):
    X, X_test, y, y_test = digits
    model = DifferenceTargetPropClassifier(max_epochs=25, random_state=0).fit(X, y)
    assert model.score(X_test, y_test) > 0.93
