"""`python -m jaxneuro` is the command `jaxneuro`."""

from jaxneuro.cli import main

main()
