"""Fitted rules on scores and plain features: is a lead noisy, is a record acceptable."""
