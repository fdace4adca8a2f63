"""Learning rate schedules, under TinyMS's import path."""

from sedna_tinyms.tinyms.optimizers.schedules import cyclegan_lr, mobilenetv2_lr

__all__ = ["cyclegan_lr", "mobilenetv2_lr"]
