"""An app with geometry, geography and raster columns."""
