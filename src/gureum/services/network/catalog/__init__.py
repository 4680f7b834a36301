"""What the network API says about itself: versions, extensions, agents, availability zones, address use."""
