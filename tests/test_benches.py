"""What the documentation says was measured is what the latest records say."""

from benches import readme
from benches.http import page
from benches.http.result import Result


def test_the_table_in_the_readme():
    assert readme.written() == readme.table()


def test_the_page_of_benchmarks():
    result = Result.read(readme.latest("http"))
    assert page.PAGE.read_text(encoding="utf-8") == page.text(result)
