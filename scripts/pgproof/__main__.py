"""Lets `python -m pgproof` stand for the `migrate` command."""

import sys

from pgproof.cli import main

sys.exit(main())
