from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import pytest
from sklearn.datasets import make_regression
from sklearn.model_selection import RandomizedSearchCV

from zoo.contract.cards import Card, Parameter, prose_html, read_card
from zoo.contract.inputs import Input, Table, Text
from zoo.contract.params import REQUIRED, Fixed, NonNegative, Positive, Search
from zoo.contract.roles import Classifier, Regressor, Sampler, Transformer
from zoo.linear.logistic_regression import LogisticRegression
from zoo.linear.ridge import Ridge
from zoo.trees.boosting import BoostingRegressor


class Engine(Regressor, abstract=True):
    """Share a loop.

    Parameters
    ----------
    lr : float
        Step size
        of the loop.
    alpha : float
        The engine's word on alpha.

    Attributes
    ----------
    n_iter_ : int
        Steps taken.
    """

    extra_capabilities: ClassVar[tuple[str, ...]] = ("gpu",)

    lr: Positive = 0.1
    alpha: NonNegative = 1.0


class Method(Engine):
    r"""Fit a line,
    quickly.

    The first paragraph. With a rule

    .. math:: a = b

    and the second.

    .. math::
        \min_\beta \; |y - X\beta|^2
        + \alpha |\beta|^2

    Parameters
    ----------
    alpha : float, default=1.0
        The leaf's word on alpha.

        It may have two paragraphs.
    mode, other : str
        Two at once.
    env : object
        Required.

    Attributes
    ----------
    coef_ : array
        Coefficients.

    Notes
    -----
    Slow for large n.

    .. math:: O(n^3)

    References
    ----------
    Gauss (1809), Theoria motus.

    Examples
    --------
    >>> 1 + 1
    2
    """

    input: ClassVar[Input] = Table(sparse=True, missing=True, categories=True)

    env: Any
    mode: Literal["a", "b"] = "a"
    other: Annotated[str, Fixed("a test")] = "x"

    def _learn(self, X: Any, y: Any, w: Any, val: Any, resume: bool, steps: Any) -> None:
        self.mean_ = y.mean()


CARD = Method.card()


def test_card_reads_the_docstring():
    assert CARD.name == "Method"
    assert CARD.module == __name__
    assert CARD.roles == ("Regressor",)
    assert CARD.role == "Regressor"
    assert CARD.input == "table"
    assert CARD.summary == "Fit a line, quickly."
    assert CARD.description == "The first paragraph. With a rule\n\nand the second."
    assert CARD.notes == "Slow for large n."
    assert CARD.references == "Gauss (1809), Theoria motus."
    assert CARD.example == ">>> 1 + 1\n2"


def test_card_finds_every_equation():
    assert CARD.equations == (
        "a = b",
        "\\min_\\beta \\; |y - X\\beta|^2\n+ \\alpha |\\beta|^2",
        "O(n^3)",
    )


def test_card_has_a_row_for_every_parameter():
    rows = {p.name: p for p in CARD.parameters}
    assert list(rows) == ["env", "mode", "other", "lr", "alpha"]
    assert rows["alpha"] == Parameter(
        "alpha",
        1.0,
        "a number >= 0",
        "The leaf's word on alpha.\n\nIt may have two paragraphs.",
        Search(1e-6, 1e2, log=True),
    )
    assert rows["lr"].meaning == "Step size\nof the loop."  # from the engine
    assert rows["mode"].meaning == rows["other"].meaning == "Two at once."
    assert rows["mode"].accepts == "one of 'a', 'b'"
    assert rows["mode"].search == ["a", "b"]
    assert rows["other"].search == Fixed("a test")
    assert rows["env"].default is REQUIRED
    assert rows["env"].required
    assert not rows["lr"].required


def test_card_joins_attributes():
    assert CARD.attributes == {"coef_": "Coefficients.", "n_iter_": "Steps taken."}


def test_docstring_tells_what_is_inherited():
    doc = Method.__doc__
    assert doc.count("The leaf's word on alpha.") == 1
    assert "The engine's word" not in doc
    assert "lr : float\n    Step size\n    of the loop." in doc
    assert "n_iter_ : int\n    Steps taken." in doc
    assert doc.index("lr : float") < doc.index("Attributes\n-")


def test_capabilities_come_from_declarations():
    assert CARD.capabilities == (
        "sample_weight",
        "validation_data",
        "partial_fit",
        "callbacks",
        "sparse",
        "missing_values",
        "categories",
        "gpu",
    )


def test_capabilities_of_roles():
    class Margins(Classifier):
        """Separate."""

        logits: ClassVar[bool] = False

        def _learn(self, X: Any, y: Any, w: Any) -> None: ...

        def _scores(self, X: Any) -> Any: ...

    class Chances(Classifier):
        """Guess."""

        def _learn(self, X: Any, y: Any, w: Any) -> None: ...

        def _scores(self, X: Any) -> Any: ...

    class Density(Sampler, Transformer):
        """Draw."""

        input: ClassVar[Input] = Text()

        def _learn(self, X: Any) -> None: ...

        def _log_likelihood(self, X: Any) -> Any: ...

    assert Margins.card().capabilities == ("sample_weight",)
    assert Chances.card().capabilities == ("sample_weight", "probabilities")
    assert Density.card().capabilities == ("likelihood",)
    assert set(Density.card().roles) == {"Sampler", "Transformer"}
    assert Density.card().input == "text"


def test_card_names_what_is_missing():
    assert CARD.missing() == []

    class Bare(Regressor):
        alpha: NonNegative = 1.0

    assert set(read_card(Bare).missing()) == {
        "summary",
        "description",
        "equations",
        "references",
        "example",
        "meaning of alpha",
    }


def test_card_is_a_page():
    page = str(CARD)
    assert page.startswith("Method - Regressor on table\n\nFit a line, quickly.\n")
    for part in (
        "    \\min_\\beta",
        "Capabilities: sample_weight, validation_data",
        "  alpha: a number >= 0; default 1.0\n      The leaf's word on alpha.",
        "  env: any value; required",
        "Notes\n  Slow for large n.",
        "References\n  Gauss",
        "Example\n  >>> 1 + 1\n  2",
    ):
        assert part in page


def test_page_leaves_out_what_there_is_not():
    page = str(Card("A", "m", ("Sampler",), "text", "S.", "", (), (), {}, "", "", ""))
    assert page == "A - Sampler on text\n\nS.\n\nParameters"


@pytest.mark.parametrize("cls", [Ridge, LogisticRegression])
def test_cards_of_the_first_methods_are_complete(cls):
    card = cls.card()
    assert card.missing() == []
    assert len(card.parameters) == len(cls().get_params())
    assert all(p.default == cls().get_params()[p.name] for p in card.parameters)


def test_cards_are_read_from_the_class_not_the_instance():
    assert Ridge(alpha=3).card() == Ridge.card()
    assert Ridge.card().capabilities == ("sample_weight", "sparse", "multi_output", "gpu")
    assert np.array_equal(Ridge.card().roles, ["Regressor"])


# -- for web pages ------------------------------------------------------------------------------


def test_card_as_html_has_the_equation_and_no_links():
    html = Ridge.card()._repr_html_()
    assert "Least squares with a penalty" in html
    assert html.count("<math") >= 2
    assert "Hoerl and Kennard" in html
    assert "<code>alpha</code> 1.0" in html
    assert "href" not in html
    assert "src=" not in html


def test_card_as_html_escapes_everything():
    evil = "</div><script>alert(1)</script>"
    parameter = Parameter(evil, evil, evil, evil, None)
    html = Card(
        evil, evil, (evil,), evil, evil, evil, (evil,), (parameter,), {}, evil, evil, evil
    )._repr_html_()
    assert "<script" not in html
    assert html.count("</div>") <= 3


def test_prose_as_html():
    text = "One ``a < b`` and `c`.\n\nTwo :math:`\\alpha` & three."
    assert prose_html(text) == (
        "<p>One <code>a &lt; b</code> and <code>c</code>.</p>"
        "<p>Two <math><mi>α</mi></math> &amp; three.</p>"
    )
    assert prose_html("") == ""


# -- what a search may try ----------------------------------------------------------------------------


def test_distributions_draw_from_the_ranges_in_their_types():
    card = BoostingRegressor.card()
    ranges = card.distributions()
    for p in card.parameters:
        if isinstance(p.search, Fixed) or p.search is None:
            assert p.name not in ranges
        elif isinstance(p.search, list):
            assert ranges[p.name] == p.search
        else:
            drawn = ranges[p.name].rvs(size=200, random_state=0)
            assert drawn.min() >= p.search.low
            assert drawn.max() <= p.search.high
            assert (drawn.dtype.kind == "i") == p.integer


def test_integers_on_a_log_scale_are_as_likely_as_their_cells():
    leaves = BoostingRegressor.card().distributions()["n_estimators"]
    low, high = leaves.support()
    middle = int(np.sqrt(low * high))
    assert abs(leaves.cdf(middle) - 0.5) < 0.05


def test_a_random_search_of_scikit_learn_takes_them():
    X, y = make_regression(40, 3, random_state=0)
    ridge = Ridge()
    search = RandomizedSearchCV(ridge, ridge.card().distributions(), n_iter=4, cv=2, random_state=0)
    assert search.fit(X, y).best_estimator_.alpha > 0


def test_distributions_of_optuna_have_the_same_ends():
    optuna = pytest.importorskip("optuna")
    found = BoostingRegressor.card().distributions("optuna")
    scipy_ones = BoostingRegressor.card().distributions()
    assert found.keys() == scipy_ones.keys()
    for name, distribution in found.items():
        if isinstance(distribution, optuna.distributions.CategoricalDistribution):
            assert list(distribution.choices) == scipy_ones[name]
        else:
            ends = distribution.low, distribution.high
            assert ends == pytest.approx(scipy_ones[name].support())
