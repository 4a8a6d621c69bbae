"""Lorry takes a trained model from "training finished" to "it generates in production", and keeps it there."""
