"""Posterior samplers: one paper, one file."""
