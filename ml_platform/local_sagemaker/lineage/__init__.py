"""Lineage as SageMaker keeps it: artifacts, actions and contexts, associations between them, and queries over both.

``entities`` holds the kinds, ``associations`` their edges, ``graph`` walks them for ``queries``. ``automatic`` writes
what SageMaker writes by itself for jobs, model packages and endpoints; ``sources`` tells what those read and make.
"""
