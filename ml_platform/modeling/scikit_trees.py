"""Decision trees that were read from a file lead from each node to a later one, by features that exist.

scikit-learn follows a tree's arrays without checking them: a forged one could read outside of its memory, or run for
ever. Forests and single trees are read; other ensembles are better fitted by LightGBM.
"""

from collections.abc import Iterator
from typing import Any

from ml_platform.core.errors import ArtifactError


def check_trees(model: Any) -> None:
    """Check every tree in a model.

    Raises:
        ArtifactError: When a tree cannot be followed, or is part of something we cannot check.
    """
    for owner, trees in _owners(model):
        for tree in trees:
            # A forest looks at the width of its rows once, not for each tree.
            if tree.n_features_in_ != owner.n_features_in_ or not _can_be_followed(tree.tree_, owner.n_features_in_):
                raise ArtifactError("A decision tree of the model artifact is damaged: its nodes lead nowhere.")


def _owners(model: Any) -> Iterator[tuple[Any, list[Any]]]:
    from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
    from sklearn.tree import DecisionTreeClassifier, ExtraTreeClassifier

    if isinstance(model, RandomForestClassifier | ExtraTreesClassifier):
        yield model, list(model.estimators_)
    elif isinstance(model, DecisionTreeClassifier | ExtraTreeClassifier):
        yield model, [model]
    elif isinstance(model, list | tuple):
        for each in model:
            yield from _owners(each)
    elif hasattr(model, "tree_") or hasattr(model, "estimators_"):
        raise ArtifactError(
            f"A {type(model).__name__} cannot be checked before it is loaded. Use a forest, a tree, or LightGBM."
        )
    elif hasattr(model, "__dict__"):
        for each in vars(model).values():
            if isinstance(each, list | tuple) or hasattr(each, "fit"):
                yield from _owners(each)


def _can_be_followed(tree: Any, n_features: int) -> bool:
    import numpy as np

    left, right, feature = tree.children_left, tree.children_right, tree.feature
    count, index = len(left), np.arange(len(left))
    inner = left != -1
    if not count or tree.n_features != n_features or not (inner == (right != -1)).all():
        return False
    for child in (left[inner], right[inner]):
        # Later than its parent: so no walk comes back to where it was.
        if not ((child > index[inner]) & (child < count)).all():
            return False
    return bool(((feature[inner] >= 0) & (feature[inner] < n_features)).all())
