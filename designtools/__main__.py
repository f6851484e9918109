"""`python -m designtools` is the command `designtools`."""

from designtools.cli import main

if __name__ == "__main__":
    main()
