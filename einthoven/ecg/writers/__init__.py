"""Writers of file formats, one family a file."""
