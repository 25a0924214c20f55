"""What is generated: config.yaml.example, the tables of keys, the list of modules, the dialects in the schema.

Owns how these look. The words are those of schemas/config.schema.json, of the section.schema.json of each dialect, and
of the modules' docstrings.
"""
