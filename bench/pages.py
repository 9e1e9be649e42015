"""placeholder"""
def write(*a): return []
