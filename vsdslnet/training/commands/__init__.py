"""What can be asked of training on the command line; ``python -m vsdslnet.training`` lists it."""
