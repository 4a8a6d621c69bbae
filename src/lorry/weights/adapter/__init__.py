"""What the tensors are to each other: names taken apart, modules, pairs, ranks, strength."""
