"""The training container: reads channels and hyper-parameters, writes a model artifact or a failure."""
