"""The command line: `main` holds the program, each other module the commands of one subject."""
