"""Published models: looked up by name, checked, and kept.

A hub is a directory of ``publisher/version/model.yaml`` descriptions, named in the variable
``TINYMS_HUB_PATH``; the model files lie beside them, or are downloaded over https into a cache.
"""

from sedna_tinyms.tinyms.hub.loading import asset_file, load, load_checkpoint, load_weights

__all__ = ["asset_file", "load", "load_checkpoint", "load_weights"]
