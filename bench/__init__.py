"""What Suyuan costs on this machine, and what others cost on it: see bench/README.md."""
