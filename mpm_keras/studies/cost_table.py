"""Tables 5 and D: parameters and operations of the modules, beside the paper's figures."""

from mpm_keras.studies.cost import measure

AT = {"frames": 243, "joints": 16, "layers": 4}  # what the paper's figures belong to

# Module -> what it is called, the paper's parameters in K and FLOPs in M.
ROWS = {
    "encoder_2d": ("2D encoder", 17.9, 8.9),
    "encoder_3d": ("3D encoder", 26.1, 12.9),
    "shared": ("shared layers", 3289.1, 1796.3),
    "decoder_2d": ("2D decoder", 532.2, 259.3),
    "decoder_3d": ("3D decoder (stage I)", 534.3, 261.3),
    "decoder_stage_2": ("3D decoder (stage II)", 3941.1, 380.6),
    "head_sequence": ("sequence head (stage II)", None, None),
    "stage_2": ("lifting: stage II in all (Table D)", 7800.0, 2387.0),
    "stage_1_2d": ("stage I on masked 2D", None, None),
    "stage_1_3d": ("stage I on masked 3D", None, None),
}
PARAMETERS, FLOPS = "parameters K", "FLOPs M"


def reasons(found: dict) -> dict[str, str]:
    """{module: why the paper has another figure}, with what the network itself says about it."""
    block, shared = found["block"], found["shared"]
    headless = found["decoder_stage_2"]["parameters_paper"] - found["head_sequence"]["parameters_paper"]
    five = {name: shared[name] + block[name] for name in block}
    other = "are the weights of P-STMO's decoder, four blocks of half the width; its FLOPs are those of this one block."
    return {
        "encoder_2d": "8.96 cut, not rounded.",
        "shared": (
            f"The paper's parameters are those of five blocks ({five['parameters_paper'] / 1e3:.1f} K); its text and "
            f"the best row of its Table A have four. Five take {five['flops_paper'] / 1e6:.1f} M FLOPs, with attention "
            f"{five['flops'] / 1e6:.1f} M: 1796.3 is not reproduced."
        ),
        "decoder_2d": f"532,256 (cut in the paper) {other}",
        "decoder_3d": f"534,320 {other}",
        "decoder_stage_2": f"The paper leaves out the head: {headless / 1e3:.1f} K without.",
        "stage_2": (
            "7.8 M is the sum of Table 5 without the 3D decoder of stage I: five blocks, and a 3D encoder and a 2D "
            "decoder, which do not lift. 2387 M is no sum of its rows; those that lift make 2185.8 M."
        ),
    }


def cost_document(facts: dict, hidden_share: float = 0.6, **sizes) -> dict:
    """The table as a plain document.

    Args:
        facts: how it was made, {what: text}.
        hidden_share: of the frames, in stage I.
        sizes: of the networks, as in `measure`; the paper's by default.
    """
    sizes = AT | sizes
    found = measure(hidden_frames=int(hidden_share * sizes["frames"]), **sizes)
    at_paper = all(sizes[name] == value for name, value in AT.items()) and sizes.keys() == AT.keys()
    why = reasons(found) if at_paper else {}
    rows = []
    for module, (label, parameters, flops) in ROWS.items():
        cost = found[module]
        rows.append({
            "module": label,
            f"paper {PARAMETERS}": parameters, f"{PARAMETERS}, counted alike": cost["parameters_paper"] / 1e3,
            f"{PARAMETERS}, all": cost["parameters"] / 1e3,
            f"paper {FLOPS}": flops, f"{FLOPS}, counted alike": cost["flops_paper"] / 1e6,
            f"{FLOPS}, with attention": cost["flops"] / 1e6,
            "difference": why.get(module, ""),
        })  # fmt: skip
    given = ", ".join(f"{name} {value}" for name, value in sizes.items())
    return {
        "title": "Parameters and operations (Tables 5 and D)",
        "rows": rows,
        "remarks": [
            f"One window; {given}; {hidden_share:.0%} of the frames hidden in stage I.",
            "'Counted alike' is the rule behind the paper's encoders and decoders: weights of dense layers, "
            "convolutions and batch norms; two FLOPs a multiply-add in them, eight a number in batch norms, none in "
            "attention's two products. 'All' adds layer norms, positions and tokens; 'with attention' is two a "
            "multiply-add of every product, what PyTorch's counter says.",
            *([] if at_paper else ["The paper's figures belong to 243 frames, 16 joints and 4 layers."]),
        ],
        "facts": facts,
    }  # fmt: skip
