"""DQN: what it reaches on CartPole-v1 and Acrobot-v1, and its speed beside others.

``python tests/benchmarks/bench_dqn.py [learn|speed|before|images] ...``; one thread, CPU seconds.

- ``learn``: mean greedy return over 100 unseen seeds, default settings, three seeds.
- ``speed PYTHON``: beside stable-baselines3, and SBX where PYTHON, an interpreter, has it (default: this
  one); all learn with the same network, batch, update frequency and n-step returns, with 1 and with 8
  environments, in turn, the median of five.
- ``before FOLDER``: beside a checkout of another commit, in turn, the median of nine.
- ``images``: an update on images of 84 x 84 beside plain torch: the same convolutions, autograd, Adam.

A calibration of the machine stands beside the rates: what an empty loop, x + 1 on 32 x 64 numbers and a
product of 256 x 256 take, in microseconds.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

STEPS = 10_000
SAME = {"batch_size": 128, "train_freq": 2, "tau": 0.02, "target_update_interval": 1}


def best(f: Callable[[], object], k: int, repeats: int = 20) -> float:
    """Return the least CPU time of a call, in microseconds."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        for _ in range(k):
            f()
        times.append((time.process_time() - start) / k)
    return min(times) * 1e6


def calibrate() -> None:
    """Print what three plain things take here."""
    x = np.ones((32, 64), np.float32)
    A = np.ones((256, 256), np.float32)
    print(
        f"calibration: empty loop of 1,000 {best(lambda: [None for _ in range(1000)], 100):.1f} us, "
        f"x + 1 on 32 x 64 {best(lambda: x + 1, 1000):.2f} us, "
        f"256 x 256 product {best(lambda: A @ A, 20):.0f} us"
    )


def learn() -> None:
    """Print the mean greedy return over 100 unseen seeds, default settings, three seeds."""
    from zoo import DQN

    print("| env | random_state | mean return | worst episode | CPU s | steps per CPU s |")
    print("|---|---|---|---|---|---|")
    for env in ("CartPole-v1", "Acrobot-v1"):
        for seed in range(3):
            start = time.process_time()
            agent = DQN(env=env, random_state=seed).fit()
            spent = time.process_time() - start
            # 100 seeds that no default training run draws.
            returns = agent.rollout(2**32 + np.arange(100)).groupby("episode").reward.sum()
            print(
                f"| {env} | {seed} | {returns.mean():.1f} | {returns.min():.0f} | {spent:.1f} | "
                f"{agent.n_steps_ / spent:.0f} |",
                flush=True,
            )


def zoo_speed(n_envs: int) -> float:
    """Return steps per CPU second of this package, first updates included."""
    from zoo import DQN

    DQN(env="CartPole-v1", total_timesteps=1_200, n_envs=n_envs, random_state=0).fit()  # imports
    agent = DQN(env="CartPole-v1", total_timesteps=STEPS, n_envs=n_envs, random_state=0, **SAME)
    start = time.process_time()
    agent.fit()
    return STEPS / (time.process_time() - start)


def peer_speed(name: str, n_envs: int) -> float:
    """Return the same of stable-baselines3 or SBX."""
    if name == "sbx":
        from sbx import DQN

        options = {}
    else:
        import torch
        from stable_baselines3 import DQN

        torch.set_num_threads(1)
        options = {"device": "cpu", "n_steps": 5}
    from stable_baselines3.common.env_util import make_vec_env

    # One call of train_freq steps all environments.
    same = {**SAME, "train_freq": max(SAME["train_freq"] // n_envs, 1)}
    agent = DQN(
        "MlpPolicy", make_vec_env("CartPole-v1", n_envs), seed=0, learning_rate=1e-3,
        gradient_steps=max(n_envs // SAME["train_freq"], 1), learning_starts=1000,
        policy_kwargs={"net_arch": [64, 64]}, **options, **same,
    )  # fmt: skip
    agent.learn(1_200)  # imports, and what SBX compiles
    start = time.process_time()
    agent.learn(STEPS, reset_num_timesteps=False)
    return STEPS / (time.process_time() - start)


def told_by(python: str, *words: str, folder: str | None = None) -> float:
    """Return the rate that another process prints; nan where its packages are missing."""
    env = dict(os.environ) if folder is None else {**os.environ, "PYTHONPATH": folder}
    done = subprocess.run([python, __file__, *words], capture_output=True, text=True, check=False, env=env)
    return float(done.stdout.split()[-1]) if done.returncode == 0 else float("nan")


def speed(python: str) -> None:
    """Print steps per CPU second of all sides, the median of five runs in turn."""
    print("| CartPole-v1, learning on | environments | steps per CPU s | zoo is |")
    print("|---|---|---|---|")
    for n_envs in (1, 8):
        rates: dict[str, list[float]] = {"zoo": [], "sb3": [], "sbx": []}
        for _ in range(5):
            for name, made in rates.items():
                by = sys.executable if name == "zoo" else python
                made.append(told_by(by, "rate", name, str(n_envs)))
        middle = {name: float(np.median(made)) for name, made in rates.items()}
        for name, rate in middle.items():
            if np.isfinite(rate):
                print(f"| {name} | {n_envs} | {rate:.0f} | {middle['zoo'] / rate:.2f}x |")


def before(folder: str) -> None:
    """Print the ratio to a checkout of another commit, the median of nine pairs."""
    here = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    print("| environments | steps per CPU s | there | ratio | ratios of the middle half |")
    print("|---|---|---|---|---|")
    for n_envs in (1, 8):
        pairs = []
        for turn in range(9):
            sides = [here, folder] if turn % 2 else [folder, here]
            rate = {side: told_by(sys.executable, "rate", "zoo", str(n_envs), folder=side) for side in sides}
            pairs.append((rate[here], rate[folder]))
        ours, theirs = np.median(pairs, axis=0)
        low, ratio, high = np.quantile([a / b for a, b in pairs], [0.25, 0.5, 0.75])
        print(f"| {n_envs} | {ours:.0f} | {theirs:.0f} | {ratio:.2f} | {low:.2f}-{high:.2f} |", flush=True)


def images() -> None:
    """Print the CPU time of an update on images, and of the same update in plain torch."""
    import gymnasium as gym
    import torch
    from torch import nn
    from torch.nn.functional import mse_loss

    from zoo import DQN

    torch.set_num_threads(1)

    class Noise(gym.Env):
        """Four channels of noise, 84 x 84."""

        observation_space = gym.spaces.Box(0, 255, (4, 84, 84), np.uint8)
        action_space = gym.spaces.Discrete(4)

        def reset(self, *, seed=None, options=None):  # type: ignore[no-untyped-def]
            super().reset(seed=seed)
            return self.observation_space.sample(), {}

        def step(self, action):  # type: ignore[no-untyped-def]
            return self.observation_space.sample(), 1.0, False, False, {}

    agent = DQN(env=Noise, total_timesteps=300, n_envs=1, learning_starts=200, batch_size=32,
                train_freq=100, buffer_size=300, keep_replay=True, random_state=0).fit()  # fmt: skip
    learner = agent._learner(np.random.default_rng(0), True)
    replay, rng = learner.replay, np.random.default_rng(0)

    def network() -> nn.Sequential:
        return nn.Sequential(
            nn.Conv2d(4, 16, 3, 2, 1), nn.ReLU(), nn.Conv2d(16, 32, 3, 2, 1), nn.ReLU(),
            nn.Conv2d(32, 32, 3, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(32 * 11 * 11, 64),
            nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 4),
        )  # fmt: skip

    q, target = network(), network()
    adam = torch.optim.Adam(q.parameters(), fused=True)

    def plain() -> None:
        batch = replay.sample(32, rng)
        s, s2 = (torch.from_numpy(a).float().div_(255) for a in (batch.observations, batch.next_observations))
        with torch.no_grad():
            best_action = q(s2).argmax(1, keepdim=True)
            y = torch.from_numpy(batch.returns).float() + torch.from_numpy(batch.discounts).float() * target(
                s2
            ).gather(1, best_action).squeeze(1)
        loss = mse_loss(q(s).gather(1, torch.from_numpy(batch.actions)[:, None]).squeeze(1), y)
        adam.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(q.parameters(), 10.0)
        adam.step()
        with torch.no_grad():
            for mine, theirs in zip(target.parameters(), q.parameters(), strict=True):
                mine.lerp_(theirs, 0.02)

    rates: dict[str, list[float]] = {"zoo": [], "plain torch": []}
    for _ in range(15):
        for name, update in (("zoo", lambda: learner.update(300)), ("plain torch", plain)):
            rates[name].append(best(update, 2, 1))
    ours, theirs = (float(np.median(made)) / 1e3 for made in rates.values())
    print("| an update, batch 32 of 4 x 84 x 84 | CPU ms |\n|---|---|")
    print(f"| zoo.DQN | {ours:.1f} |\n| plain torch | {theirs:.1f} |\n| ratio | {theirs / ours:.2f} |")


if __name__ == "__main__":
    what, *rest = sys.argv[1:] or ["all"]
    if what == "rate":
        name, n_envs = rest
        print(zoo_speed(int(n_envs)) if name == "zoo" else peer_speed(name, int(n_envs)))
        sys.exit()
    calibrate()
    if what in ("all", "speed"):
        speed(rest[0] if rest else sys.executable)
    if what in ("all", "images"):
        images()
    if what == "before":
        before(rest[0])
    if what in ("all", "learn"):
        learn()
