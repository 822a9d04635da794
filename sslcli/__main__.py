"""python -m sslcli: as the command ssl, also in a folder with an ssl.py or a random.py of the person's own."""

import sys

# Python puts the current folder first, so that such a file takes the place of the module that is meant.
# Last it does no harm, and still serves a checkout that is not installed.
if not sys.flags.safe_path:
    sys.path.append(sys.path.pop(0))

from sslcli.cli import main

main()
