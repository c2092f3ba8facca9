"""A toy game, in which agents of games are checked."""

import numpy as np


class Stones:
    """Two players take one or two of seven stones in turn; who takes the last one wins.

    A state is the number of stones that are left and the player to move.
    """

    n_actions = 2
    n_players = 2

    def __repr__(self) -> str:
        """Write the game as it is made."""
        return "Stones()"

    def initial(self) -> tuple[int, int]:
        """Return the state in which a game begins."""
        return 7, 0

    def player(self, state: tuple[int, int]) -> int:
        """Return who moves."""
        return state[1]

    def legal(self, state: tuple[int, int]) -> np.ndarray:
        """Mark the moves that are allowed."""
        return np.array([state[0] >= 1, state[0] >= 2])

    def play(self, state: tuple[int, int], action: int) -> tuple[int, int]:
        """Return the state behind a move: action 0 takes one stone, action 1 two."""
        return state[0] - int(action) - 1, 1 - state[1]

    def value(self, state: tuple[int, int]) -> float:
        """Return the result for the player to move; nan while the game goes on."""
        return -1.0 if state[0] == 0 else float("nan")

    def observe(self, state: tuple[int, int]) -> np.ndarray:
        """Return the state as numbers."""
        return np.array([float(state[0])])

    def states(self) -> list[tuple[int, int]]:
        """Return all states in which somebody moves."""
        return [(left, player) for left in range(1, 8) for player in (0, 1)]
