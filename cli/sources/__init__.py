"""Transfers that other systems have logged, read and made into events: the pure half of ``suyuan import`` and of the demonstration."""
