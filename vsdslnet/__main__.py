"""``python -m vsdslnet`` is the command, where the folder of installed programs is not on the PATH."""

from vsdslnet.cli import main

if __name__ == "__main__":
    main()
