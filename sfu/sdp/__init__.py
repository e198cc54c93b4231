"""Session descriptions: their grammar, and the offer/answer rules of this server. Pure text in, objects out."""
