from pathlib import Path

import pytest
from sklearn.metrics import get_scorer_names

import zoo
from zoo import registry
from zoo.contract.elsewhere import METHODS, METRICS, PARAMETERS, called_here
from zoo.contract.params import did_you_mean
from zoo.search import Plan


def test_every_word_leads_to_what_there_is():
    names = registry.names()
    parameters = {p.name for name in names for p in registry.card(name).parameters}
    for table, known in ((METHODS, names), (PARAMETERS, parameters), (METRICS, get_scorer_names())):
        for word, ours in table.items():
            assert set(ours) <= set(known), word


def test_the_guide_prints_the_tables():
    page = Path(__file__).parents[2] / "docs" / "guide" / "elsewhere.md"
    lines = page.read_text(encoding="utf-8").splitlines()
    for table in (METHODS, PARAMETERS, METRICS):
        for word, ours in table.items():
            assert f"| `{word}` | {', '.join(f'`{name}`' for name in ours)} |" in lines


def test_a_word_leads_only_to_what_is_known_there():
    assert called_here("learning_rate", ["lr"]) == "lr"
    assert called_here("learning_rate", ["alpha"]) is None
    assert did_you_mean("eta", ["learning_rate"]) == " It is called 'learning_rate' here."


@pytest.mark.parametrize(
    ("cause", "sentence"),
    [
        (lambda: zoo.BoostingClassifier(num_leaves=3), "'num_leaves'. It is called 'max_leaf_nodes' here"),
        (lambda: zoo.BoostingRegressor().set_params(lambda_l2=1), "It is called 'reg_lambda' here"),
        (lambda: zoo.MLPClassifier(max_iter=5), "It is called 'max_epochs' here"),
        (lambda: zoo.XGBClassifier, "zoo has no 'XGBClassifier'. It is called 'BoostingClassifier' here."),
        (lambda: zoo.Rigde, "zoo has no 'Rigde'. Did you mean 'Ridge'?"),
        (lambda: registry.card("LGBMRegressor"), "It is called 'BoostingRegressor' here"),
        (lambda: Plan(metrics=("rmse",)), "It is called 'neg_root_mean_squared_error' here"),
    ],
)
def test_words_of_others_lead_here_in_one_sentence(cause, sentence):
    with pytest.raises((TypeError, ValueError, AttributeError)) as failure:
        cause()
    assert sentence in str(failure.value)
