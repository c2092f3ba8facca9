"""
What to watch next: learning taste from a few ratings
=====================================================

Most users rate few films, and most films have few ratings. Matrix factorisation gives every user
and every film a short vector; a rating is their product plus two biases. This lesson shows what the
biases do alone, what the vectors add, and what the penalty ``alpha`` is for.

The ratings are made up, so that the truth is known; with the folder of real data named by the
variable ``ZOO_DATA`` the same steps run on MovieLens.
"""

# %%
# Ratings as a table of (user, film) pairs
# ----------------------------------------
# Ids may be anything that a dict takes as a key. Here 300 users have a taste on two axes, and
# every film a place on them.
import os
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split

from zoo import MatrixFactorization


def made_up(n_users=300, n_films=120, n_ratings=9000, seed=0):
    """Ratings of a small world with two axes of taste."""
    rng = np.random.default_rng(seed)
    taste, place = rng.normal(size=(n_users, 2)), rng.normal(size=(n_films, 2))
    level = 3.5 + 0.4 * rng.normal(size=(n_users, 1)) + 0.4 * rng.normal(size=n_films)
    users, films = rng.integers(0, [n_users, n_films], size=(n_ratings, 2)).T
    stars = (level + 0.5 * taste @ place.T)[users, films] + 0.6 * rng.normal(size=n_ratings)
    names = [f"film {k}" for k in range(n_films)]
    return pd.DataFrame(
        {"user": users, "film": np.array(names)[films], "stars": stars.round().clip(1, 5)}
    )


folder = Path(os.environ.get("ZOO_DATA", "no data")) / "ratings"
if folder.is_dir():
    table = pd.read_csv(folder / "movielens_latest_small_ratings.csv.gz")
    titles = pd.read_csv(folder / "movielens_latest_small_movies.csv.gz").set_index("movieId").title
    table = table.assign(film=table.movieId.map(titles))
    ratings = table.rename(columns={"userId": "user", "rating": "stars"})[["user", "film", "stars"]]
else:
    ratings = made_up()
train, test = train_test_split(ratings, random_state=0)

# %%
# Biases alone, and with vectors
# ------------------------------
# A penalty without end leaves only the biases: a generous user, a popular film. The default,
# ``alpha="auto"``, is what noise alone would need to leave no trace in the vectors.
pairs, stars = ["user", "film"], "stars"


def error(model):
    """RMSE on the ratings that were held back."""
    return np.sqrt(np.mean((model.predict(test[pairs]) - test[stars]) ** 2))


biases = MatrixFactorization(alpha=1e9, random_state=0).fit(train[pairs], train[stars])
model = MatrixFactorization(random_state=0).fit(train[pairs], train[stars])
print(f"mean of all ratings {test[stars].std():.3f}")
print(f"biases alone        {error(biases):.3f}")
print(f"with vectors        {error(model):.3f}   (alpha={model.alpha_:.1f})")

# %%
# A user's list, films like a film, and somebody new
# --------------------------------------------------
# A newcomer has no vector, and gets what is liked by all.


def show(what, films):
    """Print a list."""
    print(f"{what}: {', '.join(films)}")


user, film = train.user.mode()[0], train.film.mode()[0]
show(f"for user {user}", model.recommend(user, n=3))
show(f"like {film}", model.similar(film, n=3))
show("for a newcomer", model.recommend("newcomer", n=3))

# %%
# A newcomer's first ratings
# --------------------------
# ``partial_fit`` takes new ratings, of known and unknown ids, without the old ones at hand. This
# newcomer rates as the busiest user did, and soon stands where that user stands.
first = train[train.user == user].assign(user="newcomer")
for _ in range(20):
    model.partial_fit(first[pairs], first[stars])
show("after the first ratings", model.recommend("newcomer", n=3))
ids = model.user_ids_.tolist()
old, new = (model.user_factors_[ids.index(who)] for who in (user, "newcomer"))
print(f"cosine of the two vectors: {old @ new / np.linalg.norm(old) / np.linalg.norm(new):.2f}")

# %%
# What alpha is for
# -----------------
# Too small, and the vectors learn the noise of the training ratings; too large, and they learn
# nothing. The automatic value sits near the bottom without having seen a test rating.
alphas = model.alpha_ * np.geomspace(0.1, 4, 12)
curve = []
for alpha in alphas:
    fitted = MatrixFactorization(alpha=alpha, random_state=0).fit(train[pairs], train[stars])
    curve.append((fitted.history_["rmse"][-1], error(fitted)))

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4))
for values, label in zip(zip(*curve, strict=True), ("training", "held back"), strict=True):
    left.semilogx(alphas, values, "o-", label=label)
left.axvline(model.alpha_, color="grey", linestyle=":", label='alpha="auto"')
left.axhline(error(biases), color="black", linewidth=0.8, label="biases alone, held back")
left.set(xlabel="alpha", ylabel="RMSE", title="Taste, noise, and the penalty between them")
left.legend()

U, size, Vt = np.linalg.svd(model.item_factors_, full_matrices=False)
places = U[:, :2] * size[:2]
right.scatter(*places.T, c=model.item_biases_, s=12, cmap="viridis")
right.set(title="Films by taste (colour: bias)", xlabel="first axis", ylabel="second axis")
figure.tight_layout()
plt.show()
