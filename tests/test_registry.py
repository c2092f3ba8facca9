import importlib
import json
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.model_selection import GridSearchCV, ParameterSampler

import zoo
from zoo import registry
from zoo.contract.estimator import Estimator
from zoo.contract.kept import key_of
from zoo.registry import (
    FAMILIES,
    FUNCTIONS,
    ROOT,
    all_estimators,
    build,
    card,
    decorated,
    entries,
    find,
    kept,
    leaf_modules,
    leaves_of,
    matching,
    name_of,
    resolve,
    sklearn_estimators,
)

NAMES = [row["name"] for row in entries()]
RNG = np.random.default_rng(0)
X = RNG.normal(size=(12, 3))
Y = np.arange(12) % 2


def run(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT.parent, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


# -- the index is what the modules say ------------------------------------------------------------


def test_index_and_stub_are_up_to_date():
    index, stub = build()
    again = "run `python -m zoo.registry`"
    assert (ROOT / "index.json").read_text(encoding="utf-8") == index, again
    assert (ROOT / "__init__.pyi").read_text(encoding="utf-8") == stub, again
    assert json.loads((ROOT / "kept.json").read_text(encoding="utf-8")) == decorated(), again


def test_what_files_may_name_stands_where_the_table_says():
    assert not set(kept()) & set(NAMES)
    for key, module in kept().items():
        assert key_of(getattr(importlib.import_module(module), key)) == key


def test_index_is_sorted_and_names_are_unique():
    assert sorted(NAMES, key=str.lower) == NAMES
    assert len(set(NAMES)) == len(NAMES)


def test_every_family_module_holds_an_estimator():
    for module in leaf_modules():
        assert module.split(".")[1] in FAMILIES


def test_leaves_of_a_module_are_its_own_concrete_classes():
    (ridge,) = leaves_of("zoo.linear.ridge")
    assert ridge.__name__ == "Ridge"
    assert not ridge.abstract


@pytest.mark.parametrize("name", NAMES)
def test_public_name_is_the_class(name):
    cls = getattr(zoo, name)
    assert cls is find(name)
    assert issubclass(cls, Estimator)
    assert name in dir(zoo)


def test_public_functions():
    for module, names in FUNCTIONS.items():
        for name in names:
            if (ROOT / f"{module}.py").exists():
                assert callable(getattr(zoo, name))
    assert zoo.conformance.check
    assert zoo.__version__.count(".") == 2


# -- what importing costs -------------------------------------------------------------------------

HEAVY = ("torch", "sklearn", "numba", "pandas", "scipy", "numpy", "skorch")


def test_import_of_the_package_imports_nothing_heavy():
    assert run(f"import sys, zoo; print([m for m in {HEAVY} if m in sys.modules])") == "[]"


def test_listing_imports_nothing_heavy():
    code = (
        "import sys; from zoo.registry import entries; "
        f"print(len(entries()), [m for m in {HEAVY} if m in sys.modules])"
    )
    assert run(code) == f"{len(NAMES)} []"


def test_cards_are_read_without_torch_and_numba():
    code = (
        "import sys; from zoo.registry import entries, card; "
        "[card(row['name']) for row in entries()]; "
        "print([m for m in ('torch', 'numba', 'skorch', 'gymnasium', 'tokenizers') "
        "if m in sys.modules])"
    )
    assert run(code) == "[]"


# -- looking up -----------------------------------------------------------------------------------


def test_entries_are_filtered():
    assert "Ridge" in [row["name"] for row in entries(role="regressor", input="Table")]
    for row in entries(role="Classifier", capability="sparse"):
        assert "Classifier" in row["roles"]
        assert "sparse" in row["capabilities"]
    assert entries(role="Regressor", input="table", capability="sparse")


@pytest.mark.parametrize(
    ("wanted", "sentence"),
    [
        ({"role": "Oracle"}, "'Oracle' is none of the known values for role: .*Regressor"),
        ({"input": "sound"}, "'sound' is none of the known values for input: .*table"),
        ({"capability": "magic"}, "'magic' is none of the known values for capabilit.*sparse"),
    ],
)
def test_unknown_filters_are_refused(wanted, sentence):
    with pytest.raises(ValueError, match=sentence):
        entries(**wanted)


def test_find_refuses_what_there_is_not():
    with pytest.raises(ValueError, match=r"the zoo has no method 'Rigde'. Did you mean 'Ridge'"):
        find("Rigde")
    with pytest.raises(ValueError, match="`zoo list` shows what there is"):
        find("os.system")


def test_all_estimators_gives_names_and_classes():
    found = dict(all_estimators(role="classifier"))
    assert "LogisticRegression" in found
    assert "Ridge" not in found
    assert all(cls.__name__ == name for name, cls in found.items())


def test_card_by_name():
    assert card("Ridge").name == "Ridge"
    assert card("Ridge") == zoo.Ridge.card()


# -- what could be fitted to these data -----------------------------------------------------------


def test_matching_looks_at_targets():
    assert {"Ridge", "LogisticRegression"} <= set(matching(X, Y))
    assert "LogisticRegression" not in matching(X, X[:, 0])
    assert "Ridge" in matching(X, X[:, 0])
    assert "Ridge" not in matching(X, np.where(Y, "yes", "no"))
    assert "LogisticRegression" in matching(X, np.where(Y, "yes", "no"))
    assert "Ridge" not in matching(X)


def test_matching_looks_at_what_x_needs():
    sparse = matching(sp.csr_array(X), X[:, 0])
    assert "Ridge" in sparse
    assert all("sparse" in row["capabilities"] for row in entries() if row["name"] in sparse)
    holes = np.where(X > 1.5, np.nan, X)
    holes[0, 0] = np.nan
    assert "Ridge" not in matching(holes, X[:, 0])
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    assert "Ridge" in matching(frame, X[:, 0])
    assert "Ridge" not in matching(frame.assign(word="x"), X[:, 0])
    assert "Ridge" not in matching(frame.where(frame < 1, np.nan), X[:, 0])


def test_matching_counts_outputs():
    Y2 = np.column_stack([X[:, 0], X[:, 1]])
    several = matching(X, Y2)
    assert "Ridge" in several
    assert all("multi_output" in row["capabilities"] for row in entries() if row["name"] in several)
    assert "Ridge" in matching(X, X[:, :1])
    labels = matching(X, (Y2 > 0).astype(int))
    assert "RandomForestClassifier" in labels
    assert "LogisticRegression" not in labels


@pytest.mark.parametrize(
    ("data", "inputs"),
    [
        (X, {"table", "series"}),
        (RNG.normal(size=(4, 9)), {"table", "series", "images"}),
        (X.tolist(), {"table", "series"}),
        (pd.DataFrame(X), {"table"}),
        (sp.csr_array(X), {"table"}),
        (np.zeros((2, 3, 8, 8)), {"images"}),
        (np.zeros((2, 8, 8)), {"images", "series"}),
        (["a text", "another"], {"text"}),
        (np.array(["a", "b"], dtype=object), {"text"}),
        ([np.zeros((2, 3)), np.zeros((2, 5))], {"series"}),
        (np.array([[1, 2], [3, 4]]), {"table", "series", "pairs"}),
        (pd.DataFrame({"user": ["a", "b"], "item": [1, 2]}), {"table", "pairs"}),
        (np.arange(5), {"env"}),
        (np.zeros(5), set()),
    ],
)
def test_inputs_of_containers(data, inputs):
    assert registry._inputs_of(data) == inputs


def test_matching_methods_really_fit():
    amounts = np.abs(X) + 1
    for name in matching(amounts, amounts[:, 0]):
        if card(name).input == "table":
            cls = find(name)
            few = {"max_epochs": 1} if "max_epochs" in cls().get_params() else {}
            assert cls(**few).fit(amounts, amounts[:, 0]).__sklearn_is_fitted__()


def test_build_of_one_family_keeps_the_rows_of_the_others():
    index, _ = build(("mlp",))
    assert [row["name"] for row in json.loads(index)] == NAMES


def test_index_ships_with_the_package():
    assert (Path(zoo.__file__).parent / "index.json").is_file()


# -- names ------------------------------------------------------------------------------------------


def test_names_mean_the_zoos_methods_first():
    for name in NAMES:
        assert resolve(name) is find(name)
        assert name_of(find(name)) == name


def test_names_of_scikit_learn():
    from sklearn.utils import all_estimators as listing

    for name, cls in listing():
        assert resolve(f"sklearn.{name}") is cls
        assert resolve(name_of(cls)) is cls
        assert name_of(cls) == (f"sklearn.{name}" if name in NAMES else name)
    assert sklearn_estimators()["PCA"] is resolve("PCA")


@pytest.mark.parametrize(
    "name",
    ["os.system", "sklearn.linear_model.Ridge", "builtins.eval", "zoo.Ridge", "", "sklearn.", "Ridge ",
     "BaseEstimator", "__class__", "sklearn.base.clone"],
)  # fmt: skip
def test_nothing_else_is_looked_up(name):
    with pytest.raises(ValueError, match=r"there is no estimator .* name one that there is"):
        resolve(name)


def test_a_close_name_is_suggested():
    with pytest.raises(ValueError, match="Did you mean 'Ridge'"):
        resolve("Rigde")
    with pytest.raises(ValueError, match="Did you mean 'SVC'"):
        resolve("svc")


def test_a_class_of_ones_own_has_no_name():
    class Ridge:
        pass

    assert name_of(Ridge) is None
    assert name_of(dict) is None


# -- ranges ---------------------------------------------------------------------------------------

SHORT = {"max_epochs": 1, "random_state": 0}


@pytest.mark.filterwarnings("ignore")  # that a setting drawn at random did not converge, and the like
@pytest.mark.parametrize("n", [3, pytest.param(30, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", NAMES)
def test_ranges_of_a_card_never_contain_what_raises(name, n):
    cls = find(name)
    if any(p.required for p in cls.card().parameters):
        pytest.skip("it needs an environment")
    ranges = {k: v for k, v in cls.card().distributions().items() if k not in SHORT}
    rows, targets = cls.input.toy(np.random.RandomState(0), 40)
    given = {k: v for k, v in SHORT.items() if k in cls._defaults}
    for drawn in ParameterSampler(ranges, n, random_state=0) if ranges else ({},):
        cls(**drawn, **given).fit(rows, targets)


# -- above the families ----------------------------------------------------------------------------


class HeldSearchCV(GridSearchCV):
    """A search of somebody else.

    It has no card.
    """


@pytest.fixture
def above(monkeypatch, tmp_path):
    """A registry in which a module above the families holds a search."""
    module = types.ModuleType("zoo.search.held")
    module.HeldSearchCV, module.GridSearchCV = HeldSearchCV, GridSearchCV
    monkeypatch.setattr(HeldSearchCV, "__module__", "zoo.search.held")
    monkeypatch.setitem(sys.modules, "zoo.search.held", module)
    monkeypatch.setattr(registry, "ABOVE", ("search.held",))
    index, stub = build(("search",))
    (tmp_path / "index.json").write_text(index, encoding="utf-8")
    monkeypatch.setattr(registry, "ROOT", tmp_path)
    registry._index.cache_clear()
    yield stub
    registry._index.cache_clear()


def test_a_search_above_the_families_is_public_and_found_by_name(above):
    assert "from .search.held import HeldSearchCV as HeldSearchCV" in above
    assert find("HeldSearchCV") is resolve("HeldSearchCV") is HeldSearchCV
    assert name_of(HeldSearchCV) == "HeldSearchCV"
    assert "HeldSearchCV" in registry.names()
    assert "| search | HeldSearchCV |" in registry.table()


def test_what_has_no_card_is_in_no_listing(above):
    assert [row["name"] for row in entries()] == NAMES
    assert "HeldSearchCV" not in dict(all_estimators())
    with pytest.raises(ValueError, match="HeldSearchCV has no card"):
        card("HeldSearchCV")


def test_rows_of_the_index_belong_to_whoever_asks():
    entries()[0]["roles"].append("Thief")
    assert "Thief" not in entries()[0]["roles"]
