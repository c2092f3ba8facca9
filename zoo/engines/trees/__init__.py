"""Trees: bins, two growers, and models of grown trees."""
