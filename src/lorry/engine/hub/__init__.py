"""The Hugging Face Hub's protocol over the engine's own state: repositories, commits, LFS, downloads.

`storage.py` keeps repositories and their history, `answers.py` says how they look outside, `repos.py`,
`commits.py`, `lfs.py` and `downloads.py` are the routes, `routes.py` puts them together. Source of the
routes: "LoRA weight files", section 3.3, and what huggingface_hub 2.4.0 sends with Xet off.
"""
