"""Learning from few pictures: what episodic methods share."""
