"""python -m sslcli: the same as the command ssl, even in a folder that contains an ssl.py or a random.py."""

import sys

# Python searches the current folder first, so such a file would replace the real module.
# At the end of the path it does no harm, and a checkout that is not installed still works.
if not sys.flags.safe_path:
    sys.path.append(sys.path.pop(0))

from sslcli.cli import main

main()
