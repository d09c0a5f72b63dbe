"""A greeting, stock prices, and steps that misbehave."""
