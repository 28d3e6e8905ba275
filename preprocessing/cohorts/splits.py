"""The split of PTB-XL: folds 1-8 train, 9 validates, 10 tests. A record is never moved between them."""

SPLITS: tuple[str, ...] = ("train", "val", "test")


def split_of(fold: int) -> str:
    """Returns the split of a fold: 1-8 "train", 9 "val", 10 "test"; ValueError if there is no such fold."""
    if not 1 <= fold <= 10:
        raise ValueError(f"a fold is 1 to 10, not {fold}")
    return "train" if fold <= 8 else "val" if fold == 9 else "test"
