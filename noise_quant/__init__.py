"""Noise scores of ECG leads from their scalograms (Han et al., arXiv 2506.11815, 2025)."""
