"""Classifiers that judge generated and reconstructed ECGs."""
