"""Pure: which provider serves a model name.

    catalogue.py      the facts: which models a provider is known to serve
    models.py         the choice: X-Provider header, the model's prefix, name patterns, the catalogue, the fallback
    data/models.json  the facts themselves

The data is made by tools/make_catalogue.py.
"""
