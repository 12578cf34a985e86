"""The command ``suyuan``: arguments in, words and JSON out."""
