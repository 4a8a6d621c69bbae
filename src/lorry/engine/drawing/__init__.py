"""From requests for pictures to the renderer: whose turn it is, where adapters are, and the figures."""
