"""ForwardForwardClassifier: goodness by hand, wrong labels, digits."""

from zoo import ForwardForwardClassifier


def test_goodness_separates_and_stays_in_its_layer(batch):
    import torch

    module, x, y, _ = batch(ForwardForwardClassifier)
    h = module.labelled(module.standardised(x), y)
    grads = torch.autograd.grad(
        module.goodness(h)[1].sum(), list(module.hidden[0].parameters()), allow_unused=True
    )
    assert grads == (None, None)
    first = module.hidden[0]
    scaled = h / h.square().mean(1, keepdim=True).sqrt()
    expected = torch.relu(scaled @ first.weight.T + first.bias).square().mean(1)
    torch.testing.assert_close(module.goodness(h)[0], expected)


def test_wrong_labels_are_wrong_and_cover_the_others(batch):
    import torch

    module, x, y, w = batch(ForwardForwardClassifier)
    seen = []
    labelled = module.labelled
    module.labelled = lambda x, y: (seen.append(y), labelled(x, y))[1]
    for _ in range(20):
        module.learn(x, y, w)
    wrong = torch.stack(seen[1::2])
    assert (wrong != y).all()
    assert all(len(torch.unique(wrong[:, i])) == 2 for i in range(30))


def test_digits(digits):
    X, X_test, y, y_test = digits
    model = ForwardForwardClassifier(max_epochs=40, random_state=0).fit(X, y)
    assert model.score(X_test, y_test) > 0.88
