"""Leads and images to train and score on."""
