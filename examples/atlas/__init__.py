"""Atlas: a Django project over the cities of the world, and turbo-orm's demo."""
