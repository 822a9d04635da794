"""python -m sslcli"""

from sslcli.cli import main

main()
