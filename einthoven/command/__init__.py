"""The command line: help and completion from the YAML files, and what is checked before a script starts."""
