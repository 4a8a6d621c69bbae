"""The Hugging Face Hub as the engine speaks it: repositories of models, their history and their files."""
