"""Any picture as an RGB array; see `sedna_tinyms.pictures`."""

from sedna_tinyms.pictures import Picture, as_rgb

__all__ = ["Picture", "as_rgb"]
