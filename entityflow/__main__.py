"""`python -m entityflow` is the command line."""

from entityflow.cli import main

if __name__ == "__main__":
    main()
