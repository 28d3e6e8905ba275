"""Metrics, statistics, figures and tables: reads results, never runs a model."""
