"""Models at the edge that keep learning: TinyMS for KubeEdge Sedna, on today's MindSpore."""

__version__ = "0.1.0"
