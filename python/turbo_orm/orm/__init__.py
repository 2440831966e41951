"""The manager, the queryset and the instances: what a Django developer calls."""
