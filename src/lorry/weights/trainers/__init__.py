"""What trainers leave on disk and in headers: who trained, the trigger word, labels, private things."""
