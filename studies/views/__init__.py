"""The doors for raters: the way in, the rating page, the pictures. Each parses, calls one service, renders."""
