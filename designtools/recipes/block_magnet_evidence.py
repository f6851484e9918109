"""What a superconducting magnet is worth."""


def evidence(setting, solution, product, progress):
    raise NotImplementedError
