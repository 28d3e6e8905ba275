"""What an ECG is here: leads, units, recordings, filters, statements, checks."""
