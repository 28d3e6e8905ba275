"""Readers and writers of file formats, one family a file."""
