"""Helpers under TinyMS's names."""
