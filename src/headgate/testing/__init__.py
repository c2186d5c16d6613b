"""The public testing kit: a scripted upstream, a replay of recordings, and the reader of the recorded corpus."""
