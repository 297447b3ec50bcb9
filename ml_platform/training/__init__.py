"""Training: a model candidate from a training set, as a SageMaker training job. Judging it is ``evaluation``."""
