"""GPT: causality, likelihood by hand, the cache, small grammars, and the contract."""

import copy
import gzip
import itertools
import math
import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from torch.nn import functional as F

import zoo
from zoo import GPT
from zoo.engines.language import windows
from zoo.engines.language.decoding import choose

SMALL = {"block_size": 16, "n_layers": 2, "n_heads": 2, "width": 32, "random_state": 0}
FAST = {**SMALL, "n_layers": 1, "max_epochs": 3}
TEXTS = [
    "the cat purrs.",
    "a cat sleeps on the warm mat.",
    "",
    "the ship sails, the cat stays.",
] * 5
KINDS = [
    {},
    {"positions": "learned", "norm": "rms"},
    {"positions": "sinusoidal", "tie_weights": False},
    {"n_experts": 3, "norm": "rms"},
    {"tokenizer": "bpe", "vocab_size": 280},
]


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: "-".join(map(str, kind.values())))
def model(request):
    return GPT(**{**SMALL, "max_epochs": 8, **request.param}).fit(TEXTS)


@pytest.fixture(scope="module")
def plain():
    return GPT(**{**SMALL, "max_epochs": 8}).fit(TEXTS)


def logits_of(model, rows):
    decoder = model.net_.module_.eval()
    with torch.no_grad():
        return decoder(torch.as_tensor(rows))


# -- equation -------------------------------------------------------------------------------------


def test_later_tokens_change_no_earlier_logit(model):
    rng = np.random.default_rng(0)
    x = rng.integers(2, model.spec_["n_tokens"], size=(1, 16))
    for t in (1, 7, 15):
        other = x.copy()
        other[:, t:] = rng.integers(2, model.spec_["n_tokens"], size=16 - t)
        torch.testing.assert_close(
            logits_of(model, x)[:, :t], logits_of(model, other)[:, :t], rtol=1e-5, atol=1e-5
        )


def test_packing_documents_changes_no_logit(model):
    rng = np.random.default_rng(0)
    parts = [[0, *rng.integers(2, model.spec_["n_tokens"], size=n)] for n in (4, 0, 6)]
    packed = logits_of(model, [list(itertools.chain(*parts))])[0]
    alone = torch.cat([logits_of(model, [part])[0] for part in parts])
    torch.testing.assert_close(packed, alone, rtol=1e-5, atol=1e-5)


def test_probabilities_of_all_texts_sum_to_one():
    model = GPT(**{**FAST, "block_size": 3}).fit(["ab", "b", ""])
    unknown = np.exp(model.score_samples(["z"])[0] - model.score_samples(["y"])[0])
    assert unknown == pytest.approx(1.0)
    # What is left after all texts of up to five letters is the chance of a longer text; it is
    # also the product of the chances not to end, summed over the prefixes of five letters.
    letters = "abz"
    spread = {"a": 1, "b": 1, "z": 0x110000 - 2}
    ends, goes_on = 0.0, 0.0
    for n in range(6):
        texts = ["".join(t) for t in itertools.product(letters, repeat=n)]
        p = np.exp(model.score_samples(texts))
        ends += sum(pi * math.prod(spread[c] for c in t) for pi, t in zip(p, texts, strict=True))
        if n == 5:
            prefix = [p_of_prefix(model, t) for t in texts]
            goes_on = sum(
                prefix_p * (1 - end) * math.prod(spread[c] for c in t)
                for (prefix_p, end), t in zip(prefix, texts, strict=True)
            )
    assert ends < 1
    assert ends + goes_on == pytest.approx(1.0, abs=1e-4)


def p_of_prefix(model, text):
    """Probability of the characters without the end, and of the end after them."""
    tokens = model._tokens([text])[0]
    T, logs = model.spec_["block_size"], []
    for t in range(1, len(tokens)):
        start = windows.window_start(t, T)
        logs.append(logits_of(model, tokens[None, start:t])[0, -1].double().log_softmax(-1)[tokens[t]])
    shared = sum(1 for c in text if c == "z") * math.log(0x110000 - 2)
    return math.exp(sum(logs[:-1]) - shared), math.exp(logs[-1])


def test_number_of_parameters():
    for tie, positions in ((True, "rotary"), (False, "learned")):
        model = GPT(**{**FAST, "n_layers": 3, "tie_weights": tie, "positions": positions}).fit(["abc"])
        V, d, L, T = 5, 32, 3, 16
        expected = V * d + 12 * L * d**2 + (2 * L + 1) * d
        expected += 0 if tie else V * d + T * d
        assert sum(p.numel() for p in model.net_.module_.parameters()) == expected


# -- oracle ---------------------------------------------------------------------------------------


def test_logits_equal_a_straightforward_network(plain):
    """The same arithmetic with torch's functions, one layer after the other."""
    w = plain.net_.module_.state_dict()
    rng = np.random.default_rng(0)
    x = torch.from_numpy(rng.integers(2, plain.spec_["n_tokens"], size=(3, 11)))
    d, heads, n = 32, 2, 11
    i = torch.arange(0, d // heads, 2)
    angle = torch.arange(n)[:, None] * 10000.0 ** (-i / (d // heads))
    turn = torch.polar(torch.ones_like(angle), angle)

    def rotated(z):
        pairs = torch.view_as_complex(z.reshape(*z.shape[:-1], -1, 2).contiguous())
        return torch.view_as_real(pairs * turn).flatten(-2)

    h = w["embed.weight"][x]
    for layer in range(2):
        name = f"blocks.{layer}."
        z = F.layer_norm(h, (d,), w[name + "norm1.weight"])
        q, k, v = (z @ w[name + "attention.qkv.weight"].T).split(d, dim=-1)
        q, k, v = (part.view(3, n, heads, -1).transpose(1, 2) for part in (q, k, v))
        a = F.scaled_dot_product_attention(rotated(q), rotated(k), v, is_causal=True)
        h = h + a.transpose(1, 2).reshape(3, n, d) @ w[name + "attention.out.weight"].T
        z = F.layer_norm(h, (d,), w[name + "norm2.weight"])
        z = F.gelu(z @ w[name + "feed_forward.0.weight"].T)
        h = h + z @ w[name + "feed_forward.2.weight"].T
    expected = F.layer_norm(h, (d,), w["norm.weight"]) @ w["embed.weight"].T
    torch.testing.assert_close(logits_of(plain, x), expected, rtol=1e-5, atol=1e-5)


def test_likelihood_and_bits_per_byte_by_hand(model):
    for text in ("the cat", "", "a cat sleeps on the warm mat. the ship", "né"):
        tokens = model._tokens([text])[0]
        T, total = model.block_size, 0.0
        for t in range(1, len(tokens)):
            context = tokens[windows.window_start(t, T) : t]
            p = logits_of(model, context[None])[0, -1].double().softmax(-1)[tokens[t]]
            total += math.log(p)
        if model.tokenizer == "char":
            known = set(model.tokenizer_.characters)
            total -= sum(c not in known for c in text) * math.log(0x110000 - len(known))
        assert model.score_samples([text])[0] == pytest.approx(total, rel=1e-5)
        if text:
            bits = -total / math.log(2) / len(text.encode())
            assert model.bits_per_byte([text]) == pytest.approx(bits, rel=1e-5)
        assert model.perplexity([text]) == pytest.approx(math.exp(-total / (len(tokens) - 1)), rel=1e-5)


def test_states_by_hand(plain):
    long = "the cat sleeps on the warm mat. " * 3
    states = plain.transform(["the cat", long, ""])
    assert states.shape == (3, 32)
    assert states.dtype == np.float32
    with torch.no_grad():
        h = plain.net_.module_.states(torch.from_numpy(plain._tokens(["the cat"])[0][None, :-1]))
    np.testing.assert_allclose(states[0], h[0].mean(0), rtol=1e-4, atol=1e-5)
    assert list(plain.get_feature_names_out()[:2]) == ["gpt0", "gpt1"]


def test_choice_follows_the_probabilities():
    logits = torch.tensor([[0.0, math.log(3), math.log(6), -torch.inf]])  # .1, .3, .6, 0
    u = np.linspace(0, 1, 1000, endpoint=False)

    def share(**how):
        given = {"temperature": 1.0, "top_k": None, "top_p": 1.0, **how}
        return np.bincount(choose(logits.expand(1000, -1), u, **given), minlength=4) / 1000

    np.testing.assert_allclose(share(), [0.1, 0.3, 0.6, 0], atol=2e-3)
    np.testing.assert_allclose(share(temperature=0.5), [1 / 46, 9 / 46, 36 / 46, 0], atol=2e-3)
    np.testing.assert_allclose(share(temperature=0), [0, 0, 1, 0])
    np.testing.assert_allclose(share(top_k=2), [0, 1 / 3, 2 / 3, 0], atol=2e-3)
    np.testing.assert_allclose(share(top_p=0.59), [0, 0, 1, 0])
    np.testing.assert_allclose(share(top_p=0.61), [0, 1 / 3, 2 / 3, 0], atol=2e-3)
    np.testing.assert_allclose(share(top_k=1), [0, 0, 1, 0])


# -- character ------------------------------------------------------------------------------------


def test_cache_changes_nothing(model):
    prompts = ["the cat", "", "a ship sails over the warm, warm sea and", "zé"]
    for how in ({"temperature": 0}, {"random_state": 3}, {"random_state": 4, "top_k": 5}):
        fast, slow = (model.generate(prompts, 60, cache=c, **how) for c in (True, False))
        assert fast == slow
        assert all(text.startswith(prompt) for text, prompt in zip(fast, prompts, strict=True))


@pytest.mark.parametrize("lengths", [(3, 15, 1, 40), (2, 2), (7,)])
def test_cached_logits_equal_uncached_ones(model, lengths):
    from zoo.engines.language.decoding import Context

    rng = np.random.default_rng(0)
    n = model.spec_["n_tokens"]
    prompts = [np.r_[0, rng.integers(2, n, size=k)] for k in lengths]
    decoder = model.net_.module_.eval()
    with torch.inference_mode():
        contexts = [Context(decoder, prompts, cached) for cached in (True, False)]
        fast, slow = (context.begin() for context in contexts)
        torch.testing.assert_close(fast, slow, rtol=0, atol=1e-5)
        for _ in range(40):
            tokens = rng.integers(2, n, size=len(prompts)).tolist()
            fast, slow = (context.extend(tokens) for context in contexts)
            torch.testing.assert_close(fast, slow, rtol=0, atol=1e-5)


def test_other_prompts_change_nothing(model):
    prompts = ["the", "a cat sleeps on", ""]
    together = model.generate(prompts, 30, random_state=0)
    assert model.generate(prompts[:1], 30, random_state=0) == together[:1]
    assert model.generate("the", 30, random_state=0) == together[0]
    scores = model.score_samples([*prompts, "x" * 70])
    alone = [model.score_samples([p])[0] for p in (*prompts, "x" * 70)]
    np.testing.assert_allclose(scores, alone, rtol=1e-5)


def test_longer_writing_begins_like_shorter_writing(plain):
    short, long = (plain.generate(["the", "a"], n, random_state=0) for n in (5, 40))
    assert all(b.startswith(a) for a, b in zip(short, long, strict=True))


def test_samples_are_distributed_as_they_are_scored():
    model = GPT(**{**FAST, "max_epochs": 60, "lr": 1e-2}).fit(["a", "ab", "b", "b", ""] * 4)
    drawn = model.sample(4000, random_state=0)
    for text in ("a", "ab", "b", ""):
        p = math.exp(model.score_samples([text])[0])
        assert drawn.count(text) / 4000 == pytest.approx(p, abs=0.03)
        assert p > 0.1
    assert model.sample(7, random_state=0) == drawn[:7]
    assert model.sample(2, random_state=1) != model.sample(2, random_state=5)


def test_learns_a_grammar():
    """Brackets that match: what follows depends on what is open, however long ago it was opened."""
    rng = np.random.default_rng(0)

    def phrase(depth):
        if depth == 0 or rng.random() < 0.3:
            return "x"
        left, right = ("()", "[]")[rng.integers(2)]
        return left + phrase(depth - 1) + right

    texts = [phrase(5) for _ in range(300)]
    model = GPT(**{**SMALL, "lr": 3e-3, "max_epochs": 70}).fit(texts)
    good = 0
    for text in model.sample(100, random_state=0):
        left, _, right = text.partition("x")
        good += right == left[::-1].translate(str.maketrans("([", ")]"))
    assert good >= 90


def test_learns_by_heart():
    text = "to be, or not to be, that is the question"
    model = GPT(**{**SMALL, "block_size": 64, "max_epochs": 150, "lr": 3e-3}).fit([text] * 12)
    assert model.generate("to be, or", 60, temperature=0) == text
    assert model.perplexity([text]) < 1.2
    assert model.score([text]) > model.score([text[::-1]])


def test_context_beyond_the_window_is_forgotten(plain):
    a, b = (plain._tokens([c + "the cat sat on the warm mat by the sea"])[0][:-1] for c in "ab")
    decoder = plain.net_.module_.eval()
    from zoo.engines.language.decoding import Context

    with torch.inference_mode():
        la, lb = (Context(decoder, [t], True).begin() for t in (a, b))
    torch.testing.assert_close(la, lb)


def test_mixture_keeps_its_experts_busy():
    texts = ["the cat purrs on the mat. " * 4] * 6
    shares = []
    for load_balance in (0.0, 0.1):
        model = GPT(
            **{**FAST, "n_experts": 4, "top_k_experts": 1, "max_epochs": 40, "lr": 1e-2},
            load_balance=load_balance,
        ).fit(texts)
        decoder = model.net_.module_.train()
        _, balance = decoder(torch.from_numpy(model._tokens(texts[:1])[0][None, :16]))
        shares.append(balance.item())
    assert shares[1] < 1.3
    assert shares[1] <= shares[0] + 0.05


def test_dropout_draws_from_its_own_generator_and_only_in_training():
    models = [GPT(**{**FAST, "dropout": 0.3}).fit(TEXTS) for _ in range(2)]
    scores = [m.score_samples(TEXTS[:4]) for m in models]
    np.testing.assert_array_equal(*scores)
    np.testing.assert_array_equal(scores[0], models[0].score_samples(TEXTS[:4]))
    without = GPT(**FAST).fit(TEXTS).score_samples(TEXTS[:4])
    assert not np.allclose(scores[0], without)


def test_number_of_steps_is_as_documented():
    seen = []

    from skorch.callbacks import Callback

    class Count(Callback):
        def on_batch_end(self, net, training=None, **kwargs):
            seen.append(training)

    model = GPT(**{**FAST, "max_epochs": 2}, windows_per_epoch=50, callbacks=[Count()])
    model.fit(TEXTS)
    assert len(seen) == 2 * math.ceil(50 / 12)
    assert model.n_iter_ == 2


def test_validation_and_early_stopping():
    model = GPT(**FAST).fit(TEXTS, X_val=["a cat."] * 3)
    assert len(model.history_["valid_loss"]) == 3
    single = GPT(**{**FAST, "early_stopping": True, "validation_fraction": 0.25})
    single.fit(["the cat sat on the mat. " * 20])
    assert np.isfinite(single.history_["valid_loss"]).all()
    eager = GPT(**{**FAST, "max_epochs": 100, "early_stopping": True, "n_iter_no_change": 2, "lr": 0.1})
    assert eager.fit(TEXTS).n_iter_ < 100


def test_watched_loss_is_that_of_the_text():
    model = GPT(**{**FAST, "block_size": 8}).fit(TEXTS, X_val=["a cat", "mat"])
    # 8 + 2 tokens with the ends: two windows of eight, the second filled up from the beginning.
    stream = windows.stream_of(model.tokenizer_, ["a cat", "mat"])
    x, y = windows.blocks_of_stream(stream, 8)
    expected = F.cross_entropy(logits_of(model, x).flatten(0, 1), torch.from_numpy(y).flatten().long())
    assert model.history_["valid_loss"][-1] == pytest.approx(float(expected), rel=1e-5)


def test_goes_on_where_it_stopped():
    model = GPT(**FAST).fit(TEXTS)
    before = model.score(TEXTS)
    for _ in range(5):
        model.partial_fit(TEXTS)
    assert model.n_iter_ == 8
    assert model.score(TEXTS) > before
    tokens = len(model.tokenizer_)
    model.partial_fit(["unknown: Ω"])
    assert len(model.tokenizer_) == tokens
    warm = GPT(**{**FAST, "warm_start": True}).fit(TEXTS).fit(TEXTS)
    assert warm.n_iter_ == 6
    assert warm.net_.optimizer_.param_groups[0]["lr"] > 0


# -- contract -------------------------------------------------------------------------------------


def test_copies_and_files(model, tmp_path):
    zoo.save(model, tmp_path / "model.zoo")
    twins = [
        pickle.loads(pickle.dumps(model)),
        copy.deepcopy(model),
        zoo.load(tmp_path / "model.zoo"),
    ]
    expected = model.score_samples(TEXTS[:4])
    for twin in twins:
        np.testing.assert_array_equal(twin.score_samples(TEXTS[:4]), expected)
        assert twin.generate("the", 20, random_state=0) == model.generate("the", 20, random_state=0)
        assert len(twin.partial_fit(TEXTS).history_["train_loss"]) >= 1
    np.testing.assert_array_equal(model.score_samples(TEXTS[:4]), expected)
    assert clone(model).get_params() == model.get_params()


def test_same_seed_same_model():
    a, b, c = (GPT(**{**FAST, "random_state": seed}).fit(TEXTS) for seed in (1, 1, 2))
    np.testing.assert_array_equal(a.score_samples(TEXTS), b.score_samples(TEXTS))
    assert not np.allclose(a.score_samples(TEXTS), c.score_samples(TEXTS))


def test_in_a_search_and_in_a_pipeline():
    search = GridSearchCV(GPT(**FAST), {"lr": [1e-5, 1e-2]}, cv=2, n_jobs=2).fit(TEXTS)
    assert search.best_params_ == {"lr": 1e-2}
    y = [0, 0, 1, 1] * 5
    pipeline = make_pipeline(GPT(**FAST), LogisticRegression(C=100, max_iter=1000))
    assert pipeline.fit(TEXTS, y).score(TEXTS, y) == 1.0


def test_bad_values_are_told(plain):
    with pytest.raises(ValueError, match="width=30 is no multiple of n_heads=4"):
        GPT(width=30).fit(TEXTS)
    with pytest.raises(ValueError, match="make width / n_heads even"):
        GPT(width=12, n_heads=4).fit(TEXTS)
    with pytest.raises(ValueError, match="top_k_experts=3 of n_experts=2"):
        GPT(n_experts=2, top_k_experts=3).fit(TEXTS)
    with pytest.raises(ValueError, match="one string"):
        GPT().fit("the cat")
    with pytest.raises(ValueError, match="every document of X is empty"):
        plain.bits_per_byte(["", ""])
    for bad in (
        {"temperature": -1},
        {"top_p": 0.0},
        {"top_p": 1.5},
        {"top_k": 0},
        {"max_new_tokens": 0},
    ):
        (name,) = bad
        with pytest.raises(ValueError, match=f"{name}=.* is not accepted"):
            plain.generate("a", **bad)


# -- real text ------------------------------------------------------------------------------------


@pytest.mark.data
@pytest.mark.slow
def test_shakespeare_at_the_configuration_of_nanogpt(data_dir):
    with gzip.open(data_dir / "text" / "tinyshakespeare.txt.gz", "rt", encoding="utf8") as file:
        text = file.read()
    cut = int(0.9 * len(text))
    schedule = ("warm_up_cosine", {"warm_up": 100, "total": 2000, "floor": 0.1})
    model = GPT(
        max_epochs=10, windows_per_epoch=2400, schedule=schedule,
        n_iter_no_change=None, random_state=0,
    )  # fmt: skip
    model.fit([text[:cut]], X_val=[text[cut:]])
    assert model.history_["valid_loss"][-1] <= 1.88
