"""The judge: the protocol, its network, the engines that train it, rounds and scores."""
