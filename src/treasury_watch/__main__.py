"""`python -m treasury_watch`: the command line, for where scripts are not installed."""

from treasury_watch.cli import main

main()
