"""What a bank's CI job does before it talks to Hallmark: train, measure, describe and sign, all in a working folder.

Start at `build.build_classifier` and `build.build_embedding`; the other modules are one step each.
"""
