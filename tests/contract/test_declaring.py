"""Classes are made from fields: by position, by name, options of what they are given, the fit of _learn."""

import inspect
from typing import Annotated, Any

import pytest
from sklearn.base import clone

from zoo.contract.declaring import field
from zoo.contract.docstrings import keep_parameters
from zoo.contract.params import Fixed, NonNegative, Options
from zoo.contract.roles import Regressor, Sampler, Transformer


class Machine(Regressor, abstract=True):
    task: str = field(kw_only=False)
    alpha: NonNegative = field(default=1.0, kw_only=False)
    beta: NonNegative = 2.0


class Given(Regressor, abstract=True):
    module: Annotated[Any, Options("module"), Fixed("it is code")] = None
    lr: NonNegative = 0.1


def test_fields_by_position_come_first_and_the_others_have_names():
    machine = Machine("sort", 3.0)
    assert machine.get_params() == {"task": "sort", "alpha": 3.0, "beta": 2.0}
    assert str(inspect.signature(Machine)) == "(task, alpha=1.0, *, beta=2.0)"
    with pytest.raises(TypeError, match=r"takes 2 parameter\(s\) by position, got 3"):
        Machine("sort", 3.0, 4.0)
    with pytest.raises(TypeError, match="got 'task' by position and by name"):
        Machine("sort", task="x")
    with pytest.raises(TypeError, match="needs the parameter 'task'"):
        Machine(alpha=1.0)


def test_an_inherited_field_stays_where_it_was():
    class Later(Machine, abstract=True):
        alpha = 5.0

    assert Later("x", 6.0).alpha == 6.0
    assert Later("x").alpha == 5.0


def test_options_go_to_what_is_given():
    given = Given(module=dict, module__width=3, lr=0.2)
    assert given.get_params() == {"module": dict, "module__width": 3, "lr": 0.2}
    assert clone(given).get_params() == given.get_params()
    assert given.set_params(module__depth=2, lr=0.3).get_params()["module__depth"] == 2
    with pytest.raises(TypeError, match="has no parameter 'modul__width'"):
        Given(modul__width=3)
    with pytest.raises(ValueError, match="has no parameter 'optimizer'"):
        given.set_params(optimizer__lr=1)


def test_a_role_is_what_declares_itself_not_what_bears_its_name():
    class Transformer_(Regressor, abstract=True):
        pass

    Transformer_.__name__ = "Transformer"

    class Leaf(Transformer_):
        """Leaf."""

    assert Leaf.card().roles == ("Regressor",)


def test_a_new_role_needs_one_word():
    class Oracle(Regressor, abstract=True, role="Oracle"):
        pass

    class Pythia(Oracle):
        """Leaf."""

    assert Pythia.card().roles == ("Regressor", "Oracle")


def test_roles_of_a_card_stand_in_the_order_of_their_declaration():
    class Leaf(Sampler, Transformer):
        """Leaf."""

    assert Leaf.card().roles == ("Transformer", "Sampler")


def test_docstrings_keep_the_parameters_that_a_fit_has():
    said = "Fit.\n\nParameters\n----------\nX : array\n    Rows.\ny, z : arrays\n    Two.\n"
    said += "w : array\n    Weights.\n\nReturns\n-------\nself : object"
    kept = keep_parameters(said, ("X", "z"))
    assert "X : array\n    Rows.\ny, z : arrays\n    Two." in kept
    assert "Weights" not in kept
    assert kept.endswith("Returns\n-------\nself : object")
