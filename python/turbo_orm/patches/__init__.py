"""Everything that is done to other packages' modules and classes, and what undoes it.

``patch`` is how something is replaced and put back. The groups of patches are ``async_managers``,
``atomic_requests``, ``debug_toolbar``, ``pghistory``, ``silk`` and ``patch_django``; ``registry``
has them all. ``private_api`` lists the names of other packages that turbo-orm uses without a
promise.
"""
