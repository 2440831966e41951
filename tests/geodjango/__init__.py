"""GeoDjango on PostGIS, with Debian's libraries, in processes that begin with these."""
