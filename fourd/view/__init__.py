"""How people get to see a scene: colours for depth, contact sheets, films, facts, and work in progress."""
