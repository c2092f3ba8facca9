"""What is asked of agents: by what they learn from, an environment, a game or a log."""

import gc
from functools import partial
from typing import Any

import numpy as np

from zoo.conformance._case import (
    BAD_INPUT,
    Case,
    Checker,
    expect,
    expect_same,
    refused,
    working,
)
from zoo.conformance._environments import (
    ALIVE,
    TOY_IDS,
    corridor,
    disturbed,
    hover,
    toy_environment,
)
from zoo.conformance._report import Nonconformity
from zoo.contract.inputs import Env, Game

# -- whatever it learns from ----------------------------------------------------------------------


def check_agent_actions(case: Case) -> None:
    """Predict gives one action for each observation or state, and only actions that may be taken there."""
    actions = np.asarray(case.fitted.predict(case.questions))
    n = len(case.questions)
    expect(len(actions) == n, f"predict gives {len(actions)} actions for {n} observations")
    if isinstance(case.native, Env):
        import gymnasium

        space = gymnasium.make(case.prototype.env).action_space
        for action in actions:
            cast = np.asarray(action).astype(space.dtype)
            expect(space.contains(cast), f"the action {action!r} is not in {space}")
    elif isinstance(case.native, Game):
        rules = case.prototype.game
        for state, action in zip(case.questions, actions.tolist(), strict=True):
            expect(rules.legal(state)[action], f"the move {action!r} is not legal in the state {state}")
    else:
        known = set(case.X["action"].tolist())
        strange = sorted(set(actions.tolist()) - known)
        expect(not strange, f"the action {strange[:1]} is none of the log's, {sorted(known)}")


# -- by input: environments -----------------------------------------------------------------------


def _random_return(name: str, seeds: np.ndarray) -> float:
    import gymnasium

    env = gymnasium.make(name)
    env.action_space.seed(0)
    total = 0.0
    for seed in seeds:
        env.reset(seed=int(seed))
        over = False
        while not over:
            _, reward, terminated, truncated, _ = env.step(env.action_space.sample())
            total += float(reward)
            over = terminated or truncated
    env.close()
    return total / len(seeds)


def check_agent_beats_random(case: Case) -> None:
    """After a short training the agent does better than random actions."""
    seeds = np.arange(1000, 1020)
    random = _random_return(case.prototype.env, seeds)
    score = case.fitted.score(seeds)
    expect(np.isfinite(score), f"score is {score}")
    expect(score > random + 0.1, f"mean return {score:.3g}, of random actions {random:.3g}")


def check_agent_score_repeats(case: Case) -> None:
    """Score plays the episodes of the seeds it is given: twice the same, others differ."""
    one = case.fitted.score(np.arange(5))
    expect(one == case.fitted.score(np.arange(5)), "score of the same seeds differs from itself")
    with working("score works without seeds"):
        case.fitted.score(None)


def check_agent_keeps_no_environment(case: Case) -> None:
    """Neither fit nor score leaves an environment alive; nothing of it is pickled."""
    gc.collect()
    before = set(map(id, ALIVE))
    estimator = case.fit()
    estimator.score(np.arange(2))
    gc.collect()
    left = [e for e in ALIVE if id(e) not in before]
    expect(not left, f"{len(left)} environment(s) are still alive after fit and score")


def _toy_factory(case: Case) -> Any:
    return corridor if case.prototype.env == TOY_IDS["discrete"] else hover


def check_agent_environment_forms(case: Case) -> None:
    """An env may be an id, a factory or an environment, with the same result."""
    factory = _toy_factory(case)
    expected = case.answers(case.fitted)
    for what, env in (("a factory", factory), ("an environment", factory())):
        with working(f"env may be {what}"):
            answers = case.answers(case.fit(on=case.make().set_params(env=env)))
        expect_same(expected, answers, case.tolerance, f"env as {what} gives another result")


def check_agent_environment_refused(case: Case) -> None:
    """An environment that does not exist, or that the agent cannot serve, is refused."""
    strange = "NoSuchPlace-v99"
    refused(lambda: case.fit(on=case.make(env=strange)), f"env={strange!r}", ValueError, strange)
    refused(lambda: case.fit(on=case.make(env=3)), "env=3", BAD_INPUT, "env")
    other = {"discrete": "continuous", "continuous": "discrete"}
    served = set(case.native.actions)
    for kind in served:
        if other.get(kind) and other[kind] not in served:
            toy_environment(case.native)
            refused(
                partial(case.fit, on=case.make(env=TOY_IDS[other[kind]])),
                f"an environment with {other[kind]} actions",
                ValueError,
                "action",
            )


def check_agent_rewards_refused(case: Case) -> None:
    """One reward that is no number would spoil everything after it; it is refused."""
    for value in (np.nan, np.inf):
        env = disturbed(_toy_factory(case), 100, lambda value=value: value)
        refused(
            partial(case.fit, on=case.make(env=env)), f"a reward of {value}", ValueError, "reward"
        )


def check_agent_keeps_what_it_learned(case: Case) -> None:
    """When the environment raises, its error comes through, and the agent acts as it had learned to."""

    def falls() -> float:
        raise OSError("the robot fell over")

    agent = case.make(env=disturbed(_toy_factory(case), 100, falls))
    refused(partial(case.fit, on=agent), "an environment that raises", OSError, "fell over")
    with working("an agent whose environment raised after 99 steps acts"):
        actions = agent.predict(case.questions)
    expect(len(actions) == len(case.questions), "predict does not give one action an observation")


def check_agent_history(case: Case) -> None:
    """history_ holds columns of one length, return among them: a DataFrame away."""
    history = getattr(case.fitted, "history_", None)
    if not isinstance(history, dict) or not history:
        raise Nonconformity("there is no history_ of columns")
    lengths = {name: len(column) for name, column in history.items()}
    expect(len(set(lengths.values())) == 1, f"the columns of history_ differ in length: {lengths}")
    expect("return" in history, f"history_ has no column 'return': {sorted(history)}")


# -- by input: environments and games -------------------------------------------------------------


def check_agent_seeds_refused(case: Case) -> None:
    """X is None or a 1-D array of seeds; anything else is refused."""
    with working("fit works without seeds"):
        case.make().fit()
    for what, X in (
        ("X of floats", np.array([0.5, 1.5])),
        ("a negative seed", np.array([-1])),
        ("X of words", ["a"]),
    ):
        refused(partial(case.make().fit, X), what, BAD_INPUT, "seeds")


# -- by input: logs -------------------------------------------------------------------------------


def check_log_is_learned(case: Case) -> None:
    """From a log in which one action is taken nearly always, and paid always, that action is learned."""
    log = case.X.copy()
    step = np.arange(len(log)) % 8
    log["action"] = (step != 3).astype(int)
    log["reward"] = np.where(log["action"] == 1, 1.0, -1.0)
    episodes = log["reward"].to_numpy().reshape(-1, 8)
    log["next_observation_0"] = episodes.cumsum(axis=1).ravel()
    log["observation_0"] = log["next_observation_0"] - log["reward"]
    agent = case.fit(log, case.y)
    actions = np.asarray(agent.predict(log[["observation_0"]].to_numpy()[step != 3]))
    share = float((actions == 1).mean())
    expect(share > 0.7, f"the one action that is taken and paid is chosen in {share:.0%} of the states only")


def check_log_forms(case: Case) -> None:
    """A DataFrame, its columns in another order, and mappings of arrays are the same log."""
    log = case.X
    arrays = {name: log[name].to_numpy() for name in log}
    expected = case.answers(case.fitted)
    for what, X in (
        ("a DataFrame whose columns stand in another order", log[list(log)[::-1]]),
        ("a mapping of its columns", arrays),
        (
            "a mapping of arrays",
            {
                "observations": log[["observation_0"]].to_numpy(),
                "actions": arrays["action"],
                "rewards": arrays["reward"],
                "next_observations": log[["next_observation_0"]].to_numpy(),
                "terminated": arrays["terminated"],
                "truncated": arrays["truncated"],
                "episode": arrays["episode"],
            },
        ),
        ("a DataFrame without episodes", log.drop(columns=["truncated", "episode"])),
    ):
        with working(f"a log may be {what}"):
            answers = case.answers(case.fit(X, case.y))
        expect_same(expected, answers, case.tolerance, f"a log as {what} is learned otherwise")


def _with(log: Any, name: str, row: int, value: Any) -> Any:
    changed = log.copy()
    changed[name] = changed[name].astype(float) if name.startswith(("obs", "next", "rew")) else changed[name]
    changed.loc[row, name] = value
    return changed


def check_log_refused(case: Case) -> None:
    """A log that contradicts itself or has holes is refused, each with the row that is the cause."""
    log = case.X
    torn = log.assign(episode=np.where(np.arange(len(log)) < len(log) - 8, log["episode"], log["episode"][0]))
    for what, X, *words in (
        ("a log whose rows do not join up", _with(log, "next_observation_0", 2, 77.0), "row 2"),
        ("an episode that goes on after its end", _with(log, "terminated", 2, True), "row 3"),
        ("an episode in two places", torn, "episode"),
        ("a reward of nan", _with(log, "reward", 5, np.nan), "row 5"),
        ("an infinite observation", _with(log, "observation_0", 0, np.inf), "row 0"),
        ("a log without rewards", log.drop(columns="reward"), "reward"),
        ("a log without observations", log.drop(columns="observation_0"), "observation"),
        ("an array without names", log.to_numpy(dtype=float), "X is a ndarray"),
    ):
        refused(partial(case.make().fit, X), what, BAD_INPUT, *words)


# -- the tables -----------------------------------------------------------------------------------

ON_ENVIRONMENTS: tuple[Checker, ...] = (
    check_agent_beats_random,
    check_agent_score_repeats,
    check_agent_keeps_no_environment,
    check_agent_environment_forms,
    check_agent_environment_refused,
    check_agent_rewards_refused,
    check_agent_keeps_what_it_learned,
    check_agent_history,
    check_agent_seeds_refused,
)
ON_GAMES: tuple[Checker, ...] = (check_agent_score_repeats, check_agent_seeds_refused)
ON_LOGS: tuple[Checker, ...] = (check_log_is_learned, check_log_forms, check_log_refused)
