"""Filling the atlas: `abulk_create` in batches, so that there is progress to tell of."""

from itertools import batched

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from atlas.dataset import Dataset
from atlas.models import City, Continent, Country

_BATCH = 1000


async def load(dataset: Dataset, console: Console) -> None:
    """Insert the whole dataset, and show how far it is."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), console=console) as progress:
        for model, instances in (
            (Continent, dataset.continents),
            (Country, dataset.countries),
            (City, dataset.cities),
        ):
            plural = str(model._meta.verbose_name_plural)
            task = progress.add_task(f"Loading {plural:10}", total=len(instances))
            for batch in batched(instances, _BATCH):
                await model.objects.abulk_create(batch)
                progress.advance(task, len(batch))
    console.print()
