"""What templates of the studies can do beyond Django's own."""
