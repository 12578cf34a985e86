"""The catalogue of Simplified Chinese: one module per part of the command, each with ``MESSAGES`` from English to Chinese."""
