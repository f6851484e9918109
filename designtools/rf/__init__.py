"""Radio-frequency physics: layered spheres in closed form, volume integral equation, quasi-statics, circuits, SAR, SNR.

Phasors are peak values with time dependence exp(+j w t) throughout.
"""
