"""Tables as Markdown."""


def markdown(lines) -> str:
    """Lines of cells as a Markdown table, the first one its heading."""
    heading, *rows = [[str(cell).replace("|", "\\|") for cell in line] for line in lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in (heading, ["---"] * len(heading), *rows))
