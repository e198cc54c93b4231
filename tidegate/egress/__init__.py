"""What leaves a meeting: recordings, broadcasts, merges. Starts and stops pipelines, and tells about them."""
