"""Acting in environments: spaces, episodes, replay, and the loop of every agent."""
