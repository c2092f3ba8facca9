"""Tokenisers."""

import pickle
import sys

import numpy as np
import pytest

from zoo.engines.language.tokens import CODE_POINTS, END, UNKNOWN, BytePairs, Characters, from_state

TEXTS = ["the cat sat on the mat", "", "naïve 猫 \U0001f600", "the cat sat"]


def test_characters_are_numbered_by_code_point():
    tokenizer = Characters.learn(["ba", "c"], None)
    assert len(tokenizer) == 5
    assert tokenizer.encode("abc").tolist() == [2, 3, 4]
    assert tokenizer.encode("azb\ud800").tolist() == [2, UNKNOWN, 3, UNKNOWN]
    assert tokenizer.decode([2, 3, 4, UNKNOWN]) == "abc\ufffd"


def test_frequent_characters_are_kept():
    tokenizer = Characters.learn(["aaabbc"], 4)
    assert tokenizer.characters == "ab"
    with pytest.raises(ValueError, match="vocab_size=2 leaves no room"):
        Characters.learn(["aaabbc"], 2)


def test_unknown_characters_share_what_unicode_has_left():
    tokenizer = Characters.learn(["abc"], None)
    assert tokenizer.log_spread() == np.log(CODE_POINTS - 3)


def test_no_character_at_all():
    tokenizer = Characters.learn(["", ""], None)
    assert len(tokenizer) == 2
    assert tokenizer.encode("ab").tolist() == [UNKNOWN, UNKNOWN]


@pytest.mark.parametrize(("cls", "size"), [(Characters, None), (BytePairs, 270)])
def test_there_and_back_and_through_a_file(cls, size):
    tokenizer = cls.learn(TEXTS, size)
    for twin in (tokenizer, from_state(tokenizer.state()), pickle.loads(pickle.dumps(tokenizer))):
        assert len(twin) == len(tokenizer)
        for text in TEXTS:
            tokens = twin.encode(text)
            assert (tokens != END).all()
            np.testing.assert_array_equal(tokens, tokenizer.encode(text))
            assert twin.decode(tokens) == text


def test_byte_pairs_know_every_text():
    tokenizer = BytePairs.learn(["the cat sat on the mat"] * 3, 262)
    assert len(tokenizer) == 262
    for text in ("\x00\x7f", "猫が鳴く", "<|end|>", "\U0001f600é"):
        assert tokenizer.decode(tokenizer.encode(text)) == text
    assert tokenizer.decode(tokenizer.encode("a\ud800b")) == "a\ufffdb"
    assert len(tokenizer.encode("the")) < 3


def test_too_few_byte_pairs_are_refused():
    with pytest.raises(ValueError, match="give at least 257"):
        BytePairs.learn(["a"], 100)


def test_missing_package_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(ImportError, match=r"sklearn-zoo\[text\]"):
        BytePairs.learn(["a"], None)
