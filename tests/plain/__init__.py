"""A Django app as others write it: it has never heard of turbo-orm."""
