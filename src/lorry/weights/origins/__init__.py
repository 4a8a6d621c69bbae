"""Where weights come from: a file, a folder, an archive, the Hub, an address."""
