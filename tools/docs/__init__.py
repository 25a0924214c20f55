"""What of the docs is generated: config.yaml.example, the tables of keys, the list of modules.

Owns how these look. The words are those of schemas/config.schema.json and of the modules' docstrings.
"""
