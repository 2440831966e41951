"""The servers that stand between a site and its database, each the real one."""
