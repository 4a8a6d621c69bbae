"""`python -m lorry` does what `lorry` does."""

from lorry.cli.main import main

if __name__ == "__main__":
    main()
