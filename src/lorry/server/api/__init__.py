"""The API beside the generation routes: the queue, models, trainings, tokens, money, health, metrics."""
