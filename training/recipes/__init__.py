"""How a network is trained: what a recipe may say, and the recipes that come along."""
