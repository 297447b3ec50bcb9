"""What repeats per model: the ``ModelPipeline`` component and one builder module per stage.

What exists once (payments, features, schedules, sensors) is in ``defs``.
"""

from ml_platform.components.model_pipeline import ModelPipeline

__all__ = ["ModelPipeline"]
