x = 1
raise ValueError("cannot load")
