"""Who gets which checks, and running them."""

import inspect
import time
import traceback
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
from zoo.conformance._everyone import EVERYONE
from zoo.conformance._inputs import BY_INPUT
from zoo.conformance._report import Nonconformity, NotApplicable, Report, Result
from zoo.conformance._roles import BY_ROLE
from zoo.conformance._state import global_state_restored
from zoo.conformance._subject import Subject, subject_of
from zoo.conformance._targets import BY_TARGET
from zoo.conformance._toys import parameters_for
from zoo.conformance._wrappers import estimator_for
from zoo.contract.estimator import Estimator
from zoo.contract.inputs import Either
from zoo.contract.wrapper import Wrapper

# scikit-learn's checks ask for good scores on a few hundred rows, so fits are longer there.
SKLEARN_BUDGETS = {"max_epochs": 40, "hidden_size": 32}

# Fewer checks than scikit-learn has for an estimator of that kind means that some were dodged.
# It has 55 and more for classifiers and regressors, 41 where there are no targets.
FEWEST_SKLEARN_CHECKS = {"Classifier": 50, "Regressor": 50}
FEWEST_SKLEARN_CHECKS_UNSUPERVISED = 40
FEWEST_CHECKS = 50

# What only the zoo promises: a stranger has no card to read it from.
NEEDS_A_CARD = frozenset(
    {
        "check_card_complete",
        "check_docstring_example",
        "check_numeric_fields",
        "check_search_ranges",
        "check_init_only_stores",
        "check_parameters_refused",
        "check_refused_fit_keeps_state",
        "check_save_load",
        "check_no_rows_refused",
        "check_text_bare_string",
        "check_text_columns",
        "check_precision_follows_input",
        "check_one_class_refused",
        "check_class_weight",
        "check_weights_refused",
        "check_partial_fit_is_one_pass",
        "check_multi_output",
        *(c.__name__ for capability in BY_CAPABILITY.values() for c in capability.unclaimed),
    }
)


# What a wrapper hands on, so that only what it holds can be asked.
LEFT_TO_WHAT_IS_HELD = frozenset({"check_class_weight", "check_callbacks", "check_callbacks_unclaimed"})


def checks_for(case: Case) -> list[Checker]:
    """List the checks that concern this estimator, each once."""
    roles = case.subject.roles
    found = list(EVERYONE)
    for role in roles:
        found += BY_ROLE[role]
    found += [] if case.subject.stranger else BY_TARGET[case.subject.target.name]
    if isinstance(case.input, Either):
        found += BY_INPUT["either"]
    found += BY_INPUT[case.native.name]
    for name, capability in BY_CAPABILITY.items():
        if capability.inputs and case.native.name not in capability.inputs:
            continue
        if capability.roles and not set(capability.roles) & set(roles):
            continue
        found += capability.claimed if name in case.capabilities else capability.unclaimed
    if case.has_role("Wrapper"):
        found = [checker for checker in found if checker.__name__ not in LEFT_TO_WHAT_IS_HELD]
    left_out = NEEDS_A_CARD if case.subject.stranger else frozenset()
    return [checker for checker in dict.fromkeys(found) if checker.__name__ not in left_out]


def check_names() -> list[str]:
    """Name every check of the zoo."""
    groups = [EVERYONE, *BY_ROLE.values(), *BY_TARGET.values(), *BY_INPUT.values()]
    groups += [c.claimed + c.unclaimed for c in BY_CAPABILITY.values()]
    names = dict.fromkeys(c.__name__ for group in groups for c in group)
    return [*names, "check_capabilities_known", "check_number_of_checks"]


# -- running --------------------------------------------------------------------------------------


def check(estimator: Any, *, native: bool = True, only: Collection[str] | None = None) -> Report:
    """Run the conformance suite on an estimator and report what it found.

    Parameters
    ----------
    estimator : estimator instance or class
        What to check. A class is made with its defaults; an agent gets a toy environment, a wrapper
        something to hold. An estimator
        that is not the zoo's is asked what scikit-learn's conventions promise: its tags say what it can
        do, and checks that read a card are left out.
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
    subject = subject_of(estimator)
    excused = dict(subject.excused)
    with global_state_restored(), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        results = list(_sklearn_results(estimator, subject, only))
        if native:
            results += _native_results(estimator, excused, only)
    if only is None:
        results += _counted(subject, results, native)
    results += _needless(excused, results, complete=native and only is None)
    return Report(type(estimator).__name__, tuple(results))


def instance(estimator: Any) -> Any:
    """Return an object of a class (agents get a toy environment or game), or the object itself."""
    cls = estimator if isinstance(estimator, type) else type(estimator)
    missing = [name for name in ("fit", "get_params", "__sklearn_tags__") if not hasattr(cls, name)]
    if missing:
        raise TypeError(
            f"check takes an estimator that follows scikit-learn's conventions; {cls.__name__} has no "
            f"{' and no '.join(missing)}."
        )
    if cls is not estimator:
        return estimator
    given = {}
    if issubclass(cls, Wrapper):
        given = estimator_for(cls)
    elif issubclass(cls, Estimator):
        given = parameters_for(cls.input)
    needed = [
        name
        for name, parameter in inspect.signature(cls).parameters.items()
        if parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ]
    if set(needed) - set(given):
        raise TypeError(f"{cls.__name__} cannot be made without {', '.join(needed)}; give check an instance.")
    return cls(**given)


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
    words = " ".join(str(error).split())[:600]
    return f"{type(error).__name__}: {words or _where_raised(error)}"


def _where_raised(error: Exception) -> str:
    """Quote the line that raised an error without words."""
    *_, last = traceback.extract_tb(error.__traceback__)
    return f"{last.line} (line {last.lineno} of {last.filename.rpartition('site-packages/')[2]})"


def _sklearn_results(estimator: Any, subject: Subject, only: Collection[str] | None) -> Iterator[Result]:
    if not subject.known_to_sklearn:
        yield Result(
            "scikit-learn's check_estimator",
            "skipped",
            f"it looks only at two-dimensional arrays and plain targets, and {subject.input.name} with "
            f"{subject.target.name} is another thing; nothing of it counts here",
            "scikit-learn",
        )
        return
    flat = clone(estimator)
    if not subject.stranger:
        flat.set_params(
            **lowered(estimator.get_params(deep=False), SKLEARN_BUDGETS),
            **subject.input.flattened_params(subject.fields),
        )
    with warnings.catch_warnings():
        # What scikit-learn leaves out is counted and fails in check_number_of_checks.
        warnings.simplefilter("ignore", SkipTestWarning)
        checkers = list(estimator_checks_generator(flat))
    for instance, checker in checkers:
        name = _name_of(checker)
        if only is None or name in only:
            yield _run(name, partial(checker, instance), "scikit-learn", dict(subject.excused))


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


def _counted(subject: Subject, results: list[Result], native: bool) -> list[Result]:
    """Fail an estimator for which too few checks ran: nothing looked at it."""
    if not subject.known_to_sklearn:
        return []
    ran = Report("", tuple(results))
    fewest = max(
        (FEWEST_SKLEARN_CHECKS.get(r, FEWEST_SKLEARN_CHECKS_UNSUPERVISED) for r in subject.roles),
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
