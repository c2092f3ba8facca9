import pytest

from zoo.contract.kept import kept, key_of, under_key
from zoo.contract.logits import log_softmax, softmax


def test_a_key_leads_to_what_bears_it_and_back():
    assert under_key("softmax") is softmax
    assert key_of(log_softmax) == "log_softmax"


def test_what_says_nothing_has_no_key():
    assert key_of(len) is None


def test_two_things_do_not_share_a_key():
    def another():
        """Bear the name of somebody else."""

    with pytest.raises(ValueError, match=r"files know zoo\.contract\.logits\.softmax as 'softmax'"):
        kept("softmax")(another)
    assert under_key("softmax") is softmax


def test_a_module_that_is_loaded_again_keeps_its_keys():
    assert kept("softmax")(softmax) is softmax
