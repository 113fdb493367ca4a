"""Another card's budget on this machine: how fast this one is beside it."""
