"""Language models: tokens, windows, the decoder, writing."""
