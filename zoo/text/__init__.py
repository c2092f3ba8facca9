"""Methods that read and write text."""
