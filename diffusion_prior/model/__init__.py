"""The prior: noise schedules, denoisers and their networks."""
