"""``python -m fpm_inr``: the command, where it is not on the path."""

from fpm_inr.cli import main

if __name__ == "__main__":
    main()
