"""Decision trees of scikit-learn in LightGBM's text format, so that LightGBM's own TreeSHAP explains them.

The serving image has LightGBM already; ``shap`` would bring two hundred megabytes of compiler with it (ADR 0018).
Both follow a tree's paths by the weight of the training rows in its nodes, so both give the same contributions.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import lightgbm as lgb

_MISSING_IS_NAN = 2 << 2
_MISSING_GOES_LEFT = 1 << 1
_ALL_ROWS = 1_000_000_000
"""Weights of rows are fractions, LightGBM counts: below its limit of 2**31."""


def as_booster(trees: Sequence[Any], n_features: int) -> "lgb.Booster":
    """Return a booster whose raw score is the sum of the trees' probabilities of the label being 1.

    Args:
        trees: Fitted classification trees of 0 and 1.
        n_features: How many columns they read. They read them as float32, the booster does not: round first.
    """
    import lightgbm as lgb

    header = (
        "tree\nversion=v4\nnum_class=1\nnum_tree_per_iteration=1\nlabel_index=0\n"
        f"max_feature_idx={n_features - 1}\nobjective=regression\n"
        f"feature_names={' '.join(f'f{number}' for number in range(n_features))}\n"
        f"feature_infos={' '.join(['none'] * n_features)}\n\n"
    )
    texts = [_as_text(number, tree.tree_) for number, tree in enumerate(trees)]
    return lgb.Booster(model_str=header + "\n\n".join(texts) + "\n\nend of trees\n")


def _as_text(number: int, tree: Any) -> str:
    import numpy as np

    leaf = tree.children_left == -1
    # LightGBM counts inner nodes and leaves apart, and writes a leaf as -1 minus its number.
    names = np.where(leaf, -np.cumsum(leaf), np.cumsum(~leaf) - 1)
    inner = ~leaf
    value = tree.value[:, 0, :]
    weight = tree.weighted_n_node_samples
    counts = np.maximum(np.rint(weight * (_ALL_ROWS / weight[0])), 1).astype(int)
    goes_left = np.asarray(tree.missing_go_to_left)[inner].astype(int)
    columns: dict[str, np.ndarray] = {
        "split_feature": tree.feature[inner],
        "split_gain": np.zeros(inner.sum(), int),
        "threshold": tree.threshold[inner],
        "decision_type": _MISSING_IS_NAN + _MISSING_GOES_LEFT * goes_left,
        "left_child": names[tree.children_left[inner]],
        "right_child": names[tree.children_right[inner]],
        "leaf_value": (value[:, 1] / value.sum(axis=1))[leaf],
        "leaf_count": counts[leaf],
        "internal_count": counts[inner],
    }
    lines = [f"{name}={' '.join(map(repr, values.tolist()))}" for name, values in columns.items() if len(values)]
    return "\n".join([f"Tree={number}", f"num_leaves={leaf.sum()}", "num_cat=0", *lines, "is_linear=0", "shrinkage=1"])
