"""`python -m hyenaprof`: the command line, installed or not."""

from hyenaprof.cli.app import main

main()
