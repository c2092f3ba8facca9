"""Who gets which checks, and running them."""

import inspect
import time
import warnings
from collections.abc import Callable, Collection, Iterator
from functools import partial
from typing import Any
from unittest import SkipTest

from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, SkipTestWarning
from sklearn.utils.estimator_checks import estimator_checks_generator

from zoo.conformance._capabilities import BY_CAPABILITY
from zoo.conformance._case import Case, Checker, lowered
from zoo.conformance._environments import toy_environment
from zoo.conformance._everyone import EVERYONE
from zoo.conformance._inputs import BY_INPUT
from zoo.conformance._report import Nonconformity, NotApplicable, Report, Result
from zoo.conformance._roles import BY_ROLE
from zoo.conformance._state import global_state_restored
from zoo.contract.estimator import Estimator
from zoo.contract.params import REQUIRED, fields_of

# scikit-learn's checks ask for good scores on a few hundred rows, so fits are longer there.
SKLEARN_BUDGETS = {"max_epochs": 40, "hidden_size": 32}

# Fewer checks than scikit-learn has for an estimator of that kind means that some were dodged.
# It has 55 and more for classifiers and regressors, 41 where there are no targets.
FEWEST_SKLEARN_CHECKS = {"Classifier": 50, "Regressor": 50}
FEWEST_SKLEARN_CHECKS_UNSUPERVISED = 40
FEWEST_CHECKS = 50


def checks_for(case: Case) -> list[Checker]:
    """List the checks that concern this estimator, each once."""
    found = list(EVERYONE)
    for role in case.card.roles:
        found += BY_ROLE[role]
    found += BY_INPUT[case.input.name]
    for name, capability in BY_CAPABILITY.items():
        if case.input.name not in capability.inputs:
            continue
        if capability.roles and not set(capability.roles) & set(case.card.roles):
            continue
        found += capability.claimed if name in case.capabilities else capability.unclaimed
    return list(dict.fromkeys(found))


def check_names() -> list[str]:
    """Name every check of the zoo."""
    groups = [EVERYONE, *BY_ROLE.values(), *BY_INPUT.values()]
    groups += [c.claimed + c.unclaimed for c in BY_CAPABILITY.values()]
    names = dict.fromkeys(c.__name__ for group in groups for c in group)
    return [*names, "check_capabilities_known", "check_number_of_checks"]


# -- running --------------------------------------------------------------------------------------


def check(estimator: Any, *, native: bool = True, only: Collection[str] | None = None) -> Report:
    """Run the conformance suite on an estimator and report what it found.

    Parameters
    ----------
    estimator : Estimator instance or class
        What to check. A class is made with its defaults; an agent gets a toy environment.
    native : bool, default=True
        Whether to run the suites of the zoo after scikit-learn's checks.
    only : collection of str, optional
        Names of the checks to run; None runs all of them.

    Returns
    -------
    report : Report
        Every check with its status; ``print(report)`` is the summary, ``report.ok`` the verdict.

    Examples
    --------
    >>> from zoo import LogisticRegression
    >>> from zoo.conformance import check
    >>> check(LogisticRegression, only=["check_pickle", "check_sparse"]).names("passed")
    ['check_pickle', 'check_sparse']
    """
    estimator = instance(estimator)
    excused = dict(type(estimator).excused)
    with global_state_restored(), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        results = list(_sklearn_results(estimator, excused, only))
        if native:
            results += _native_results(estimator, excused, only)
    if only is None:
        results += _counted(estimator, results, native)
    results += _needless(excused, results, complete=native and only is None)
    return Report(type(estimator).__name__, tuple(results))


def instance(estimator: Any) -> Any:
    """Return an object of a class (agents get a toy environment), or the object itself."""
    if isinstance(estimator, type) and issubclass(estimator, Estimator):
        given = {}
        if estimator.input.name == "env":
            given["env"] = toy_environment(estimator.input)
        needed = [n for n, f in fields_of(estimator).items() if f.default is REQUIRED]
        if set(needed) - set(given):
            raise TypeError(
                f"{estimator.__name__} cannot be made without {', '.join(needed)}; give check an instance."
            )
        return estimator(**given)
    if not isinstance(estimator, Estimator):
        raise TypeError(
            f"check takes an estimator of the zoo (a subclass of zoo.contract.estimator.Estimator), not "
            f"{estimator!r}; scikit-learn's check_estimator serves others."
        )
    return estimator


def _run(name: str, call: Callable[[], Any], source: Any, excused: dict[str, str]) -> Result:
    began = time.process_time()
    error: Exception | None = None
    status: Any = "passed"
    reason = ""
    try:
        call()
    except (NotApplicable, SkipTest) as skip:
        status, reason = "skipped", str(skip) or "scikit-learn skips it here"
    except Exception as caught:
        error = caught
        if name in excused:
            status, reason = "excused", excused[name]
        else:
            status, reason = "failed", _sentence(caught)
    return Result(name, status, reason, source, error, time.process_time() - began)


def _sentence(error: Exception) -> str:
    if isinstance(error, Nonconformity):
        return str(error)
    return f"{type(error).__name__}: {' '.join(str(error).split())[:600]}"


def _sklearn_results(
    estimator: Any, excused: dict[str, str], only: Collection[str] | None
) -> Iterator[Result]:
    if not estimator.input.two_d_array:
        yield Result(
            "scikit-learn's check_estimator",
            "skipped",
            f"it looks only at two-dimensional arrays, and {estimator.input.name} is not one; "
            "nothing of it counts here",
            "scikit-learn",
        )
        return
    flat = clone(estimator).set_params(
        **lowered(estimator.get_params(deep=False), SKLEARN_BUDGETS),
        **estimator.input.flattened_params(fields_of(type(estimator))),
    )
    with warnings.catch_warnings():
        # What scikit-learn leaves out is counted and fails in check_number_of_checks.
        warnings.simplefilter("ignore", SkipTestWarning)
        checkers = list(estimator_checks_generator(flat))
    for instance, checker in checkers:
        name = _name_of(checker)
        if only is None or name in only:
            yield _run(name, partial(checker, instance), "scikit-learn", excused)


def _name_of(checker: Any) -> str:
    while isinstance(checker, partial):
        checker = checker.func
    return str(inspect.unwrap(checker).__name__)


def _native_results(estimator: Any, excused: dict[str, str], only: Collection[str] | None) -> list[Result]:
    case = Case(estimator)
    results = []
    for checker in checks_for(case):
        if only is None or checker.__name__ in only:
            results.append(_run(checker.__name__, partial(checker, case), "zoo", excused))
    unknown = sorted(case.capabilities - set(BY_CAPABILITY))
    if only is None or "check_capabilities_known" in only:
        results.append(
            Result(
                "check_capabilities_known",
                "failed" if unknown else "passed",
                f"no check proves the claimed {', '.join(unknown)}" if unknown else "",
                error=Nonconformity("unknown capabilities") if unknown else None,
            )
        )
    return results


def _counted(estimator: Any, results: list[Result], native: bool) -> list[Result]:
    """Fail an estimator for which too few checks ran: nothing looked at it."""
    if not estimator.input.two_d_array:
        return []
    ran = Report("", tuple(results))
    roles = type(estimator).card().roles
    fewest = max(
        (FEWEST_SKLEARN_CHECKS.get(r, FEWEST_SKLEARN_CHECKS_UNSUPERVISED) for r in roles),
        default=FEWEST_SKLEARN_CHECKS_UNSUPERVISED,
    )
    sentence = ""
    if ran.n_sklearn < fewest:
        sentence = f"only {ran.n_sklearn} checks of scikit-learn ran; {fewest} is the least"
    elif native and ran.n_ran < FEWEST_CHECKS:
        sentence = f"only {ran.n_ran} checks ran; {FEWEST_CHECKS} is the least"
    return [
        Result(
            "check_number_of_checks",
            "failed" if sentence else "passed",
            sentence,
            error=Nonconformity(sentence) if sentence else None,
        )
    ]


def _needless(excused: dict[str, str], results: list[Result], *, complete: bool) -> list[Result]:
    """An excuse for a check that passes, or that does not exist, is itself a failure."""
    found = []
    for name, reason in excused.items():
        status = {r.status for r in results if r.name == name}
        sentence = ""
        if status and "excused" not in status and "skipped" not in status:
            sentence = f"is excused ({reason}), but passes: drop the excuse"
        elif not status and complete:
            sentence = f"is excused ({reason}), but no check of that name runs: drop the excuse"
        elif not reason.strip():
            sentence = "is excused without a reason"
        if sentence:
            found.append(Result(name, "failed", sentence, error=Nonconformity(sentence)))
    return found
