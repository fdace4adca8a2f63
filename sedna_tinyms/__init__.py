"""Models at the edge that keep learning: TinyMS for KubeEdge Sedna, on today's MindSpore."""

from sedna_tinyms import plugin

__version__ = "0.1.0"

plugin.register()
