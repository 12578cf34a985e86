"""The ledger: is it true? Bytes and values in, values or typed errors out."""
