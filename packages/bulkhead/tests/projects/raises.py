raise ValueError("the team's own mistake")
