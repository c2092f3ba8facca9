"""Diffusion: schedules of noise and the steps between them."""
