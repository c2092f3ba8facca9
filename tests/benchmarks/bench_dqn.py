"""DQN: what it reaches on CartPole-v1 and Acrobot-v1, and its speed beside stable-baselines3.

``python tests/benchmarks/bench_dqn.py [learn|speed] [PYTHON]``; one thread, CPU seconds. PYTHON is
an interpreter that has stable-baselines3 (default: this one); both sides learn with the same
network, batch, update frequency and n-step returns, in turn.
"""

import os
import subprocess
import sys
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

STEPS = 10_000
SAME = {"batch_size": 128, "train_freq": 2, "tau": 0.02, "target_update_interval": 1}


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


def zoo_speed() -> float:
    """Return steps per CPU second of this package, first updates included."""
    from zoo import DQN

    agent = DQN(env="CartPole-v1", total_timesteps=STEPS, random_state=0, **SAME)
    start = time.process_time()
    agent.fit()
    return STEPS / (time.process_time() - start)


def peer_speed() -> float:
    """Return the same of stable-baselines3."""
    import torch
    from stable_baselines3 import DQN

    torch.set_num_threads(1)
    agent = DQN(
        "MlpPolicy", "CartPole-v1", seed=0, device="cpu", learning_rate=1e-3, gradient_steps=1,
        learning_starts=1000, n_steps=5, policy_kwargs={"net_arch": [64, 64]}, **SAME,
    )  # fmt: skip
    start = time.process_time()
    agent.learn(STEPS)
    return STEPS / (time.process_time() - start)


def speed(python: str) -> None:
    """Print steps per CPU second of both sides, the median of three runs in turn."""
    rates: dict[str, list[float]] = {"zoo": [], "peer": []}
    for _ in range(3):
        rates["zoo"].append(zoo_speed())
        told = subprocess.run(
            [python, __file__, "peer"], capture_output=True, text=True, check=True
        ).stdout
        rates["peer"].append(float(told.split()[-1]))
    zoo, peer = np.median(rates["zoo"]), np.median(rates["peer"])
    print("| CartPole-v1, learning on | steps per CPU s |")
    print("|---|---|")
    print(f"| zoo.DQN | {zoo:.0f} |\n| stable-baselines3 DQN | {peer:.0f} |")
    print(f"| ratio | {zoo / peer:.1f} |")


if __name__ == "__main__":
    what = sys.argv[1] if len(sys.argv) > 1 else "all"
    if what == "peer":
        print(peer_speed())
    else:
        if what in ("all", "speed"):
            speed(sys.argv[2] if len(sys.argv) > 2 else sys.executable)
        if what in ("all", "learn"):
            learn()
