"""Ready sets of callbacks, under TinyMS's import path."""

from sedna_tinyms.tinyms.callbacks import mobilenetv2_cb

__all__ = ["mobilenetv2_cb"]
