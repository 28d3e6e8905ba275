"""What a sweep over settings has found."""
