"""What tables of all kinds share: their layout as text, their times, their columns."""
