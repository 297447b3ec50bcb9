"""Lineage as SageMaker keeps it: artifacts, actions and contexts, associations between them, and queries over both.

``entities`` holds the three kinds, ``associations`` their edges, ``graph`` walks them for ``queries``. SageMaker also
writes lineage of its own for jobs and endpoints; the stand-in keeps only what its callers write.
"""
