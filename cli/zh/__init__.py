"""The catalogue of Simplified Chinese: modules with ``MESSAGES``, from English to Chinese."""
