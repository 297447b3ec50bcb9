"""What a candidate is judged by is what its owner declared, so that a change of either makes the evidence stale."""

from ml_platform.components.origin import declared_by
from ml_platform.components.settings import ModelSettings, Slice
from ml_platform.resources.model_evaluator import Terms, judged_by

MODEL = ModelSettings(name="some_model", owner="team:x", purpose="-", features=["amount"], feature_service="fraud_v1")


def judged(model: ModelSettings) -> dict[str, str]:
    return judged_by(Terms(model.gate, model.money, model.slices, model.metrics))


def test_the_evaluator_and_the_declaration_name_the_same_policies() -> None:
    assert judged(MODEL) == declared_by(MODEL).policies


def test_another_slice_or_metric_is_another_judgement() -> None:
    sliced = MODEL.model_copy(update={"slices": [*MODEL.slices, Slice(name="age", column="age_days", edges=(30,))]})
    measured = MODEL.model_copy(update={"metrics": [*MODEL.metrics, "log_loss"]})
    for other in (sliced, measured):
        changed = {name for name, known in judged(MODEL).items() if judged(other)[name] != known}
        assert changed == {"metrics and slices"}
