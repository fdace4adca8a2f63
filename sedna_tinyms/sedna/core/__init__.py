"""The jobs that a worker script builds."""
