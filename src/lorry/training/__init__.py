"""Between a training and its delivery: recognise what is finished, watch folders, train a small LoRA."""
