"""Tests of the containers as SageMaker runs them: real processes, real files, real HTTP."""
