"""The servers that pgrpc replaces: one folder for each, with its settings and what its clients speak.

`registry` finds the folders, `dialect` says what each must offer. The rest of pgrpc knows only these two.
"""
