"""A sum of decision trees as plain arrays: fitted with scikit-learn, kept in an npz file, read without either."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Trees:
    """Decision trees whose leaves add up to the log odds of a class.

    Attributes:
        feature: Feature that each node looks at, -1 in leaves, shape (nodes,).
        threshold: Rows whose feature is no larger go left.
        left: Next node on the left.
        right: Next node on the right.
        missing_left: Whether a row whose feature is NaN goes left.
        value: What leaves add.
        roots: First node of each tree, shape (trees,).
        offset: Log odds before any tree.
        columns: Numbers of the features, among those that are given, that were fitted on.
    """

    feature: NDArray[np.int16]
    threshold: NDArray[np.float64]
    left: NDArray[np.int32]
    right: NDArray[np.int32]
    missing_left: NDArray[np.bool_]
    value: NDArray[np.float64]
    roots: NDArray[np.int32]
    offset: float
    columns: NDArray[np.int16]

    @classmethod
    def fit(
        cls,
        features: NDArray[np.floating],
        is_bad: NDArray[np.bool_],
        columns: NDArray[np.integer],
        n_trees: int = 150,
        n_leaves: int = 12,
        learning_rate: float = 0.08,
        seed: int = 0,
    ) -> "Trees":
        """Fits gradient-boosted trees on rows (n, features), NaN where a feature does not apply, and their class."""
        from sklearn.ensemble import HistGradientBoostingClassifier

        settings = {"max_leaf_nodes": n_leaves, "min_samples_leaf": 40, "l2_regularization": 1.0}
        model = HistGradientBoostingClassifier(
            max_iter=n_trees, learning_rate=learning_rate, early_stopping=False, random_state=seed, **settings
        )
        model.fit(features[:, columns], is_bad)
        parts, roots, n_nodes = [], [], 0
        for predictor in model._predictors:
            nodes = predictor[0].nodes
            parts.append((nodes, n_nodes))
            roots.append(n_nodes)
            n_nodes += len(nodes)

        def joined(name: str) -> NDArray[np.generic]:
            return np.concatenate([nodes[name] for nodes, _ in parts])

        leaf = joined("is_leaf").astype(bool)
        moved = {
            side: np.concatenate([nodes[side].astype(np.int64) + first for nodes, first in parts])
            for side in ("left", "right")
        }
        return cls(
            np.where(leaf, -1, joined("feature_idx")).astype(np.int16),
            joined("num_threshold").astype(np.float64),
            moved["left"].astype(np.int32),
            moved["right"].astype(np.int32),
            joined("missing_go_to_left").astype(bool),
            joined("value").astype(np.float64),
            np.array(roots, dtype=np.int32),
            float(model._baseline_prediction.ravel()[0]),
            np.asarray(columns, dtype=np.int16),
        )

    def log_odds(self, features: NDArray[np.floating]) -> NDArray[np.float64]:
        """Returns the log odds of rows (..., features), shape (...)."""
        rows = np.asarray(features, dtype=np.float64)[..., self.columns]
        shape, flat = rows.shape[:-1], rows.reshape(-1, rows.shape[-1])
        node = np.broadcast_to(self.roots, (len(flat), len(self.roots))).copy()
        place = np.arange(len(flat))[:, None]
        while (inner := self.feature[node] >= 0).any():
            values = flat[place, self.feature[node].clip(min=0)]
            goes_left = np.where(np.isnan(values), self.missing_left[node], values <= self.threshold[node])
            node = np.where(inner, np.where(goes_left, self.left[node], self.right[node]), node)
        return np.asarray((self.value[node].sum(axis=1) + self.offset).reshape(shape))

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """Returns all of it as arrays by name, for a file."""
        return {name: np.asarray(getattr(self, name)) for name in self.__dataclass_fields__}

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, NDArray[np.generic]]) -> "Trees":
        """Takes them back."""
        values = {name: np.asarray(arrays[name]) for name in cls.__dataclass_fields__}
        return cls(**{**values, "offset": float(values["offset"])})  # type: ignore[arg-type] # by name
