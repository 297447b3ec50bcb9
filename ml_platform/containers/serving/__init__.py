"""The serving container: one model over HTTP, with the routes SageMaker asks for."""
