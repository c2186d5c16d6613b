"""Who may use the gateway.

keys.py   the operator's own keys, named in the config
"""
