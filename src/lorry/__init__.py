"""Take a trained model from "training finished" to "it generates in production", and keep it there."""
