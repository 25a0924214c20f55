"""`pgrpc init`: from a database to a configuration and a page.

surface       what the database offers: functions, and channels as far as they can be guessed
channel_names     the guess, from the bodies of functions
config_file   the surface -> the text of config.yaml
project       writes the files
"""
