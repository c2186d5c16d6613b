"""Pure: which provider serves a model name, and who comes next if it does not.

    catalogue.py      the facts: which models a provider is known to serve
    models.py         the choice: X-Provider, aliases, the model's prefix, name patterns, the catalogue, the fallback
    aliases.py        models of the operator's own: tiers of targets
    candidates.py     whose turn it is: what fits, by weight, stickiness, latency or load
    health.py         how targets have fared, and which of them cool down
    signals.py        what an answer's head says about coming again
    data/models.json  the facts themselves

The data is made by tools/make_catalogue.py.
"""
