"""What every part of the worker library uses: settings, registry, files, log."""
