"""A model on disk, and every other file that must never be found half-written."""
