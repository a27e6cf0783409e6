"""How the embedded depth network is made: ``python -m fourd.depth.train --data FOLDER --recipe.minutes 60``.

    generate.wild ─> rendering ──> shards ─┐
    truth ─────────> recordings ─> shards ─┴─> batches ─> fitting (losses) ─> weights

A command, not a part of the depth stage: it wires stages as the pipeline does, and no stage may import it.
"""
