"""What networks on series share."""
