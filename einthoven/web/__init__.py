"""The page in the browser: `einthoven serve`."""
