"""Transfers that other systems have logged: reading them, and recording them as shares and receipts."""
