raise RuntimeError("INIT fails")
