"""One RTP stream, in or out: loss, history, renumbering, keyframes."""
