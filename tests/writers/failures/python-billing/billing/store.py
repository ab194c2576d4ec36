"""Rows in PostgreSQL."""

from __future__ import annotations

import os

import psycopg

TABLES = """
DROP SCHEMA IF EXISTS billing CASCADE; CREATE SCHEMA billing; SET search_path = billing;
CREATE TABLE customers (
    customer_id text PRIMARY KEY, name text NOT NULL, country varchar(2) NOT NULL, vat_id text NOT NULL
);
CREATE TABLE invoices (
    invoice_no text PRIMARY KEY,
    customer_id text NOT NULL REFERENCES customers,
    payment_reference varchar(60) CONSTRAINT invoices_payment_reference_key UNIQUE,
    amount numeric(9, 2) NOT NULL CONSTRAINT amount_is_positive CHECK (amount > 0),
    issued date,
    due date,
    lines jsonb,
    CONSTRAINT due_after_issue CHECK (due >= issued)
);
"""


class Store:
    def __init__(self) -> None:
        self.connection = psycopg.connect(
            host="127.0.0.1", port=os.environ["POSTGRES_PORT"], user="shop", dbname="postgres", autocommit=True
        )
        self.connection.execute(TABLES)

    def add(self, table: str, row: dict) -> None:
        columns = ", ".join(row)
        values = ", ".join(f"%({name})s" for name in row)
        self._execute(f"INSERT INTO {table} ({columns}) VALUES ({values})", row)

    def country_of(self, customer_id: str) -> str:
        found = self._execute("SELECT country FROM customers WHERE customer_id = %s", (customer_id,)).fetchone()
        return found[0]

    def name_of(self, customer_id: str) -> str:
        found = self._execute("SELECT name FROM customers WHERE customer_id = %s", (customer_id,)).fetchone()
        return found[0]

    def _execute(self, statement: str, values: object) -> psycopg.Cursor:
        with self.connection.transaction():
            return self.connection.execute(statement, values)
