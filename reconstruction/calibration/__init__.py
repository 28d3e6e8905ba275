"""What is fitted for one set of the prior's weights: how wide its samples are spread, and what it has not seen."""
