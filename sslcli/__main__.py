"""The command ssl, and python -m sslcli: the same, even in a folder that contains an ssl.py or a random.py."""

import sys


def main() -> None:
    """Run the command line. Ctrl-C while its modules are read ends it like any Ctrl-C, with code 130 and no traceback."""
    try:
        from sslcli.cli import main as run
    except KeyboardInterrupt:
        sys.exit(130)
    run()


if __name__ == "__main__":
    # Python searches the current folder first, so such a file would replace the real module.
    # At the end of the path it does no harm, and a checkout that is not installed still works.
    if not sys.flags.safe_path:
        sys.path.append(sys.path.pop(0))
    main()
