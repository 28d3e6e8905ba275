"""What one lead, or leads I and II alone, tell of their electrodes: small networks of the typical beat."""
