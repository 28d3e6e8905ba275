"""`python -m einthoven`: the command, where its folder is not on the path."""

from einthoven.cli import main

if __name__ == "__main__":
    main()
