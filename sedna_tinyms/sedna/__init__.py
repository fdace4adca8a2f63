"""The worker library under KubeEdge Sedna's import paths, for where KubeEdge's is not installed.

A Sedna worker script says ``from sedna.core.incremental_learning import IncrementalLearning``.
`install` makes such lines work here without KubeEdge's library, which no package index has::

    import sedna_tinyms.sedna
    sedna_tinyms.sedna.install()

    from sedna.core.incremental_learning import IncrementalLearning

``sedna-tinyms exec worker.py`` does it for a script that is not to be changed. Nothing here needs
MindSpore. Where this library differs from KubeEdge's on purpose, ``docs/differences.md`` says so.
"""

from sedna_tinyms.sedna._alias import install, uninstall

__all__ = ["install", "uninstall"]
