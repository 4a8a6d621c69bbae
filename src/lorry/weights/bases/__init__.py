"""Which base model an adapter changes: families of base models as data, and the comparison with them."""
