"""The machine: what the processor and the memory can do.

`cpu` checks which products are native, `compute` chooses device and precision, `float32` keeps products at full
precision, `memory` measures the available memory, `allocator` returns freed memory and refuses components that would
never fit, `no_values` builds networks without memory, and `postponed_compiler` spares the import of a compiler.
"""
