"""`python -m pyrometer`: the command `pyrometer`."""

import sys

from pyrometer.cli import main

if __name__ == "__main__":
    sys.exit(main())
