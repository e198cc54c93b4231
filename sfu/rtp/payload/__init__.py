"""RTP payload formats, as far as forwarding needs them."""
