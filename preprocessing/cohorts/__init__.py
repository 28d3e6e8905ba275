"""Data sets as they are downloaded, and the simulator that stands in for them."""
