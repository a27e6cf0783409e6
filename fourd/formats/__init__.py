"""Files of scenes, cameras and depth: one module a format."""
