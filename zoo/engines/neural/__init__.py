"""The one training engine of every torch estimator: Trainer, blocks, optimisers, schedules."""
