"""The command line: a file a command, thin: parse, call, print. Rooms are imported inside the commands, so that
`openfer --help` is quick."""
