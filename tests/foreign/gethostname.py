"""In place of the C file of ``sagemaker-training``, which only jobs under MPI preload.

Building it needs a compiler and Python's headers, which fresh machines lack; ``make`` installs the toolkit without it
and puts this file where the toolkit's Python imports it from.
"""
