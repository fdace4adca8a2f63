"""What a worker says to the controllers."""
