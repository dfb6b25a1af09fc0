"""The Docker Engine, for our own calls. Only importer of docker."""
