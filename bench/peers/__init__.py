"""What is compared with, run by the Python of .bench."""
