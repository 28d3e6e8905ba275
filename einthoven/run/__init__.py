"""How work is run: scripts, run folders, files, chunks, processes, memory."""
