"""Articles and lots in MariaDB through SQLAlchemy."""

from __future__ import annotations

import json
import os

from sqlalchemy import CheckConstraint, ForeignKey, Numeric, SmallInteger, String, UniqueConstraint, create_engine, text
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column


class Base(DeclarativeBase):
    pass


class Article(Base):
    __tablename__ = "articles"
    __table_args__ = (
        UniqueConstraint("barcode", name="uq_articles_barcode"),
        CheckConstraint("weight > 0", name="weight_is_positive"),
    )
    sku: Mapped[str] = mapped_column(String(80), primary_key=True)
    barcode: Mapped[str] = mapped_column(String(60))
    name: Mapped[str] = mapped_column(String(20))
    weight: Mapped[float | None] = mapped_column(Numeric(8, 2))


class StoredLot(Base):
    __tablename__ = "lots"
    lot_no: Mapped[str] = mapped_column(String(80), primary_key=True)
    sku: Mapped[str] = mapped_column(ForeignKey("articles.sku", name="fk_lots_article"))
    size: Mapped[int] = mapped_column(SmallInteger)
    packed_on: Mapped[str | None] = mapped_column(String(10))


class Database:
    def __init__(self) -> None:
        port = os.environ["MARIADB_PORT"]
        self.engine = create_engine(f"mysql+pymysql://shop@127.0.0.1:{port}/shop")
        Base.metadata.drop_all(self.engine)
        Base.metadata.create_all(self.engine)

    def add_article(self, value: bytes) -> None:
        with Session(self.engine) as session, session.begin():
            session.add(Article(**json.loads(value)))

    def add_german_article(self, value: bytes) -> None:
        with Session(self.engine) as session:
            session.execute(text("SET lc_messages = 'de_DE'"))
            session.add(Article(**json.loads(value)))
            try:
                session.commit()
            finally:
                session.rollback()
                session.execute(text("SET lc_messages = DEFAULT"))

    def add_lot(self, value: bytes) -> None:
        with Session(self.engine) as session, session.begin():
            session.add(StoredLot(**json.loads(value)))

    def search(self, value: bytes) -> None:
        """Builds SQL of what it is given, as it should not."""
        search = json.loads(value)
        with self.engine.connect() as connection:
            where = f"{search['field']} = '{search['text']}'"
            connection.exec_driver_sql(f"SELECT sku FROM {search['table']} WHERE {where}")
