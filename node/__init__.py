"""The node: "what do I do about it?" One department's log, its copies of all others, and the services around them."""
