"""A small LoRA trainer: pictures in, a file out that `lorry check` and `lorry ship` expect.

The loop is of rectified flow on a transformer of FLUX's kind (arXiv:2209.03003), with peft's layers in
diffusers' own classes. What a base is made of comes through the port `TrainableBase`.
"""
