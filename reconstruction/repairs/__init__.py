"""Finds what is bad in a recording, repairs it and tells what was done."""
