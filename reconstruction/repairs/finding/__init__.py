"""Finds what is bad in a recording, second by second and lead by lead."""
