import numpy as np

from reconstruction.repairs.finding.trees import Trees


def test_trees_say_what_scikit_learn_says_and_come_back_from_arrays():
    from sklearn.ensemble import HistGradientBoostingClassifier

    rng = np.random.default_rng(0)
    x = rng.standard_normal((600, 5))
    x[rng.random(x.shape) < 0.1] = np.nan
    is_bad = np.nan_to_num(x[:, 1]) + 0.5 * rng.standard_normal(600) > 0.5
    trees = Trees.fit(x, is_bad, np.array([0, 1, 3]), n_trees=10, n_leaves=6)
    settings = {"max_leaf_nodes": 6, "min_samples_leaf": 40, "l2_regularization": 1.0, "learning_rate": 0.08}
    model = HistGradientBoostingClassifier(max_iter=10, early_stopping=False, random_state=0, **settings)
    model.fit(x[:, [0, 1, 3]], is_bad)
    np.testing.assert_allclose(trees.log_odds(x), model.decision_function(x[:, [0, 1, 3]]), atol=1e-9)
    again = Trees.of_arrays(trees.arrays())
    np.testing.assert_array_equal(again.log_odds(x.reshape(20, 30, 5)).ravel(), trees.log_odds(x))
