"""Computations of Keras layers as graphs of PyTorch operations.

With PyTorch, Keras goes through a network layer by layer in Python, some hundred times a batch, and `torch.compile`
cannot follow it there (it breaks off at every layer). Traced once for the shapes at hand, the very same operations run
without Keras in between, and can be compiled as one.
"""

import collections
import warnings

import keras

# Compiled and plain results of the same operations differ by rounding, also in low precision by less than this share.
TOLERANCE = 0.05


class Graphs:
    """A function that runs by its graph: one for each structure, shape and type of inputs that it is given.

    Without a compiler the results are those of the function, bit for bit.

    Args:
        function: (nested structure of tensors) -> nested structure of tensors, by Keras or PyTorch operations; it may
            read and assign `variables`. What it does besides is done when it is traced, and never again.
        variables: Keras variables that it uses. Gradients of its results flow back to their tensors.
        patience: so many calls for like inputs run the function itself; tracing takes as long as hundreds of them.
        compiled: compile the graphs too, at the first call.
    """

    def __init__(self, function, variables, patience: int = 0, compiled: bool = False):
        self.function, self.variables = function, list(variables)
        self.patience, self.compiled = 0 if compiled else patience, compiled
        self.graphs, self.calls = {}, collections.Counter()

    def __call__(self, inputs):
        inputs = keras.tree.map_structure(keras.ops.convert_to_tensor, inputs)
        tensors = keras.tree.flatten(inputs)
        key = (str(blank(inputs)), *((x.shape, x.dtype, x.device) for x in tensors))
        if key not in self.graphs:
            self.calls[key] += 1
            if self.calls[key] <= self.patience:
                return self.function(inputs)
            self.graphs[key] = self.trace(inputs)
        graph, structure, assigned = self.graphs[key]
        values = [v.value for v in self.variables]
        for index in assigned:  # the backward pass of a compiled graph draws dropout anew, from the seeds of now
            values[index] = values[index].clone()
        found = graph(*values, *tensors)
        count = len(found) - len(assigned)
        for index, value in zip(assigned, found[count:], strict=True):
            self.variables[index].assign(value.detach())
        return keras.tree.pack_sequence_as(structure, found[:count])

    def trace(self, inputs):
        """(graph of flat tensors, structure of what the function returns, indices of the variables it assigns)."""
        import torch

        variables, count, known = self.variables, len(self.variables), {}

        class Flat(torch.nn.Module):
            def forward(_, *tensors):
                mapping = list(zip(variables, tensors[:count], strict=True))
                with keras.StatelessScope(state_mapping=mapping) as scope:
                    before = [scope.get_current_value(v) for v in variables]
                    found = self.function(keras.tree.pack_sequence_as(inputs, tensors[count:]))
                    found = keras.tree.map_structure(keras.ops.convert_to_tensor, found)
                    after = [scope.get_current_value(v) for v in variables]
                assigned = [i for i in range(count) if after[i] is not before[i]]
                known.update(structure=blank(found), assigned=assigned)
                return (*keras.tree.flatten(found), *(after[i] for i in assigned))

        flat = (*(v.value for v in variables), *keras.tree.flatten(inputs))
        graph = without_idle_steps(torch.export.export(Flat(), flat, strict=False).module())
        if self.compiled:
            graph = compiled_like(graph, flat)
        return graph, known["structure"], known["assigned"]


def blank(structure):
    """A nested structure with 0 for each of its leaves."""
    return keras.tree.map_structure(lambda _: 0, structure)


def without_idle_steps(module):
    """Takes out of a traced module what Keras asks for but nothing needs: conversions of a tensor to what it is."""
    conversions = ("aten.to.dtype_layout", "aten.to.dtype", "aten.to.device")
    for node in list(module.graph.nodes):
        if str(node.target) == "aten._assert_tensor_metadata.default":
            module.graph.erase_node(node)
        elif str(node.target) in conversions:
            before, after = node.args[0].meta["val"], node.meta["val"]
            if (before.dtype, before.device) == (after.dtype, after.device):
                node.replace_all_uses_with(node.args[0])
                module.graph.erase_node(node)
    module.graph.eliminate_dead_code()
    module.recompile()
    return module


def compiled_like(graph, inputs):
    """A graph compiled, if that works and gives the same on these inputs; otherwise the graph, with a warning."""
    import torch

    compiled = torch.compile(graph)
    try:
        found = compiled(*inputs)
    except RuntimeError as error:  # no compiler, or one that cannot do it
        reason = " ".join(str(error).split())[:200]
    else:
        if all(alike(*pair) for pair in zip(found, graph(*inputs), strict=True)):
            return compiled
        reason = "its results are others"
    warnings.warn(f"torch.compile is of no use here ({reason}): going on without it, more slowly", stacklevel=2)
    return graph


def alike(found, expected) -> bool:
    """Whether tensors differ by no more than rounding."""
    found, expected = found.detach().float(), expected.detach().float()
    return bool((found - expected).norm() <= TOLERANCE * expected.norm())
