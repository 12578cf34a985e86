"""The demonstration: a network of real node processes on this machine, and real or played transfers through it."""
