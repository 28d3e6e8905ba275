"""Measures of an ECG: rate, intervals, axes, amplitudes, ST levels, with intervals where they are uncertain."""
