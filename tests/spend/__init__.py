"""Tests of the keeper, costs, budgets and policies."""
