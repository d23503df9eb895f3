"""The shop's shelves: an SQLite database of products and how many pieces of each came in and went out."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

DELIVERY = 20  # pieces that come in when a product has run out

CATALOGUE = [
    ("product1", "Enamel kettle", 2900, "Whistles when it is ready. Holds tea for six."),
    ("product2", "Storm lantern", 3400, "Burns for twenty hours, in any wind."),
    ("product3", "Beeswax candle", 750, "Smells of summer while it gets dark at five."),
    ("product4", "Long matches", 320, "Twenty-four of them, for stoves with deep doors."),
    ("product5", "Camp stove", 5900, "Folds flat. Boils a litre on a handful of twigs."),
    ("product6", "Stoneware mug", 1450, "Fired at 1,250 °C. Somebody must have measured that."),
]


class Product(NamedTuple):
    """One product as it stands on the shelf now; the price is in euro cents."""

    id: str
    name: str
    cents: int
    words: str
    left: int

    @property
    def price(self) -> str:
        """The price as people read it: `29.00 €`."""
        return f"{self.cents / 100:.2f} €"


class SoldOut(Exception):
    """The last piece is gone; `product` says of what."""

    def __init__(self, product: Product) -> None:
        super().__init__(f"{product.id} ({product.name}) is sold out")
        self.product = product


class Store:
    """The products in the database file `path`, which is made, with its directory, when it is not there.

    Any number of threads and processes may use one file: each call has a connection of its own.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        with self._writing() as database:
            database.execute(
                "CREATE TABLE IF NOT EXISTS product"
                " (id TEXT PRIMARY KEY, name TEXT NOT NULL, cents INTEGER NOT NULL, words TEXT NOT NULL)"
            )
            database.execute(
                "CREATE TABLE IF NOT EXISTS product_stock"
                " (product TEXT PRIMARY KEY, delivered INTEGER NOT NULL, sold INTEGER NOT NULL)"
            )
            database.executemany("INSERT OR IGNORE INTO product VALUES (?, ?, ?, ?)", CATALOGUE)
            database.execute(f"INSERT OR IGNORE INTO product_stock SELECT id, {DELIVERY}, 0 FROM product")

    def products(self) -> list[Product]:
        """All products, in the order of their ids."""
        return self._select("")

    def product(self, id: str) -> Product | None:
        """The product of this id; None when the shop never had it."""
        found = self._select("WHERE id = ?", id)
        return found[0] if found else None

    def sell(self, product: Product) -> Product:
        """Take one piece off the shelf; returns the product as it is now.

        Raises SoldOut when there was none. Then a delivery comes in, for whoever asks next.
        """
        with self._writing() as database:
            taken = database.execute(
                "UPDATE product_stock SET sold = sold + 1 WHERE product = ? AND sold < delivered", (product.id,)
            ).rowcount
            if not taken:
                database.execute(
                    "UPDATE product_stock SET delivered = delivered + ? WHERE product = ?", (DELIVERY, product.id)
                )
        if not taken:
            raise SoldOut(product)
        return self._select("WHERE id = ?", product.id)[0]

    def connect(self) -> sqlite3.Connection:
        """A new connection, for questions that this class does not answer. The caller closes it."""
        return sqlite3.connect(self._path, timeout=10, isolation_level=None)

    def _select(self, where: str, *values: str) -> list[Product]:
        query = f"""
            SELECT id, name, cents, words, delivered - sold FROM product JOIN product_stock ON product = id
            {where} ORDER BY id
        """
        with closing(self.connect()) as database:
            return [Product(*row) for row in database.execute(query, values)]

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction that begins by taking the write lock, so that it never has to be tried again."""
        with closing(self.connect()) as database:
            database.execute("BEGIN IMMEDIATE")
            with database:
                yield database
