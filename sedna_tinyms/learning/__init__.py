"""How a model learns round after round."""
