"""Classes by hostadmin beside the shell loops of the class day."""
